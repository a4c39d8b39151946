/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include <errno.h>

#include "base/err.h"
#include "dumb.h"
#include "pool/build/build.h"
#include "pool/format/format.h"
#include "pool/format/superblock.h"
#include "story.h"
#include "tap.h"

static void tiny(void)
{
	struct io *io = io_mem_new("mem", 64 * 4096);
	struct events e = sink(io);
	struct dumb d;

	check_eq(begin(&e), 0);
	for (uint32_t id = 1; id <= 3; id++) {
		check_eq(begin_device(&e, id), 0);
		check_eq(run(&e, 0, 10, id < 3 ? 3 : 1), 0);
		if (id != 2)
			check_eq(run(&e, 6 + id, 10 * (id + 1) / 2, 1), 0);
		check_eq(e.ops->end_device(e.ctx, &err), 0);
	}
	check_eq(e.ops->end_pool(e.ctx, &err), 0);
	build_free(&e);
	dumb_read(&d, io_mem_data(io), io->size);
	check_str(d.why, "");
	check_eq(d.nr_map, 9);
	check_eq(d.data_count[10], 4);
	check_eq(d.data_count[12], 2);
	check_eq(d.nr_used, 15); /* 4 data bitmaps */
	check_eq(d.dev[2].dev, 3);
	check_eq(d.dev[2].mapped, 2);
	check_eq(d.dev[2].transaction, 4);
	check_eq(d.time, 9);
	check_eq(d.transaction, 77);
	dumb_fini(&d);
	io_free(io);
}

static void random_sharing(void)
{
	struct model m = new_model();
	struct io *io;
	struct events e;

	for (uint64_t s = 1; s <= 60; s++) {
		io = io_mem_new("mem", 4000 * 4096);
		io->direct = s % 2; /* written by one thread, or by several */
		e = sink(io);
		if (tell(&e, s, &m))
			printf("# seed %llu: %s\n", (unsigned long long)s, err.text);
		build_free(&e);
		check_good(io, &m);
		io_free(io);
	}
	free(m.map);
}

static void sharing_kept(void)
{
	struct io *io = io_mem_new("mem", 100 * 4096);
	struct events e = sink(io);
	struct dumb d;
	uint64_t shared = 0;

	check_eq(begin(&e) ?: one_def(&e, 5, 0, 1000) ?: one_def(&e, 6, 2000, 500), 0);
	for (uint32_t id = 1; id <= 4; id++) {
		check_eq(begin_device(&e, id) ?: e.ops->ref(e.ctx, 5, &err), 0);
		check_eq(run(&e, 1500, 1500 + id * 100, 90), 0);
		check_eq(e.ops->ref(e.ctx, 6, &err) ?: e.ops->end_device(e.ctx, &err), 0);
	}
	check_eq(e.ops->end_pool(e.ctx, &err), 0);
	build_free(&e);
	dumb_read(&d, io_mem_data(io), io->size);
	check_str(d.why, "");
	check_eq(d.nr_map, 4 * 1590);
	for (uint64_t b = 0; b < d.nr; b++)
		shared += d.meta_count[b] == 4;
	check_eq(shared, 6); /* leaves: 4 of 1000 entries, 2 of 500 */
	check_eq(d.data_count[0], 1);
	check_eq(d.data_count[2400], 1);
	check_eq(d.nr_underfull, 0);
	dumb_fini(&d);
	io_free(io);
}

