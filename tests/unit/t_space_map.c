/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Space maps that are changed, against an array of counts. */
#include <errno.h>

#include "failing.h"
#include "io_fault.h"
#include "random.h"
#include "space_world.h"
#include "tap.h"

#define NR_META 600u
#define NR_DATA 40000u /* three bitmaps, the last of them in part */

static struct io *new_io(uint64_t nr_blocks)
{
	struct io *io = io_mem_new("metadata", nr_blocks * MBLOCK_SIZE);

	check(io);
	return io;
}

/* --- the model --- */

static struct {
	uint32_t now[NR_DATA], old[NR_DATA];
	uint64_t cursor;
} model;

static uint32_t count_of(struct sm_edit *sm, uint64_t b)
{
	uint32_t count = 99;

	check_eq(sm_edit_count(sm, b, &count, &err), 0);
	return count;
}

static uint64_t next_free(void)
{
	for (uint64_t i = 0; i < NR_DATA; i++) {
		uint64_t b = (model.cursor + i) % NR_DATA;

		if (!model.now[b] && !model.old[b])
			return b;
	}
	return NR_DATA;
}

static void compare(struct world *w)
{
	uint64_t nr_now = 0, nr_old = 0, nr_fresh = 0;

	for (uint64_t b = 0; b < NR_DATA; b++) {
		if (count_of(&w->data, b) != model.now[b])
			printf("# block %llu\n", (unsigned long long)b);
		check_eq(count_of(&w->data, b), model.now[b]);
		nr_now += model.now[b] > 0;
		nr_old += model.old[b] > 0;
		nr_fresh += model.now[b] && !model.old[b];
	}
	check_eq(w->data.nr_allocated, nr_now);
	check_eq(sm_edit_free_blocks(&w->data), NR_DATA - nr_now);
	check_eq(sm_edit_usable(&w->data), NR_DATA - nr_old - nr_fresh);
}

/* Few blocks, so that many counts pass two in both directions. */
static uint64_t any_block(void)
{
	static const uint32_t near[] = { 0, 16319, 16320, 32639, 32640, NR_DATA - 1 };

	return rnd(3) ? rnd(8) * 5003 : near[rnd(ARRAY_SIZE(near))];
}

static void change(struct world *w)
{
	uint64_t b = any_block(), got;
	uint32_t left;

	switch (rnd(5)) {
	case 0:
	case 1:
		check_eq(sm_edit_inc(&w->data, b, &err), 0);
		model.now[b]++;
		break;
	case 2:
	case 3:
		if (!model.now[b])
			break;
		check_eq(sm_edit_dec(&w->data, b, &left, &err), 0);
		check_eq(left, --model.now[b]);
		break;
	default:
		check_eq(sm_edit_alloc(&w->data, &got, &err), 0);
		check_eq(got, next_free());
		model.now[got] = 1;
		model.cursor = got + 1;
	}
	if (rnd(4) == 0)
		check_eq(count_of(&w->data, b), model.now[b]);
	if (rnd(4) == 0 && model.now[b])
		check_eq(sm_edit_is_fresh(&w->data, b, &err), !model.old[b]);
}

/* The metadata map counts as many blocks as it says, and its own trees among them. */
static void check_self(struct world *w)
{
	struct sm_edit *self = transaction_map(w->t);
	uint64_t used = 0;

	for (uint64_t b = 0; b < self->nr_blocks; b++)
		used += count_of(self, b) > 0;
	check_eq(used, w->self_root.nr_allocated);
	check_eq(count_of(self, 0), 1);
	check_eq(count_of(self, w->self_root.bitmap_root), 1);
	check_eq(count_of(self, w->self_root.ref_count_root), 1);
	check_eq(count_of(self, w->data_root.bitmap_root), 1);
	check_eq(count_of(self, w->data_root.ref_count_root), 1);
	check(used < 12); /* nothing is left behind by a commit */
}

static void story(uint64_t seed)
{
	struct world w;
	struct io *io = new_io(NR_META);

	rnd_begin(seed);
	memset(&model, 0, sizeof(model));
	check_eq(world_make(&w, io, NR_DATA), 0);
	for (unsigned round = 0; round < 12; round++) {
		for (unsigned i = 0; i < 60; i++)
			change(&w);
		compare(&w);
		if (rnd(4) == 0) {
			world_abort(&w);
			memcpy(model.now, model.old, sizeof(model.now));
		} else {
			check_eq(world_commit(&w), 0);
			memcpy(model.old, model.now, sizeof(model.old));
		}
		if (rnd(3) == 0) {
			world_close(&w);
			check_eq(world_open(&w), 0);
			model.cursor = 0;
		}
		compare(&w);
		check_self(&w);
	}
	world_close(&w);
	io_free(io);
}

