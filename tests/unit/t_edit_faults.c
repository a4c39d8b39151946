/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Each change of a pool and its commit, in which the first, second, ... read, write, flush or request for memory
 * fails.  The failure is told, the pool on the disk is the old one or the new one, and what was dropped can be
 * done again.
 */
#include <errno.h>

#include "failing.h"
#include "io_fault.h"
#include "pool/check/check.h"
#include "old_pool.h"

#define GROWN 4500u

/* --- what a pool is: devices, mappings, counts --- */

/* A sum of all that a pool holds; @loose: without the places of the data. */
struct sum {
	struct pool_edit *pool;
	uint64_t hash, loose;
};

static void mix(uint64_t *h, uint64_t v)
{
	*h = (*h ^ v) * 0x100000001B3ull;
	*h ^= *h >> 29;
}

static int add_mapping(void *ctx, vblock_t v, const struct mapping *m)
{
	struct sum *s = ctx;

	mix(&s->hash, v);
	mix(&s->hash, m->block << 24 | m->time);
	mix(&s->loose, v << 25 | (uint64_t)m->time << 1 | m->shared);
	return 0;
}

static int add_device(void *ctx, const struct device_info *d)
{
	struct sum *s = ctx;

	mix(&s->hash, d->dev_id);
	mix(&s->hash, d->mapped_blocks);
	mix(&s->hash, d->transaction);
	mix(&s->hash, (uint64_t)d->creation_time << 32 | d->snap_time);
	mix(&s->loose, (uint64_t)d->dev_id << 40 | d->mapped_blocks);
	return edit_each_mapping(s->pool, d->dev_id, 0, UINT64_MAX, add_mapping, s, &err);
}

/* Of the pool in @io as the next one finds it; the check finds nothing. */
static struct sum sum_of(struct io *io)
{
	const struct check_options opt = { 0 };
	struct check_result result = { 0 };
	struct jobs *jobs = jobs_new(1);
	struct sum s = { 0 };
	const struct superblock *sb;
	uint32_t count;

	check_eq(check_run(io, jobs, &opt, &result, &err), 0);
	check(result.complete);
	for (size_t i = 0; i < result.findings.nr;
	     i++) /* that all devices were deleted is worth a warning */
		check_eq(result.findings.f[i].kind, FOUND_OLDER_POOL);
	check_result_fini(&result);
	jobs_free(jobs);
	check_eq(edit_open(io, false, &s.pool, &err), 0);
	sb = edit_superblock(s.pool);
	mix(&s.hash, sb->transaction_id);
	mix(&s.hash, sb->time);
	mix(&s.hash, sb->held_root != 0);
	mix(&s.hash, sb->data_sm.nr_blocks);
	for (dblock_t b = 0; b < sb->data_sm.nr_blocks; b++) {
		check_eq(edit_data_count(s.pool, b, &count, &err), 0);
		mix(&s.hash, count);
	}
	check_eq(edit_each_device(s.pool, add_device, &s, &err), 0);
	edit_free(s.pool);
	return s;
}

/* --- changes --- */

static int create_thin(struct pool_edit *p)
{
	return edit_create_thin(p, 77, &err);
}

static int create_snap(struct pool_edit *p)
{
	return edit_create_snap(p, 78, 3, &err);
}

static int delete_device(struct pool_edit *p)
{
	return edit_delete(p, 4, &err);
}

static int delete_all(struct pool_edit *p)
{
	int r = 0;

	for (uint32_t id = 1; !r && id < 14; id++)
		r = id > 5 && id < 11 ? 0 : edit_delete(p, id, &err);
	return r;
}

static int set_id(struct pool_edit *p)
{
	return edit_set_transaction_id(p, 0, 9, &err);
}

static int release(struct pool_edit *p)
{
	return edit_release_metadata_snap(p, &err);
}

static int release_and_reserve(struct pool_edit *p)
{
	int r = release(p);

	return r ? r : edit_reserve_metadata_snap(p, &err);
}

