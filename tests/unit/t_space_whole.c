/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Space maps that are written whole, and read whole. */
#include <errno.h>

#include "failing.h"
#include "io_fault.h"
#include "pdata/map/read.h"
#include "pdata/map/write.h"
#include "random.h"
#include "tap.h"

#define NR_META 400u
#define NR_DATA 50000u /* four bitmaps */

static struct err err;

static struct refmap *new_counts(uint64_t nr)
{
	struct refmap *m = refmap_new(nr, false);

	check(m);
	return m;
}

static struct refmap *some_counts(void)
{
	struct refmap *m = new_counts(NR_DATA);

	for (unsigned i = 0; i < 3000; i++)
		refmap_set(m, rnd(NR_DATA), (uint32_t)rnd(6));
	for (uint64_t b = 0; b < 16320; b++) /* nothing of the first bitmap is free */
		refmap_set(m, b, MAX(refmap_get(m, b), 1u));
	return m;
}

/* Both maps on @io. */
static int write_on(struct io *io, const struct refmap *counts, struct sm_root *data,
		    struct sm_root *self, uint64_t *nr_used)
{
	struct refmap *meta = refmap_new(NR_META, false);
	struct block_writer w;
	int r = meta ? block_writer_init(&w, io, NR_META, meta, &err)
		     : err_nomem(&err, "counts of metadata blocks");

	if (r) {
		refmap_free(meta);
		return r;
	}
	r = sm_write_data(&w, counts, data, &err);
	if (!r)
		r = sm_write_metadata(&w, self, &err);
	if (!r)
		r = block_writer_finish(&w, &err);
	check(r || (data->bitmap_root && data->ref_count_root));
	check(r || (self->bitmap_root && self->ref_count_root));
	*nr_used = w.next;
	block_writer_fini(&w);
	refmap_free(meta);
	return r;
}

static struct io *new_io(void)
{
	struct io *io = io_mem_new("metadata", (uint64_t)NR_META * MBLOCK_SIZE);

	check(io);
	return io;
}

static const uint8_t *block_of(struct io *mem, mblock_t b)
{
	return (const uint8_t *)io_mem_data(mem) + b * MBLOCK_SIZE;
}

/* --- reading --- */

struct seen {
	struct refmap *counts;
	unsigned nr, nr_failed;
	int status[8];
};

static int take_bitmap(void *ctx, unsigned worker, uint64_t index, const struct disk_bitmap *bm,
		       int status)
{
	struct seen *s = ctx;

	(void)worker;
	check(index < ARRAY_SIZE(s->status));
	s->nr++;
	s->status[index] = status;
	s->nr_failed += status < 0;
	check(!bm == (status < 0));
	if (bm && s->counts)
		refmap_from_bitmap(s->counts, index, bm->bits);
	return 0;
}

/* The index of the data map: one leaf. */
static struct sm_index index_of(struct io *mem, const struct sm_root *root, uint32_t beyond)
{
	struct sm_index x;
	struct node leaf;

	check_eq(node_open(&leaf, block_of(mem, root->bitmap_root), root->bitmap_root,
			   sizeof(struct disk_index_entry)),
		 NODE_OK);
	check_eq(sm_index_init(&x, root->nr_blocks, &err), 0);
	check_eq(sm_index_take(&x, &leaf), beyond);
	return x;
}

static void both_ways(uint64_t seed)
{
	struct refmap *counts;
	struct io *io = new_io();
	struct seen s = { .counts = new_counts(NR_DATA) };
	struct sm_root data, self;
	struct sm_index x;
	struct stream stream;
	uint64_t nr_used;

	rnd_begin(seed);
	counts = some_counts();
	check_eq(write_on(io, counts, &data, &self, &nr_used), 0);
	check_eq(data.nr_allocated, refmap_nr_allocated(counts));
	check_eq(self.nr_allocated + 1,
		 nr_used); /* block 0 is the superblock's, whose writer counts it */
	x = index_of(io, &data, 0);
	check_eq(x.nr, 4);
	stream_init(&stream, io, NULL);
	check_eq(sm_read_bitmaps(&stream, &x, take_bitmap, &s, &err), 0);
	check_eq(s.nr, 4);
	check_eq(s.nr_failed, 0);
	for (uint64_t b = 0; b < NR_DATA; b++)
		check_eq(refmap_get(s.counts, b), MIN(refmap_get(counts, b), 3u));
	check_eq(x.entry[0].nr_free, 0);
	check_eq(x.entry[0].none_free_before, 0);
	for (uint64_t i = 1; i < 4; i++) {
		uint64_t used = 0, first = refmap_find_free(counts, i * 16320);

		for (uint64_t b = i * 16320; b < MIN((i + 1) * 16320, (uint64_t)NR_DATA); b++)
			used += refmap_get(counts, b) > 0;
		check_eq(x.entry[i].nr_free, 16320 - used);
		check_eq(x.entry[i].none_free_before, first - i * 16320);
	}
	sm_index_fini(&x);
	check_eq(sm_index_init(&x, NR_META, &err), 0);
	check_eq(sm_index_decode(&x, block_of(io, self.bitmap_root), self.bitmap_root), 0);
	check(x.entry[0].present);
	check_eq(-sm_index_decode(&x, block_of(io, self.bitmap_root), 1), ENOTBLK);
	sm_index_fini(&x);
	refmap_free(s.counts);
	refmap_free(counts);
	io_free(io);
}