static void stories(void)
{
	each_seed(story);
}

/* --- a full map --- */

static void full(void)
{
	struct world w;
	struct io *io = new_io(NR_META);
	uint64_t b;
	uint32_t left;

	check_eq(world_make(&w, io, 20000), 0);
	for (uint64_t i = 0; i < 20000; i++) {
		check_eq(sm_edit_alloc(&w.data, &b, &err), 0);
		check_eq(b, i);
	}
	for (unsigned i = 0; i < 2; i++) {
		check_eq(-sm_edit_alloc(&w.data, &b, &err), EXFULL);
		check_str(err.text, "no free data block (20000 in all)");
	}
	check_eq(sm_edit_free_blocks(&w.data), 0);
	/* a block of this transaction can be taken again at once */
	check_eq(sm_edit_dec(&w.data, 16321, &left, &err), 0);
	check_eq(sm_edit_usable(&w.data), 1);
	check_eq(sm_edit_alloc(&w.data, &b, &err), 0);
	check_eq(b, 16321);
	check_eq(world_commit(&w), 0);
	/* one of the last transaction only after the commit */
	check_eq(sm_edit_dec(&w.data, 7, &left, &err), 0);
	check_eq(sm_edit_dec(&w.data, 19999, &left, &err), 0);
	check_eq(-sm_edit_alloc(&w.data, &b, &err), EXFULL);
	check_eq(sm_edit_usable(&w.data), 0);
	check_eq(sm_edit_free_blocks(&w.data), 2);
	check_eq(world_commit(&w), 0);
	world_close(&w);
	check_eq(world_open(&w), 0);
	check_eq(sm_edit_usable(&w.data), 2);
	check_eq(sm_edit_alloc(&w.data, &b, &err), 0);
	check_eq(b, 7);
	check_eq(sm_edit_alloc(&w.data, &b, &err), 0);
	check_eq(b, 19999);
	check_eq(-sm_edit_alloc(&w.data, &b, &err), EXFULL);
	world_close(&w);
	io_free(io);
}

/* The index says how much is free: a bitmap without anything free is not read. */
static void full_bitmap(void)
{
	struct world w;
	struct io *mem = new_io(NR_META), *io = io_fault_new(mem);
	uint64_t b, reads;

	check(io);
	check_eq(world_make(&w, io, 3 * 16320), 0);
	for (uint64_t i = 0; i < 2 * 16320; i++)
		check_eq(sm_edit_alloc(&w.data, &b, &err), 0);
	check_eq(world_commit(&w), 0);
	world_close(&w);
	check_eq(world_open(&w), 0);
	reads = io_fault_nr_reads(io);
	check_eq(sm_edit_alloc(&w.data, &b, &err), 0);
	check_eq(b, 2 * 16320);
	check_eq(io_fault_nr_reads(io) - reads, 2); /* the index, one bitmap */
	world_close(&w);
	io_free(io);
}

/* --- growing --- */

/* Where the bitmap @i of the data map is. */
static mblock_t bitmap_at(struct world *w, uint64_t i)
{
	struct disk_index_entry e;

	check_eq(btree_lookup(&w->data.index_tree, i, &e, &err), 0);
	return le64_get(e.blocknr);
}

static void growing(void)
{
	struct world w;
	struct io *io = new_io(NR_META);
	struct disk_bitmap *bm;
	mblock_t at;

	check_eq(world_make(&w, io, 101), 0);
	check_eq(sm_edit_inc(&w.data, 100, &err), 0);
	check_eq(world_commit(&w), 0);
	at = bitmap_at(&w, 0);
	bm = (void *)world_block(io, at);
	memset(bm->bits + 26, 0xff, 100); /* blocks 104 and on */
	bm->bits[25] |= 0xfc;		  /* 101 to 103 */
	csum_seal(bm, at, SALT_BITMAP);
	world_close(&w);
	check_eq(world_open(&w), 0);
	check_eq(sm_edit_grow(&w.data, 40000, &err), 0);
	check_eq(world_commit(&w), 0);
	world_close(&w);
	check_eq(world_open(&w), 0);
	for (uint64_t b = 0; b < 40000; b++)
		check_eq(count_of(&w.data, b), b == 100);
	check_eq(w.data.nr_allocated, 1);
	bm = (void *)world_block(io, bitmap_at(&w, 0));
	check_eq(bm->bits[25], 0x02);
	check_eq(bm->bits[26], 0);
	check_eq(sm_edit_grow(&w.data, 40000, &err), 0);
	check_eq(-sm_edit_grow(&w.data, 39999, &err), EINVAL);
	check_str(err.text, "a data space map cannot go from 40000 to 39999 blocks");
	check_eq(sm_edit_grow(transaction_map(w.t), 255ull * 16320, &err), 0);
	check_eq(-sm_edit_grow(transaction_map(w.t), 255ull * 16320 + 1, &err), EINVAL);
	world_close(&w);
	io_free(io);
}