static int map_some(struct pool_edit *p)
{
	int r = 0;

	for (vblock_t v = 0; !r && v < 5000; v += 700)
		r = map_new(p, 2 + (uint32_t)(v / 700 % 3), v);
	return r;
}

static int unmap_some(struct pool_edit *p)
{
	uint64_t nr;
	int r = edit_unmap(p, 5, 1000, 3000, &nr, &err);

	check(r || nr > 50);
	return r ? r : edit_unmap(p, 1, 0, 5000, &nr, &err);
}

static int take_and_give(struct pool_edit *p)
{
	dblock_t b;
	int r = edit_alloc_data(p, &b, &err);

	return r ? r : edit_free_data(p, b, &err);
}

static int grow(struct pool_edit *p)
{
	return edit_grow_data(p, GROWN, &err);
}

static int take_mapping(void *ctx, vblock_t v, const struct mapping *m)
{
	(void)m;
	*(vblock_t *)ctx = v;
	return 0;
}

static int take_device(void *ctx, const struct device_info *d)
{
	*(uint64_t *)ctx += d->mapped_blocks;
	return 0;
}

/* Nothing changes, and what was read is right. */
static int look(struct pool_edit *p)
{
	struct device_info d;
	struct mapping m;
	vblock_t end = 0, last = 1;
	uint64_t sum = 0;
	uint32_t count = 7;
	int r = edit_mapped_end(p, 5, &end, &err);

	if (!r)
		r = edit_each_mapping(p, 5, 0, UINT64_MAX, take_mapping, &last, &err);
	check(r || end == last + 1);
	if (!r)
		r = edit_lookup(p, 5, last, &m, &err);
	if (!r)
		r = edit_data_count(p, m.block, &count, &err);
	check(r || (count >= 1 && count <= 5));
	if (!r)
		r = edit_device(p, 5, &d, &err);
	if (!r)
		r = edit_each_device(p, take_device, &sum, &err);
	check(r || sum > 5 * 500);
	return r;
}

static const struct change {
	const char *name;
	int (*make)(struct pool_edit *p);
	bool changes;
} changes[] = {
	{ "create_thin", create_thin, true },
	{ "create_snap", create_snap, true },
	{ "delete", delete_device, true },
	{ "delete all", delete_all, true },
	{ "set_transaction_id", set_id, true },
	{ "release_metadata_snap", release, true },
	{ "release and reserve", release_and_reserve, false },
	{ "map", map_some, true },
	{ "unmap", unmap_some, true },
	{ "take a block and give it back", take_and_give, false },
	{ "grow", grow, true },
	{ "look", look, false },
};

/* --- failing --- */

enum failing { READ, WRITE, FLUSH, MEMORY };
static const int code_of[] = { EIO, EIO, EIO, ENOMEM };

static bool arm(struct io *io, enum failing what, uint64_t nth)
{
	switch (what) {
	case READ:
		io_fault_fail_read(io, nth, -EIO);
		break;
	case WRITE:
		io_fault_fail_write(io, nth, -EIO);
		break;
	case FLUSH:
		io_fault_fail_flush(io, nth, -EIO);
		break;
	case MEMORY:
		failing_begin("memory", (long)nth + 1, ENOMEM);
		break;
	}
	return true;
}

static bool was_hit(struct io *io, enum failing what, uint64_t nth)
{
	switch (what) {
	case READ:
		return io_fault_nr_reads(io) > nth;
	case WRITE:
		return io_fault_nr_writes(io) > nth;
	case FLUSH:
		return io_fault_nr_flushes(io) > nth;
	default:
		return failing_end();
	}
}

/* Opens the pool anew and makes the change again. */
static void make_again(struct io *mem, const struct change *c, struct sum new_sum)
{
	struct pool_edit *p;

	check_eq(edit_open(mem, true, &p, &err), 0);
	check_eq(c->make(p), 0);
	commit(p);
	edit_free(p);
	check_eq(sum_of(mem).hash, new_sum.hash);
}