static void small_defs(void)
{
	struct io *io = io_mem_new("mem", 100 * 4096);
	struct events e = sink(io);
	struct dumb d;

	/* a def alone in its devices is shared though it is small; beside others it is copied */
	check_eq(begin(&e) ?: one_def(&e, 1, 0, 3) ?: one_def(&e, 2, 3, 130), 0);
	for (uint32_t id = 1; id <= 4; id++) {
		check_eq(begin_device(&e, id) ?: e.ops->ref(e.ctx, 1, &err), 0);
		if (id > 2)
			check_eq(e.ops->ref(e.ctx, 2, &err), 0);
		check_eq(e.ops->end_device(e.ctx, &err), 0);
	}
	check_eq(e.ops->end_pool(e.ctx, &err), 0);
	build_free(&e);
	dumb_read(&d, io_mem_data(io), io->size);
	check_str(d.why, "");
	check_eq(d.dev[0].root, d.dev[1].root);
	check_eq(d.meta_count[d.dev[0].root], 2);
	check_eq(d.data_count[0], 3); /* the shared leaf and two copies */
	check_eq(d.data_count[3], 2); /* nobody shares the def of 130 */
	check_eq(d.nr_underfull, 0);
	dumb_fini(&d);
	io_free(io);
}

static void unused_def(void)
{
	struct io *io = io_mem_new("mem", 100 * 4096);
	struct events e = sink(io);
	struct dumb d;

	check_eq(begin(&e) ?: one_def(&e, 1, 0, 700), 0);
	check_eq(begin_device(&e, 1) ?: run(&e, 5, 100, 10) ?: e.ops->end_device(e.ctx, &err), 0);
	check_eq(e.ops->end_pool(e.ctx, &err), 0);
	build_free(&e);
	dumb_read(&d, io_mem_data(io), io->size);
	check_str(d.why, "");
	check_eq(d.data_count[0], 0);
	check_eq(d.data_count[100], 1);
	dumb_fini(&d);
	io_free(io);
}

/* The leaves of the unused def have been written long before they are counted no more. */
static void unused_def_before_many_leaves(void)
{
	struct io *io = io_mem_new("mem", 2000 * 4096);
	struct events e = sink(io);
	struct dumb d;

	check_eq(begin(&e) ?: one_def(&e, 1, 0, 700) ?: e.ops->begin_def(e.ctx, 2, &err), 0);
	for (uint64_t i = 0; i < 3; i++) /* more leaves than two nodes above them hold */
		check_eq(run(&e, i * 50000, 1000, 50000), 0);
	check_eq(e.ops->end_def(e.ctx, &err), 0);
	for (uint32_t id = 1; id <= 2; id++)
		check_eq(begin_device(&e, id) ?: e.ops->ref(e.ctx, 2, &err) ?: e.ops->end_device(e.ctx, &err), 0);
	check_eq(e.ops->end_pool(e.ctx, &err), 0);
	build_free(&e);
	dumb_read(&d, io_mem_data(io), io->size);
	check_str(d.why, "");
	check_eq(d.nr_map, 2 * 150000);
	check_eq(d.data_count[0], 0);
	check_eq(d.data_count[700], 0);
	check_eq(d.data_count[1000], 3);
	dumb_fini(&d);
	io_free(io);
}

static void many_devices(void)
{
	struct io *io = io_mem_new("mem", 3000 * 4096);
	struct events e = sink(io);
	struct dumb d;

	check_eq(begin(&e), 0);
	for (uint32_t i = 0; i < 1000; i++) /* not in the order of the ids */
		check_eq(begin_device(&e, i * 7919 % 1000 * 3) ?: run(&e, i, i, 1) ?:
								 e.ops->end_device(e.ctx, &err), 0);
	check_eq(e.ops->end_pool(e.ctx, &err), 0);
	build_free(&e);
	dumb_read(&d, io_mem_data(io), io->size);
	check_str(d.why, "");
	check_eq(d.nr_dev, 1000);
	check_eq(d.dev[999].dev, 2997);
	check_eq(d.nr_underfull, 0);
	dumb_fini(&d);
	io_free(io);
}

/* Runs @tell_it, which must fail with @code and a text that holds @words; then nothing works any more. */
static void refused(int (*tell_it)(struct events *e), int code, const char *words)
{
	struct io *io = io_mem_new("mem", 100 * 4096);
	struct events e = sink(io);
	struct superblock sb;
	int r = tell_it(&e);

	if (!strstr(err.text, words))
		printf("# %s\n", err.text);
	check_eq(r, code);
	check(strstr(err.text, words) != NULL);
	check(e.ops->end_pool(e.ctx, &err) < 0);
	build_free(&e);
	check(superblock_open(&sb, io_mem_data(io), 0) != SB_OK);
	io_free(io);
}