/* --- maps that cannot be --- */

static void refused(int r, int code, const char *text)
{
	if (r != code || !strstr(err.text, text))
		printf("# %d, '%s'\n", r, err.text);
	check_eq(-r, -code);
	check(strstr(err.text, text));
}

static void impossible(void)
{
	struct world w;
	struct io *io = new_io(NR_META);
	struct sm_edit *data = &w.data;
	uint32_t left;
	uint64_t b;
	le32 n = le32_make(UINT32_MAX);

	check_eq(world_make(&w, io, NR_DATA), 0);
	refused(sm_edit_count(data, NR_DATA, &left, &err), -EUCLEAN,
		"data block 40000 lies beyond the end (40000 blocks)");
	refused(sm_edit_inc(data, NR_DATA, &err), -EUCLEAN, "lies beyond the end");
	refused(sm_edit_is_fresh(data, NR_DATA, &err), -EUCLEAN, "lies beyond the end");
	refused(sm_edit_dec(data, 5, &left, &err), -EUCLEAN,
		"data block 5 is counted as free but still in use");
	for (unsigned i = 0; i < 3; i++)
		for (uint64_t k = 5; k < 8; k++)
			check_eq(sm_edit_inc(data, k, &err), 0);
	check_eq(world_commit(&w), 0);
	check_eq(sm_edit_inc(data, 7, &err), 0);
	check_eq(data->nr_dirty, 0); /* its pair stays */
	world_abort(&w);
	check_eq(btree_overwrite(&data->overflow, 5, &n, &err), 0);
	check_eq(count_of(data, 5), UINT32_MAX);
	refused(sm_edit_inc(data, 5, &err), -EUCLEAN, "data block 5 is used too often");
	check_eq(sm_edit_dec(data, 5, &left, &err), 0);
	check_eq(left, UINT32_MAX - 1);
	check_eq(btree_remove(&data->overflow, 6, &err), 0);
	refused(sm_edit_count(data, 6, &left, &err), -EUCLEAN,
		"data block 6 is marked as used more than twice, but its count is missing");
	n = le32_make(2);
	check_eq(btree_overwrite(&data->overflow, 7, &n, &err), 0);
	refused(sm_edit_dec(data, 7, &left, &err), -EUCLEAN, "but its count is missing");
	world_close(&w);
	check_eq(world_open(&w), 0);
	check_eq(btree_remove(&data->index_tree, 1, &err), 0);
	refused(sm_edit_count(data, 20000, &left, &err), -EUCLEAN,
		"the data space map has no bitmap for blocks from 16320 on");
	data->cursor = 16320;
	refused(sm_edit_alloc(data, &b, &err), -EUCLEAN, "has no bitmap");
	world_close(&w);
	io_free(io);
}

static void damaged(void)
{
	struct world w;
	struct io *io = new_io(NR_META);
	uint32_t count;
	uint64_t b;

	check_eq(world_make(&w, io, NR_DATA), 0);
	world_block(io, bitmap_at(&w, 2))[100] ^= 1;
	world_close(&w);
	check_eq(world_open(&w), 0);
	check_eq(count_of(&w.data, 32639), 0);
	refused(sm_edit_count(&w.data, 32640, &count, &err), -EBADMSG,
		"bitmap 2 of the data space map");
	w.data.cursor = 32640;
	refused(sm_edit_alloc(&w.data, &b, &err), -EBADMSG, "bitmap 2 of the data space map");
	world_close(&w);
	world_block(io, w.self_root.bitmap_root)[100] ^= 1;
	check_eq(world_open(&w), 0);
	refused(sm_edit_count(transaction_map(w.t), 1, &count, &err), -EBADMSG, "");
	world_close(&w);
	world_block(io, w.self_root.bitmap_root)[100] ^= 1;
	w.self_root.nr_blocks = 256ull * 16320;
	check_eq(world_open(&w), 0);
	refused(sm_edit_count(transaction_map(w.t), 255ull * 16320, &count, &err), -EUCLEAN,
		"the metadata space map has too many blocks");
	world_close(&w);
	io_free(io);
}

/* --- memory --- */