/* Whether the failure came. */
static bool fail_once(const struct change *c, enum failing what, uint64_t nth, struct sum old_sum,
		      struct sum new_sum)
{
	struct io *mem = old_pool(), *copy = old_pool(), *io = io_fault_new(mem);
	struct pool_edit *p = NULL;
	bool unsure = false, hit;
	struct sum sum;
	int r;

	check(io);
	err.text[0] = 0;
	arm(io, what, nth);
	r = edit_open(io, true, &p, &err);
	if (!r)
		r = c->make(p);
	if (!r)
		r = edit_commit(p, &unsure, &err);
	hit = was_hit(io, what, nth);
	if (r && (r != -code_of[what] || !err.text[0] || !hit))
		printf("# %s, request %llu: %d, '%s'\n", c->name, (unsigned long long)nth, r,
		       err.text);
	check(!r || (hit && r == -code_of[what] && err.text[0]));
	check(!r || what != READ || !unsure);
	/* a lost read or write may not pass unseen */
	check(!hit || r || what == MEMORY);
	memcpy(io_mem_data(copy), io_mem_data(mem), sizeof(old_image));
	sum = sum_of(copy);
	check(sum.hash == new_sum.hash || (r && sum.hash == old_sum.hash));
	check(!r || unsure || sum.hash == old_sum.hash);
	if (r && p &&
	    !unsure) { /* the same one drops it, and makes it again: perhaps in other data blocks */
		edit_abort(p);
		check(!edit_changed(p));
		check_eq(c->make(p), 0);
		commit(p);
		check_eq(sum_of(mem).loose, new_sum.loose);
	}
	if (p)
		edit_free(p);
	if (r && sum.hash == old_sum.hash)
		make_again(copy, c, new_sum);
	io_free(copy);
	io_free(io);
	return hit;
}

static void sweep(enum failing what)
{
	make_old(env("SEED", 1));
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		const struct change *c = &changes[i];
		struct io *mem = old_pool();
		struct sum old_sum = sum_of(mem), new_sum;
		uint64_t n;
		struct pool_edit *p;

		check_eq(edit_open(mem, true, &p, &err), 0);
		check_eq(c->make(p), 0);
		commit(p);
		edit_free(p);
		new_sum = sum_of(mem);
		check((new_sum.hash != old_sum.hash) == c->changes);
		io_free(mem);
		for (n = 0; fail_once(c, what, n, old_sum, new_sum); n++)
			;
		check(n || !c->changes);
	}
}

static void reads(void)
{
	sweep(READ);
}

static void writes(void)
{
	sweep(WRITE);
}

static void flushes(void)
{
	sweep(FLUSH);
}

static void memory(void)
{
	sweep(MEMORY);
}

static void read_only(void)
{
	struct io *mem;
	struct pool_edit *p;

	make_old(env("SEED", 1));
	mem = old_pool();
	check_eq(edit_open(mem, false, &p, &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		err.text[0] = 0;
		check_eq(-changes[i].make(p), changes[i].make == look ? 0 : EROFS);
		check(changes[i].make == look || err.text[0]);
		check(!edit_changed(p));
	}
	edit_free(p);
	check(!memcmp(io_mem_data(mem), old_image, sizeof(old_image)));
	io_free(mem);
}

int main(int argc, char **argv)
{
	static const struct test tests[] = {
		{ "a read that fails in a change is told, and leaves the old pool", reads },
		{ "a write that fails in a commit leaves the old pool or the new one", writes },
		{ "a flush that fails in a commit leaves the old pool or the new one", flushes },
		{ "a change without memory is told, leaves the old pool and can be made again",
		  memory },
		{ "a pool that was opened to be read takes no change", read_only },
		{ 0 },
	};

	return tap_main(tests, argc, argv);
}