static int r_order(struct events *e)
{
	return begin(e) ?: begin_device(e, 1) ?: run(e, 5, 5, 3) ?: run(e, 7, 9, 1);
}

static int r_def_order(struct events *e)
{
	return begin(e) ?: one_def(e, 1, 100, 3) ?: begin_device(e, 1) ?: run(e, 102, 5, 1) ?:
		e->ops->ref(e->ctx, 1, &err);
}

static int r_after_def(struct events *e)
{
	return begin(e) ?: one_def(e, 1, 100, 3) ?: begin_device(e, 1) ?: e->ops->ref(e->ctx, 1, &err) ?:
		run(e, 102, 5, 1);
}

static int r_data(struct events *e)
{
	return begin(e) ?: begin_device(e, 1) ?: run(e, 5, NR_DATA - 2, 3);
}

static int r_huge(struct events *e)
{
	return begin(e) ?: begin_device(e, 1) ?: run(e, 5, 5, UINT64_MAX - 5);
}

static int r_wrap(struct events *e)
{
	return begin(e) ?: begin_device(e, 1) ?: run(e, UINT64_MAX - 1, 5, 3);
}

static int r_time(struct events *e)
{
	struct run u = { .len = 1, .time = 10 };

	return begin(e) ?: begin_device(e, 1) ?: e->ops->runs(e->ctx, &u, 1, &err);
}

static int r_time_behind(struct events *e)
{
	struct run u = { .vbegin = 8, .len = 1, .time = 10 };

	return begin(e) ?: begin_device(e, 1) ?: run(e, 7, 0, 1) ?: e->ops->runs(e->ctx, &u, 1, &err);
}

static int r_dev_time(struct events *e)
{
	struct device_info d = { .dev_id = 1, .snap_time = 10 };

	return begin(e) ?: e->ops->begin_device(e->ctx, &d, &err);
}

static int r_dev_created(struct events *e)
{
	struct device_info d = { .dev_id = 1, .creation_time = 10, .snap_time = 9 };

	return begin(e) ?: e->ops->begin_device(e->ctx, &d, &err);
}

static int r_def_data(struct events *e)
{
	return begin(e) ?: one_def(e, 4, NR_DATA - 2, 3);
}

static int r_dev_id(struct events *e)
{
	return begin(e) ?: begin_device(e, 1 << 24);
}

static int r_twice(struct events *e)
{
	return begin(e) ?: begin_device(e, 1) ?: e->ops->end_device(e->ctx, &err) ?: begin_device(e, 1) ?:
		e->ops->end_device(e->ctx, &err) ?: e->ops->end_pool(e->ctx, &err);
}

static int r_def_twice(struct events *e)
{
	return begin(e) ?: one_def(e, 1, 0, 1) ?: one_def(e, 1, 0, 1);
}

static int r_no_def(struct events *e)
{
	return begin(e) ?: begin_device(e, 1) ?: e->ops->ref(e->ctx, 8, &err);
}

static int r_grammar(struct events *e)
{
	return begin(e) ?: run(e, 1, 1, 1);
}

static int r_def_first(struct events *e)
{
	return e->ops->begin_def(e->ctx, 1, &err);
}

static int r_begin_twice(struct events *e)
{
	return begin(e) ?: begin(e);
}

static int r_def_open(struct events *e)
{
	return begin(e) ?: e->ops->begin_def(e->ctx, 1, &err) ?: begin_device(e, 1);
}

static int r_no_def_open(struct events *e)
{
	return begin(e) ?: e->ops->end_def(e->ctx, &err);
}

