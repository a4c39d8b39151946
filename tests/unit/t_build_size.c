/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* How many blocks the metadata of a pool take: counted in advance, and found out. */
#include <errno.h>

#include "base/err.h"
#include "dumb.h"
#include "pool/build/build.h"
#include "pool/format/format.h"
#include "pool/format/superblock.h"
#include "story.h"
#include "tap.h"

/* Tries a story on a device of @nr blocks; what it says it needs, or 0 when it fits. */
static uint64_t needs(uint64_t nr, struct model *m)
{
	struct io *io = io_mem_new("mem", nr * 4096);
	struct events e = sink(io);
	unsigned long long n = 0, has = 0;
	struct superblock sb;
	enum sb_fault f;
	int r = tell(&e, 3, m);

	build_free(&e);
	if (r) {
		check_eq(r, -ERANGE);
		check_eq(sscanf(err.text, "too small: needs at least %llu blocks, has %llu", &n, &has), 2);
		check_eq(has, nr);
		check(n > nr);
		f = nr ? superblock_open(&sb, io_mem_data(io), 0) : SB_UNREADABLE;
		check(f != SB_OK && (f != SB_ALL_ZERO || nr < 12));
	} else {
		check_good(io, m);
	}
	io_free(io);
	return n;
}

static void too_small(void)
{
	struct model m = new_model();
	uint64_t n, last = 0;

	for (uint64_t nr = 0;; nr += nr < 20 ? 1 : 29) {
		n = needs(nr, &m);
		if (!n)
			break;
		last = n;
	}
	/* the number that the last message named is exact */
	check_eq(needs(last, &m), 0);
	check_eq(needs(last - 1, &m), last);
	free(m.map);
}

/* Leaves of a def that nobody refers to lie beyond the end when they are counted no more. */
static void too_small_for_an_unused_def(void)
{
	unsigned long long n = 0, has;

	for (uint64_t nr = 12; nr; nr = nr == 12 ? n : 0) {
		struct io *io = io_mem_new("mem", nr * 4096);
		struct events e = sink(io);
		int r = begin(&e) ?: one_def(&e, 1, 0, 10000) ?: begin_device(&e, 1) ?: run(&e, 5, 20000, 10) ?:
			e.ops->end_device(e.ctx, &err) ?: e.ops->end_pool(e.ctx, &err);

		build_free(&e);
		io_free(io);
		check_eq(r, nr == 12 ? -ERANGE : 0);
		check(!r || sscanf(err.text, "too small: needs at least %llu blocks, has %llu", &n, &has) == 2);
	}
	check(n > 50);
}

static void min_blocks(void)
{
	/* superblock, two device trees, data index, bitmap, 2 overflow trees, index, bitmap, 3 leaves */
	check_eq(build_min_blocks(3, 9, 100, 0), 12);
	check_eq(build_min_blocks(3, 9, 100, 64), 12);
	check_eq(build_min_blocks(0, 0, 0, 0), 8);
	check_eq(build_min_blocks(1, 252, 0, 0), 9);
	check_eq(build_min_blocks(1, 253, 0, 0), 11);
	check_eq(build_min_blocks(3, 9, 100, 16320 * 3), 14);
}

/* Many devices of small shared parts with small gaps between them: much is copied, and all counts are large. */
static int tell_small_parts(struct events *e)
{
	const unsigned len[] = { 3, 90, 170, 300, 83, 500 };
	uint64_t at = 0;
	int r = begin(e);

	for (uint32_t k = 0; !r && k < 60; k++, at += 600)
		r = one_def(e, k, at, len[k % 6]);
	for (uint32_t id = 1; !r && id <= 40; id++) {
		r = begin_device(e, id);
		for (uint32_t k = 0; !r && k < 60; k++)
			r = e->ops->ref(e->ctx, k, &err) ?: k % 3 == id % 3 ? run(e, k * 600 + 550, k * 600 + 550, k % 7 + 1) : 0;
		r = r ?: e->ops->end_device(e->ctx, &err);
	}
	return r ?: e->ops->end_pool(e->ctx, &err);
}

/* @seed 0: the small parts. */
static int tell_pool(struct events *e, uint64_t seed, struct model *m)
{
	return seed ? tell(e, seed, m) : tell_small_parts(e);
}

static void enough_blocks(void)
{
	struct model m = new_model();

	for (uint64_t seed = 0; seed <= 30; seed++) {
		struct build_counts n = { 0 };
		struct events e = { 0 };
		struct io *io;

		m.nr = 0;
		check_eq(build_count_new(&e, &err) ?: tell_pool(&e, seed, &m), 0);
		build_count_all(&e, &n);
		build_count_free(&e);
		check(n.nr_blocks <= n.nr_blocks_most);
		m.nr = 0;
		io = io_mem_new("mem", n.nr_blocks_most * 4096);
		e = sink(io);
		check_eq(tell_pool(&e, seed, &m), 0);
		build_free(&e);
		io_free(io);
		m.nr = 0;
		io = io_mem_new("mem", (n.nr_blocks - 1) * 4096);
		e = sink(io);
		check_eq(tell_pool(&e, seed, &m), -ERANGE);
		build_free(&e);
		io_free(io);
	}
	free(m.map);
}

static const struct test tests[] = {
	{ "an output too small is named with what is needed, exactly in the end", too_small },
	{ "so it is where a part lies beyond its end to which nobody refers", too_small_for_an_unused_def },
	{ "the least number of blocks is known in advance", min_blocks },
	{ "with fewer blocks than counted no pool is written, with the most that are counted each one is", enough_blocks },
	{ 0 }
};

int main(int argc, char **argv)
{
	return tap_main(tests, argc, argv);
}
