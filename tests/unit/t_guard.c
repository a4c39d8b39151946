/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* What things cost, counted and not timed: requests, bytes, threads. */
#include <stdatomic.h>

#include "pool/build/build.h"
#include "pool/check/check.h"
#include "pool/query/delta.h"
#include "pool/emit/emit.h"
#include "pool/query/usage.h"
#include "tap.h"
#include "tasks.h"

#define LEAF 252
#define PART (4 * LEAF) /* mappings that devices share or do not */

/* --- a pool in memory on a device that counts --- */

struct counted {
	struct io io;
	struct io *mem;
	_Atomic unsigned char *reads; /* of each block */
	_Atomic uint64_t nr_requests, nr_blocks;
};

static int counted_read(struct io *io, void *buf, size_t len, uint64_t at, struct err *err)
{
	struct counted *c = (struct counted *)io;
	uint64_t b;

	c->nr_requests++;
	c->nr_blocks += len / MBLOCK_SIZE;
	for (b = at / MBLOCK_SIZE; b < (at + len) / MBLOCK_SIZE; b++)
		c->reads[b]++;
	return io_read(c->mem, buf, len, at, err);
}

static const struct io_ops counted_ops = { .read = counted_read };

static struct err err;

static int tell_def(const struct events *e, unsigned part, unsigned step)
{
	struct run run[PART];
	unsigned i;

	for (i = 0; i < PART; i++)
		run[i] = (struct run){ part * PART + i, (step * 100 + part) * PART + i * 5 % PART, 1, 0 };
	return e->ops->begin_def(e->ctx, part * 100 + step, &err) ?:
		       e->ops->runs(e->ctx, run, PART, &err) ?:
		       e->ops->end_def(e->ctx, &err);
}

/* @nr_devices snapshots; each has its own version of one part and shares the others. */
static void make_pool(struct counted *c, unsigned nr_devices, unsigned nr_parts, uint64_t nr_blocks)
{
	struct pool_info p = { .time = 1,
			       .transaction = 1,
			       .data_block_size = 128,
			       .nr_data_blocks = (nr_devices + 1) * 100ull * PART };
	struct events e;
	unsigned dev, part;
	int r;

	memset(c, 0, sizeof(*c));
	c->mem = io_mem_new("pool", nr_blocks * MBLOCK_SIZE);
	c->reads = calloc(nr_blocks, 1);
	check(c->mem && c->reads && !build_new(c->mem, NULL, &e, &err));
	r = e.ops->begin_pool(e.ctx, &p, &err);
	for (part = 0; part < nr_parts; part++)
		r = r ?: tell_def(&e, part, 0);
	for (dev = 1; dev <= nr_devices; dev++) {
		struct device_info d = { dev, (uint64_t)nr_parts * PART, 1, 1, 1 };

		r = r ?: tell_def(&e, dev % nr_parts, dev) ?: e.ops->begin_device(e.ctx, &d, &err);
		for (part = 0; part < nr_parts; part++)
			r = r ?: e.ops->ref(e.ctx, part * 100 + (part == dev % nr_parts ? dev : 0),
					    &err);
		r = r ?: e.ops->end_device(e.ctx, &err);
	}
	r = r ?: e.ops->end_pool(e.ctx, &err);
	if (r)
		printf("# %s\n", err.text);
	check(!r);
	build_free(&e);
	c->io = *c->mem;
	c->io.ops = &counted_ops;
}

static void drop_pool(struct counted *c)
{
	io_free(c->mem);
	free((void *)(uintptr_t)c->reads);
}

static unsigned most_reads(const struct counted *c)
{
	unsigned most = 0;
	uint64_t b;

	for (b = 0; b < c->io.size / MBLOCK_SIZE; b++)
		most = MAX(most, c->reads[b]);
	return most;
}

/* --- what they cost --- */

static void check_sound(struct counted *c, unsigned nr_workers, uint64_t *nr_used,
			unsigned *nr_threads)
{
	struct jobs *jobs = jobs_new(nr_workers);
	struct check_options opt = { 0 };
	struct check_result res;
	unsigned before = nr_tasks();

	check(!check_run(&c->io, jobs, &opt, &res, &err));
	check(res.complete && res.findings.nr == 0);
	*nr_used = res.sb.metadata_sm.nr_allocated;
	*nr_threads = nr_tasks() - before;
	check_result_fini(&res);
	jobs_free(jobs);
}

static void check_reads_once(void)
{
	unsigned nr, nr_threads;
	uint64_t nr_used;

	for (nr = 1; nr <= 4; nr += 3) {
		struct counted c;

		make_pool(&c, 20, 100, 1500);
		check_sound(&c, nr, &nr_used, &nr_threads);
		printf("# %llu blocks in use, %llu read with %llu requests\n",
		       (unsigned long long)nr_used, (unsigned long long)c.nr_blocks,
		       (unsigned long long)c.nr_requests);
		check(most_reads(&c) == 1);
		check(c.nr_blocks <= nr_used + nr_used / 20);
		check(c.nr_requests <= nr_used / 6); /* each device has two levels of its own */
		drop_pool(&c);
	}
}

static void small_check_is_small(void)
{
	unsigned nr_threads;
	struct counted c;
	uint64_t nr_used;

	make_pool(&c, 3, 4, 300);
	check_sound(&c, 8, &nr_used, &nr_threads);
	printf("# %llu requests\n", (unsigned long long)c.nr_requests);
	check_eq(nr_threads, 0);
	check(c.nr_requests <= 20);
	check(most_reads(&c) == 1);
	drop_pool(&c);
}

static int no_pool(void *ctx, const struct pool_info *p, struct err *e)
{
	return (void)ctx, (void)p, (void)e, 0;
}