static void both(void)
{
	each_seed(both_ways);
}

/* --- what a wrong index names --- */

static int stop_at_repeat(void *ctx, unsigned worker, uint64_t index, const struct disk_bitmap *bm,
			  int status)
{
	(void)ctx, (void)worker, (void)index, (void)bm;
	return status == -EEXIST ? -ECANCELED : 0;
}

static void wrong_index(void)
{
	struct refmap *counts;
	struct io *io = new_io();
	struct sm_root data, self, less;
	struct seen s = { 0 };
	struct sm_index x;
	struct stream stream;
	uint64_t nr_used;

	rnd_begin(1);
	counts = some_counts();
	check_eq(write_on(io, counts, &data, &self, &nr_used), 0);
	stream_init(&stream, io, NULL);
	less = data;
	less.nr_blocks = 2 * 16320;
	x = index_of(io, &less, 2);
	check_eq(x.nr, 2);
	sm_index_fini(&x);
	x = index_of(io, &data, 0);
	x.entry[1].block = x.entry[0].block;
	x.entry[2].block = NR_META + 5;
	x.entry[3].block = self.bitmap_root;
	check_eq(sm_read_bitmaps(&stream, &x, take_bitmap, &s, &err), 0);
	check_eq(s.nr, 4);
	check_eq(s.status[0], 0);
	check_eq(-s.status[1], EEXIST);
	check_eq(-s.status[2], ENXIO);
	check_eq(-s.status[3], EBADMSG);
	check_eq(-sm_read_bitmaps(&stream, &x, stop_at_repeat, NULL, &err), ECANCELED);
	x.entry[0].present = false;
	x.entry[2].present = false;
	s = (struct seen) { 0 };
	check_eq(sm_read_bitmaps(&stream, &x, take_bitmap, &s, &err), 0);
	check_eq(s.nr, 2);
	check_eq(s.status[1], 0); /* the other one that named its block is gone */
	sm_index_fini(&x);
	refmap_free(counts);
	io_free(io);
}

/* --- limits --- */

static int write_metadata_of(uint64_t nr_blocks, bool *is_full)
{
	struct refmap *meta = new_counts(nr_blocks);
	struct io *io = new_io();
	struct block_writer w;
	struct sm_root root;
	int r;

	err.text[0] = 0;
	check_eq(block_writer_init(&w, io, NR_META, meta, &err), 0);
	r = sm_write_metadata(&w, &root, &err);
	*is_full = block_writer_full(&w);
	check(r || w.next - 1 == sm_write_metadata_blocks(nr_blocks));
	block_writer_fini(&w);
	refmap_free(meta);
	io_free(io);
	return r;
}

static void limits(void)
{
	bool is_full;

	check_eq(write_metadata_of(255ull * 16320, &is_full), 0);
	check(!is_full);
	check_eq(-write_metadata_of(255ull * 16320 + 1, &is_full), EFBIG);
	check_str(err.text, "more metadata blocks than the format can describe");
	check_eq(sm_write_data_blocks(0), 2);
	check_eq(sm_write_data_blocks(1), 3);
	check_eq(sm_write_data_blocks(16320), 3);
	check_eq(sm_write_data_blocks(16321), 4);
}

/* --- failing --- */

static int write_and_read(struct io *io, const struct refmap *counts)
{
	struct sm_root data, self;
	struct seen s = { 0 };
	struct sm_index x = { 0 };
	struct stream stream;
	uint64_t nr_used;
	int r = write_on(io, counts, &data, &self, &nr_used);

	if (!r)
		r = sm_index_init(&x, data.nr_blocks, &err);
	for (uint64_t i = 0; !r && i < x.nr; i++)
		x.entry[i] = (struct sm_entry) { .block = 1 + i, .present = true };
	stream_init(&stream, io, NULL);
	if (!r)
		r = sm_read_bitmaps(&stream, &x, take_bitmap, &s, &err);
	check(r || s.nr == 4);
	sm_index_fini(&x);
	return r;
}

static void no_memory(void)
{
	struct io *io = new_io();
	struct refmap *counts = some_counts();

	check_each_request_failing(write_and_read(io, counts), &err);
	refmap_free(counts);
	io_free(io);
}

static void failing_writes(void)
{
	struct refmap *counts = new_counts(NR_DATA);
	bool hit = true;
	uint64_t n;

	/* a tree of counts that is longer than one request of the writer */
	for (uint64_t b = 0; b < NR_DATA; b++)
		refmap_set(counts, b, 4);
	for (n = 0; hit; n++) {
		struct io *io = io_fault_new(new_io());
		struct sm_root data, self;
		uint64_t nr_used;
		int r;

		check(io);
		err.text[0] = 0;
		io_fault_fail_write(io, n, -EIO);
		r = write_on(io, counts, &data, &self, &nr_used);
		hit = io_fault_nr_writes(io) > n;
		check_eq(-r, hit ? EIO : 0);
		check(!r || err.text[0]);
		io_free(io);
	}
	check(n > 1);
	refmap_free(counts);
}

int main(int argc, char **argv)
{
	static const struct test tests[] = {
		{ "what was written is read, and the index has what is free", both },
		{ "a bitmap that two name, that is damaged or is no block is told by its number",
		  wrong_index },
		{ "the largest metadata map is written, a larger one refused", limits },
		{ "each request for memory that fails is told", no_memory },
		{ "each write that fails is told", failing_writes },
		{ 0 },
	};

	return tap_main(tests, argc, argv);
}