static void trimming(void)
{
	enum { NR_PAGES = 4100, NR_BIG = 262144 + 10 };
	struct world w;
	struct io *io = new_io(12000);

	check_eq(world_make(&w, io, (uint64_t)NR_PAGES * 16320), 0);
	for (uint64_t i = 0; i < 4096; i++)
		check_eq(count_of(&w.data, i * 16320), 0);
	world_close(&w);
	check_eq(world_open(&w), 0);
	for (uint64_t i = 0; i < 4096; i++)
		check_eq(count_of(&w.data, i * 16320), 0);
	check_eq(sm_edit_trim(&w.data, &err), 0);
	check_eq(w.data.pages.nr, 4096);
	for (uint64_t i = 4096; i < NR_PAGES; i++)
		check_eq(sm_edit_inc(&w.data, i * 16320, &err), 0);
	check_eq(sm_edit_trim(&w.data, &err), 0); /* what is changed counts for nothing */
	check_eq(w.data.pages.nr, NR_PAGES);
	check_eq(count_of(&w.data, 1), 0);
	world_abort(&w);
	for (uint64_t b = 0; b < NR_BIG; b++)
		for (unsigned k = 0; k < 3; k++)
			check_eq(sm_edit_inc(&w.data, b, &err), 0);
	check_eq(w.data.overflows.nr, NR_BIG);
	for (uint64_t i = NR_BIG / 16320 + 1; i < NR_PAGES; i++)
		check_eq(count_of(&w.data, i * 16320), 0);
	check_eq(sm_edit_trim(&w.data, &err), 0);
	check_eq(w.data.overflows.nr, 0);
	for (uint64_t b = 0; b < NR_BIG; b++)
		check_eq(count_of(&w.data, b), 3);
	check_eq(w.data.nr_dirty, w.data.pages.nr - (NR_PAGES - NR_BIG / 16320 - 1));
	for (uint64_t i = NR_BIG / 16320 + 1; i < NR_PAGES; i++)
		check_eq(sm_edit_inc(&w.data, i * 16320, &err), 0);
	check_eq(world_commit(&w), 0);
	check_eq(w.data.pages.nr, NR_PAGES);
	check_eq(sm_edit_trim(&w.data, &err), 0);
	check_eq(w.data.pages.nr, 0);
	check_eq(count_of(&w.data, 0), 3);
	check_eq(count_of(&w.data, (NR_PAGES - 1) * 16320ull), 1);
	world_close(&w);
	io_free(io);
}

/* --- failing --- */

static int life(struct io *io, struct world *w)
{
	uint64_t b;
	uint32_t left;
	int r = world_make(w, io, NR_DATA);

	for (unsigned i = 0; !r && i < 5; i++)
		r = sm_edit_inc(&w->data, 17000, &err);
	if (!r)
		r = world_commit(w);
	if (r)
		return r;
	world_close(w);
	r = world_open(w);
	if (!r)
		r = sm_edit_dec(&w->data, 17000, &left, &err);
	check(r || left == 4);
	if (!r)
		r = sm_edit_alloc(&w->data, &b, &err);
	check(r || b == 0);
	if (!r)
		r = sm_edit_grow(&w->data, NR_DATA + 16320, &err);
	return r ? r : world_commit(w);
}

static int live_and_close(struct io *io)
{
	struct world w;
	int r = life(io, &w);

	world_close(&w);
	return r;
}

static void no_memory(void)
{
	struct io *io = new_io(NR_META);

	check_each_request_failing(live_and_close(io), &err);
	io_free(io);
}

static void fail_each(bool writes)
{
	bool hit = true;
	uint64_t n;

	for (n = 0; hit; n++) {
		struct io *io = io_fault_new(new_io(NR_META));
		int r;

		check(io);
		err.text[0] = 0;
		if (writes)
			io_fault_fail_write(io, n, -EIO);
		else
			io_fault_fail_read(io, n, -EIO);
		r = live_and_close(io);
		hit = (writes ? io_fault_nr_writes(io) : io_fault_nr_reads(io)) > n;
		check_eq(-r, hit ? EIO : 0);
		check(!r || err.text[0]);
		io_free(io);
	}
	check(n > 4);
}

static void failing_device(void)
{
	fail_each(false);
	fail_each(true);
}

int main(int argc, char **argv)
{
	static const struct test tests[] = {
		{ "counts, free blocks and what is taken next are those of an array", stories },
		{ "a full map gives what was freed in this transaction, and the rest after a "
		  "commit",
		  full },
		{ "a bitmap without a free block is not read", full_bitmap },
		{ "a map grows over junk behind its end, and never shrinks", growing },
		{ "counts that cannot be are refused with their block", impossible },
		{ "a damaged bitmap or index is told", damaged },
		{ "a trim bounds the memory and loses no count", trimming },
		{ "each request for memory that fails is told", no_memory },
		{ "each read or write that fails is told", failing_device },
		{ 0 },
	};

	return tap_main(tests, argc, argv);
}