static int no_device(void *ctx, const struct device_info *d, struct err *e)
{
	return (void)ctx, (void)d, (void)e, 0;
}

static int no_name(void *ctx, uint64_t name, struct err *e)
{
	return (void)ctx, (void)name, (void)e, 0;
}

static int no_end(void *ctx, struct err *e)
{
	return (void)ctx, (void)e, 0;
}

static int count_runs(void *ctx, const struct run *run, size_t nr, struct err *e)
{
	uint64_t *n = ctx;

	(void)e;
	while (nr--)
		*n += run++->len;
	return 0;
}

static const struct events_ops count_ops = {
	.begin_pool = no_pool,
	.begin_def = no_name,
	.end_def = no_end,
	.begin_device = no_device,
	.runs = count_runs,
	.ref = no_name,
	.end_device = no_end,
	.end_pool = no_end,
};

static void dump_reads_once(void)
{
	struct jobs *jobs = jobs_new(3);
	uint64_t nr_mappings = 0;
	struct events to = { &count_ops, &nr_mappings };
	struct emit_options opt = { 0 };
	struct metadata_options md_opt = { 0 };
	struct metadata md;
	struct counted c;
	struct stream s;

	make_pool(&c, 20, 100, 1500);
	stream_init(&s, &c.io, jobs);
	check(!metadata_open(&c.io, &md_opt, &md, &err));
	check(!emit_pool(&md, &s, &opt, &to, &err));
	check_eq(nr_mappings, 120 * PART); /* what is shared is told once */
	printf("# %llu blocks read with %llu requests\n", (unsigned long long)c.nr_blocks,
	       (unsigned long long)c.nr_requests);
	check(c.nr_blocks <= md.live.metadata_sm.nr_allocated * 21 / 20);
	check(c.nr_requests <= md.live.metadata_sm.nr_allocated / 7);
	drop_pool(&c);
	jobs_free(jobs);
}

struct reading {
	struct counted c;
	struct jobs *jobs;
	struct stream s;
	struct metadata md;
};

static void open_reading(struct reading *r)
{
	struct metadata_options opt = { 0 };

	make_pool(&r->c, 20, 100, 1500);
	r->jobs = jobs_new(3);
	stream_init(&r->s, &r->c.io, r->jobs);
	check(!metadata_open(&r->c.io, &opt, &r->md, &err));
	r->c.nr_blocks = r->c.nr_requests = 0;
}

static void close_reading(struct reading *r)
{
	drop_pool(&r->c);
	jobs_free(r->jobs);
}

static int count_delta(void *ctx, const struct delta_range *range, size_t nr, struct err *e)
{
	uint64_t *len = ctx;

	(void)e;
	while (nr--) {
		len[range->kind] += range->len;
		range++;
	}
	return 0;
}

/* Devices 3 and 7 of 100 parts differ in two parts, of four leaves a side. */
static void delta_skips_what_is_shared(void)
{
	struct delta_options opt = { .skip_same = true, .same_by_block = true };
	uint64_t len[4] = { 0 };
	struct metadata_devices list;
	struct reading r;
	mblock_t left, right;

	open_reading(&r);
	check(!metadata_devices_read(&r.md, &r.s, &list, &err));
	left = metadata_devices_find(&list, 3)->root;
	right = metadata_devices_find(&list, 7)->root;
	metadata_devices_fini(&list);
	r.c.nr_blocks = 0;
	check(!delta_compare(&r.md, &r.s, left, right, &opt, count_delta, len, &err));
	printf("# %llu blocks read\n", (unsigned long long)r.c.nr_blocks);
	/* the leaves that differ, the internal nodes, a leaf to learn the height, short gaps */
	check(r.c.nr_blocks <= 16 + 3 + 3 + 1 + 16);
	check_eq(len[DELTA_SAME], 0);
	check_eq(len[DELTA_DIFFERENT] + len[DELTA_LEFT_ONLY] + len[DELTA_RIGHT_ONLY], 2 * PART);
	opt.skip_same = false;
	memset(len, 0, sizeof(len));
	check(!delta_compare(&r.md, &r.s, left, right, &opt, count_delta, len, &err));
	check_eq(len[DELTA_SAME], 98 * PART);
	check_eq(len[DELTA_DIFFERENT], 2 * PART);
	close_reading(&r);
}

static void usage_reads_leaves_once(void)
{
	const struct usage_want want = { .exclusive = true };
	struct usage_row row[20];
	struct reading r;
	struct forest f;

	open_reading(&r);
	check(!forest_init(&f, &r.md, &r.s, NULL, NULL, &err));
	check(!usage_count(&f, r.md.nr_data_blocks, &want, row, &err));
	check_eq(f.nr_devs, 20);
	for (unsigned i = 0; i < 20; i++) {
		check_eq(row[i].mapped, 100 * PART);
		check_eq(row[i].exclusive, PART);
	}
	printf("# %llu blocks read\n", (unsigned long long)r.c.nr_blocks);
	/* a leaf to learn the height is read twice */
	check(r.c.nr_blocks <= r.md.live.metadata_sm.nr_allocated + 21 + 16);
	forest_fini(&f);
	close_reading(&r);
}

static const struct test tests[] = {
	{ "a check reads each block at most once, nearly none in vain, in few requests",
	  check_reads_once },
	{ "a check of a small pool starts no thread and makes few requests", small_check_is_small },
	{ "a dump reads no more blocks than are in use, in few requests", dump_reads_once },
	{ "a comparison that skips what is the same does not read shared leaves",
	  delta_skips_what_is_shared },
	{ "counting exclusive blocks reads each leaf once", usage_reads_leaves_once },
	{ 0 }
};

int main(int argc, char **argv)
{
	return tap_main(tests, argc, argv);
}