static int r_ref_alone(struct events *e)
{
	return begin(e) ?: one_def(e, 1, 0, 1) ?: e->ops->ref(e->ctx, 1, &err);
}

static int r_no_device_open(struct events *e)
{
	return begin(e) ?: e->ops->end_device(e->ctx, &err);
}

static int r_block_size(struct events *e)
{
	struct pool_info p = info;

	p.data_block_size = 100;
	return e->ops->begin_pool(e->ctx, &p, &err);
}

static int r_big(struct events *e)
{
	struct pool_info p = info;

	p.nr_data_blocks = MAX_NR_DATA_BLOCKS;
	return e->ops->begin_pool(e->ctx, &p, &err);
}

static int r_too_many(struct events *e)
{
	struct pool_info p = info;

	p.nr_data_blocks = MAX_NR_DATA_BLOCKS + 1;
	return e->ops->begin_pool(e->ctx, &p, &err);
}

static void refusals(void)
{
	refused(r_order, -EINVAL, "device 1: keys out of order: block 7 follows block 7");
	refused(r_def_order, -EINVAL, "keys out of order: def 1 begins with block 100");
	refused(r_after_def, -EINVAL, "keys out of order: block 102 follows block 102");
	refused(r_data, -EINVAL, "out of bounds");
	refused(r_huge, -EINVAL, "out of bounds");
	refused(r_wrap, -EINVAL, "highest number");
	refused(r_time, -EINVAL, "time 10 is above the pool's time 9");
	refused(r_time_behind, -EINVAL, "block 8: mapping time 10 is above the pool's time 9");
	refused(r_dev_time, -EINVAL, "device 1: its snapshot time 10");
	refused(r_dev_created, -EINVAL, "device 1: its creation time 10");
	refused(r_def_data, -EINVAL, "def 4: block 59998: data block out of bounds");
	refused(r_dev_id, -EINVAL, "ids go up to 16777215");
	refused(r_twice, -EINVAL, "device 1 is defined twice");
	refused(r_def_twice, -EINVAL, "def 1 is defined twice");
	refused(r_no_def, -EINVAL, "ref to undefined def 8");
	refused(r_grammar, -EINVAL, "out of order");
	refused(r_def_first, -EINVAL, "out of order");
	refused(r_begin_twice, -EINVAL, "out of order");
	refused(r_def_open, -EINVAL, "out of order");
	refused(r_no_def_open, -EINVAL, "out of order");
	refused(r_ref_alone, -EINVAL, "out of order");
	refused(r_no_device_open, -EINVAL, "out of order");
	refused(r_block_size, -EINVAL, "invalid data block size");
	refused(r_big, -ERANGE, "more than the format's limit");
	refused(r_too_many, -EINVAL, "data blocks are too many");
}

static void nothing_before_begin(void)
{
	struct io *io = io_mem_new("mem", 100 * 4096);
	struct events e = sink(io);

	memset(io_mem_data(io), 0x77, io->size);
	check(r_block_size(&e) < 0);
	build_free(&e);
	for (uint64_t i = 0; i < io->size; i++)
		check_eq(((uint8_t *)io_mem_data(io))[i], 0x77);
	io_free(io);
}

static const struct test tests[] = {
	{ "the worked example has the counts and the 12 + 3 blocks it should", tiny },
	{ "a def's leaves are written once and its data blocks counted once", sharing_kept },
	{ "a small def is shared by devices that are nothing else, and copied by others", small_defs },
	{ "a def that nobody refers to counts nothing", unused_def },
	{ "a def that nobody refers to counts nothing, also when its leaves were written long before",
	  unused_def_before_many_leaves },
	{ "devices may come in any order", many_devices },
	{ "random pools with deep sharing read back, every count right, no node underfull", random_sharing },
	{ "what would be invalid metadata is refused, and nothing goes on after that", refusals },
	{ "nothing is written before the pool's parameters are accepted", nothing_before_begin },
	{ 0 }
};

int main(int argc, char **argv)
{
	return tap_main(tests, argc, argv);
}
