/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Each request for memory of a library call fails once.  It returns -ENOMEM and gives back what it had,
 * or it can do without and its result is the same.
 */
#include <errno.h>

#include "failing.h"
#include "pool/build/build.h"
#include "pool/check/check.h"
#include "pool/check/fix.h"
#include "pool/format/format.h"
#include "pdata/block/csum.h"
#include "tap.h"
#include "volume/target/target.h"

#define NR_BLOCKS 1024
#define NR_DATA	  20000
#define BS	  (128u * 512)

static struct err err;

/* --- a pool that three devices share in part --- */

static int tell_runs(struct events *e, uint64_t from, uint64_t to)
{
	int r = 0;

	for (uint64_t i = 0; !r && i < 1500; i++) {
		struct run run = {
			.vbegin = from + i * 2, .dbegin = to + (i * 7) % 1500, .len = 1, .time = 1
		};

		r = e->ops->runs(e->ctx, &run, 1, &err);
	}
	return r;
}

static int tell_pool(struct events *e)
{
	struct pool_info p = {
		.time = 5, .transaction = 9, .data_block_size = 128, .nr_data_blocks = NR_DATA
	};
	int r = e->ops->begin_pool(e->ctx, &p, &err);

	if (!r)
		r = e->ops->begin_def(e->ctx, 1, &err);
	if (!r)
		r = tell_runs(e, 0, 15000);
	if (!r)
		r = e->ops->end_def(e->ctx, &err);
	for (uint32_t dev = 1; !r && dev <= 3; dev++) {
		struct device_info d = {
			.dev_id = dev, .transaction = 1, .creation_time = 1, .snap_time = 4
		};

		r = e->ops->begin_device(e->ctx, &d, &err);
		if (!r)
			r = e->ops->ref(e->ctx, 1, &err);
		if (!r)
			r = tell_runs(e, 10000, dev * 2000);
		if (!r)
			r = e->ops->end_device(e->ctx, &err);
	}
	return r ? r : e->ops->end_pool(e->ctx, &err);
}

static int build(struct io *io)
{
	struct events e = { 0 };
	int r = build_new(io, NULL, &e, &err);

	if (r)
		return r;
	r = tell_pool(&e);
	build_free(&e);
	return r;
}

static struct io *new_io(void)
{
	struct io *io = io_mem_new("pool", (uint64_t)NR_BLOCKS * MBLOCK_SIZE);

	check(io);
	return io;
}

static struct io *new_pool(void)
{
	struct io *io = new_io();

	check_eq(build(io), 0);
	return io;
}

/* --- thin_restore's work --- */

static void building(void)
{
	struct io *io = new_io();

	check_each_request_failing(build(io), &err);
	io_free(io);
}

/* --- thin_check's --- */

static uint8_t *block_of(struct io *io, mblock_t b)
{
	return (uint8_t *)io_mem_data(io) + b * MBLOCK_SIZE;
}

/* A free metadata block is counted as used: a leak, that can be mended. */
static void leak(struct io *io)
{
	const struct disk_superblock *sb = (const void *)block_of(io, 0);
	const struct disk_index *x =
		(const void *)block_of(io, le64_get(sb->metadata_sm.bitmap_root));
	const mblock_t at = le64_get(x->entry[0].blocknr);
	struct disk_bitmap *bm = (void *)block_of(io, at);

	bm->bits[(NR_BLOCKS - 8) / 4] |= 1 << 1;
	csum_seal(bm, at, SALT_BITMAP);
}

/* A leaf of mappings is lost: its owners are looked for. */
static void lose(struct io *io)
{
	for (mblock_t b = 1; b < NR_BLOCKS; b++) {
		struct disk_node *n = (void *)block_of(io, b);

		if (le32_get(n->h.flags) != NODE_LEAF || le32_get(n->h.value_size) != 8 ||
		    le32_get(n->h.nr_entries) < 100)
			continue;
		block_of(io, b)[2000] ^= 1;
		return;
	}
	check(!"no leaf is there");
}

static int check_and_fix(struct io *io, unsigned nr_jobs, bool fix)
{
	struct check_options opt = { 0 };
	struct check_result result = { 0 };
	struct fix_report rep = { 0 };
	struct jobs *jobs = jobs_new(nr_jobs);
	int r = jobs ? check_run(io, jobs, &opt, &result, &err) : err_nomem(&err, "jobs");

	if (!r && fix)
		r = fix_run(io, jobs, &result, &rep, &err);
	check_result_fini(&result);
	jobs_free(jobs);
	return r;
}

static int fix_again(struct io *io)
{
	leak(io);
	return check_and_fix(io, 1, true);
}

static void checking(void)
{
	struct io *io = new_pool();

	check_each_request_failing(check_and_fix(io, 1, false), &err);
	check_each_request_failing(check_and_fix(io, 3, false), &err);
	check_each_request_failing(fix_again(io), &err);
	lose(io);
	check_each_request_failing(check_and_fix(io, 1, false), &err);
	io_free(io);
}

/* --- the plugin's --- */

static int serve(struct io *meta, struct io *data)
{
	struct message m[] = { { MSG_CREATE_THIN, { 0, 0 } }, { MSG_CREATE_SNAP, { 1, 0 } } };
	static uint8_t bytes[3 * BS];
	struct target_options opt = { 0 };
	struct target_dev *dev;
	struct pool_edit *pool;
	struct target *t;
	int r = edit_format(meta, BS / 512, &pool, &err);

	if (r)
		return r;
	r = edit_grow_data(pool, 40, &err);
	if (!r)
		r = target_new(pool, data, &opt, &t, &err);
	if (r) {
		edit_free(pool);
		return r;
	}
	r = target_message(t, &m[0], 1, &err);
	if (!r)
		r = target_device(t, 0, 20ull * BS, NULL, &dev, &err);
	if (!r)
		r = target_write(dev, bytes, sizeof(bytes), BS / 2, &err);
	if (!r)
		r = target_message(t, &m[1], 1, &err);
	if (!r)
		r = target_write(dev, bytes, 4096, BS, &err);
	if (!r)
		r = target_discard(dev, 2ull * BS, 0, &err);
	if (!r)
		r = target_zero(dev, 5ull * BS, 100, true, &err);
	if (!r)
		r = target_read(dev, bytes, sizeof(bytes), 0, &err);
	if (r) {
		target_drop(t);
		return r;
	}
	return target_close(t, &err);
}

static int serve_again(void)
{
	struct io *meta = io_mem_new("metadata", 300 * MBLOCK_SIZE),
		  *data = io_mem_new("data", 40ull * BS);
	int r = meta && data ? serve(meta, data) : err_nomem(&err, "disks");

	if (meta)
		io_free(meta);
	if (data)
		io_free(data);
	return r;
}

static void serving(void)
{
	check_each_request_failing(serve_again(), &err);
}

static const struct test tests[] = { { "metadata is built", building },
				     { "a pool is checked and mended", checking },
				     { "a device is written, shared, discarded, zeroed and read",
				       serving },
				     { 0 } };

int main(int argc, char **argv)
{
	return tap_main(tests, argc, argv);
}
