/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include <errno.h>

#include "dumb.h"
#include "pool/build/build.h"
#include "pool/space/shrink.h"
#include "io_fault.h"
#include "tap.h"
#include "random.h"

/* --- a random pool as a list of events --- */

#define NR_DATA 5000
#define NR_DEFS 6
#define PART 300
#define BLOCK_LEN 65536ull

static struct err err;
struct story {
	uint64_t seed, nr_data;
	unsigned density; /* parts of a device, of 2 * NR_DEFS */
	size_t part;	  /* most runs of a part; 0: PART */
};

static int tell_part(const struct events *e, uint64_t from, const struct story *s)
{
	struct run run[PART];
	size_t nr = 0, max = 1 + rnd(s->part ? s->part : PART);
	uint64_t v = from;

	while (nr < max && v < from + PART) {
		uint64_t len = rnd(3) ? 1 : 1 + rnd(MIN((uint64_t)20, s->nr_data - 1));

		run[nr++] = (struct run){ v, rnd(s->nr_data - len + 1), len, (uint32_t)rnd(3) };
		v += len + rnd(3);
	}
	return e->ops->runs(e->ctx, run, nr, &err);
}

static int tell(void *ctx, const struct events *e, struct err *ignored)
{
	const struct story *s = ctx;
	const struct pool_info p = {
		.time = 3, .transaction = 4, .data_block_size = 128, .nr_data_blocks = s->nr_data
	};
	int r = e->ops->begin_pool(e->ctx, &p, &err);

	(void)ignored;
	rnd_begin(s->seed);
	for (uint64_t k = 0; !r && k < NR_DEFS; k++)
		r = e->ops->begin_def(e->ctx, k, &err) ?: tell_part(e, k * 2 * (PART + 40), s) ?:
			e->ops->end_def(e->ctx, &err);
	for (uint32_t id = 0; !r && id < 4; id++) { /* the last refers to all defs */
		const struct device_info d = { .dev_id = id, .snap_time = 3 };

		r = e->ops->begin_device(e->ctx, &d, &err);
		for (uint64_t k = 0; !r && k < 2 * NR_DEFS; k++)
			if (id == 3 ? k % 2 == 0 : rnd(2 * NR_DEFS) < s->density)
				r = k % 2 ? tell_part(e, k * (PART + 40), s) :
					    e->ops->ref(e->ctx, k / 2, &err);
		r = r ?: e->ops->end_device(e->ctx, &err);
	}
	return r ?: e->ops->end_pool(e->ctx, &err);
}

/* --- the dumb way --- */

/* where[b] of each used block after shrinking to @nr: one by one, first free first. */
static void dumb_plan(const struct dumb *d, uint64_t nr, uint64_t *where)
{
	uint64_t hole = 0;

	for (uint64_t b = 0; b < d->nr_data; b++) {
		where[b] = b;
		if (!d->data_count[b] || b < nr)
			continue;
		while (d->data_count[hole])
			hole++;
		where[b] = hole++;
	}
}

static struct io *built(const struct shrink *s, const struct shrink_source *src)
{
	struct io *io = io_mem_new("metadata", 400 * 4096);
	struct events e = { 0 };

	check_eq(build_new(io, NULL, &e, &err), 0);
	check_eq(s ? shrink_tell(s, src, &e, &err) : src->produce(src->ctx, &e, &err), 0);
	build_free(&e);
	return io;
}

static void check_against_dumb(struct story *st, uint64_t nr)
{
	static uint64_t where[NR_DATA];
	const struct shrink_source src = { .produce = tell, .ctx = st };
	struct io *before = built(NULL, &src), *after;
	struct shrink *s = NULL;
	struct dumb was, is;
	uint64_t used = 0, moved = 0;
	int r;

	dumb_read(&was, io_mem_data(before), before->size);
	check_str(was.why, "");
	for (uint64_t b = 0; b < was.nr_data; b++) {
		used += was.data_count[b] != 0;
		moved += was.data_count[b] && b >= nr;
	}
	r = shrink_new(&src, nr, &s, &err);
	if (used > nr) {
		check_eq(r, -ERANGE);
		check(strstr(err.text, "Insufficient free space") != NULL);
	} else {
		check_eq(r, 0);
		check_eq(shrink_plan(s)->nr_used, used);
		check_eq(shrink_plan(s)->nr_moved, moved);
		dumb_plan(&was, nr, where);
		after = built(s, &src);
		dumb_read(&is, io_mem_data(after), after->size);
		check_str(is.why, "");
		check_eq(is.nr_underfull, 0);
		check(shrink_plan(s)->counts.nr_blocks <= 400);
		check_eq(is.nr_data, nr);
		check_eq(is.nr_map, was.nr_map);
		for (size_t i = 0; i < was.nr_map; i++) {
			check_eq(is.map[i].dev, was.map[i].dev);
			check_eq(is.map[i].vblock, was.map[i].vblock);
			check_eq(is.map[i].time, was.map[i].time);
			check_eq(is.map[i].dblock, where[was.map[i].dblock]);
		}
		for (uint64_t b = 0; b < was.nr_data; b++)
			if (was.data_count[b])
				check_eq(is.data_count[where[b]], was.data_count[b]);
		dumb_fini(&is);
		io_free(after);
	}
	shrink_free(s);
	dumb_fini(&was);
	io_free(before);
}

static void random_pools(void)
{
	for (uint64_t i = 1; i <= 150; i++) {
		struct story st = { .seed = i, .nr_data = NR_DATA, .density = 1 + (unsigned)(i % 12) };

		rnd_begin(i);
		check_against_dumb(&st, rnd(3) ? NR_DATA / 4 + rnd(NR_DATA * 3 / 4) : rnd(NR_DATA + 700));
	}
}

static void small_pools(void)
{
	for (uint64_t i = 1; i <= 200; i++) {
		struct story st = { .seed = i, .nr_data = 2 + i % 130, .density = 1 + (unsigned)(i % 3) };

		check_against_dumb(&st, i * 7 % 140);
	}
}

/* --- data --- */

static void stamp(struct io *data, uint64_t b, uint64_t what)
{
	uint64_t *p = (uint64_t *)((char *)io_mem_data(data) + b * BLOCK_LEN);

	for (size_t i = 0; i < BLOCK_LEN / 8; i += 512)
		p[i] = what ? what * 1000 + i : 0;
}

static bool is_stamped(struct io *data, uint64_t b, uint64_t what)
{
	const uint64_t *p = (const uint64_t *)((char *)io_mem_data(data) + b * BLOCK_LEN);

	for (size_t i = 0; i < BLOCK_LEN / 8; i += 512)
		if (p[i] != (what ? what * 1000 + i : 0))
			return false;
	return true;
}

static void add_bytes(void *ctx, uint64_t bytes)
{
	*(uint64_t *)ctx += bytes;
}

#define SMALL 300

/* A data device on which used block b holds b (every third zeros), the others junk. */
static struct io *data_device(const struct dumb *was)
{
	struct io *data = io_mem_new("data", SMALL * BLOCK_LEN);

	for (uint64_t b = 0; b < was->nr_data; b++)
		stamp(data, b, !was->data_count[b] ? 999999 : b % 3 ? b : 0);
	return data;
}

static void data_follow(void)
{
	struct story st = { .seed = 77, .nr_data = SMALL, .density = 2, .part = 6 };
	const struct shrink_source src = { .produce = tell, .ctx = &st };
	struct io *before = built(NULL, &src), *data;
	struct jobs *jobs = jobs_new(2);
	struct shrink *s = NULL;
	static uint64_t where[NR_DATA];
	uint64_t bytes = 0;
	struct dumb was;

	dumb_read(&was, io_mem_data(before), before->size);
	check_str(was.why, "");
	dumb_plan(&was, 220, where);
	data = data_device(&was);
	check_eq(shrink_new(&src, 220, &s, &err), 0);
	check(shrink_plan(s)->nr_moved > 10);
	check_eq(shrink_copy(s, data, jobs, add_bytes, &bytes, &err), 0);
	check_eq(bytes, shrink_plan(s)->nr_moved * BLOCK_LEN);
	for (uint64_t b = 0; b < was.nr_data; b++) {
		if (!was.data_count[b])
			continue;
		check(is_stamped(data, b, b % 3 ? b : 0)); /* the old pool is whole */
		check(is_stamped(data, where[b], b % 3 ? b : 0));
	}
	io_free(data);
	data = io_mem_new("short", (shrink_plan(s)->used_end - 1) * BLOCK_LEN + 65000);
	check_eq(shrink_copy(s, data, jobs, NULL, NULL, &err), -ERANGE);
	check(strstr(err.text, "lies beyond the end of the data device") != NULL);
	io_free(data);
	shrink_free(s);
	dumb_fini(&was);
	jobs_free(jobs);
	io_free(before);
}

static void interrupted(void)
{
	struct story st = { .seed = 77, .nr_data = SMALL, .density = 2, .part = 6 };
	const struct shrink_source src = { .produce = tell, .ctx = &st };
	struct io *before = built(NULL, &src), *data, *fault;
	struct jobs *jobs = jobs_new(2);
	struct shrink *s = NULL;
	static uint64_t where[NR_DATA];
	uint64_t nr_writes = 1;
	struct dumb was;

	dumb_read(&was, io_mem_data(before), before->size);
	dumb_plan(&was, 220, where);
	check_eq(shrink_new(&src, 220, &s, &err), 0);
	for (uint64_t nth = 0; nth < nr_writes; nth++) {
		data = data_device(&was);
		fault = io_fault_new(data);
		io_fault_cut_at(fault, nth);
		check_eq(shrink_copy(s, fault, jobs, NULL, NULL, &err), -EIO);
		for (uint64_t b = 0; b < was.nr_data; b++)
			check(!was.data_count[b] || is_stamped(data, b, b % 3 ? b : 0));
		/* again, and now to the end */
		check_eq(shrink_copy(s, data, jobs, NULL, NULL, &err), 0);
		for (uint64_t b = 0; b < was.nr_data; b++)
			check(!was.data_count[b] || is_stamped(data, where[b], b % 3 ? b : 0));
		if (!nth)
			nr_writes = shrink_plan(s)->nr_moved / 32 + 3;
		io_free(fault);
	}
	fault = io_fault_new(data_device(&was));
	io_fault_record(fault);
	check_eq(shrink_copy(s, fault, jobs, NULL, NULL, &err), 0);
	check_eq(io_fault_nr_flushes(fault), 1);
	check_eq(io_fault_nr_groups(fault), 1); /* nothing after the flush */
	io_free(fault);
	fault = io_fault_new(data_device(&was));
	io_fault_fail_flush(fault, 0, -EIO);
	check_eq(shrink_copy(s, fault, jobs, NULL, NULL, &err), -EIO);
	io_free(fault);
	shrink_free(s);
	dumb_fini(&was);
	jobs_free(jobs);
	io_free(before);
}

static void changed_source(void)
{
	struct story st = { .seed = 5, .nr_data = NR_DATA, .density = 3 };
	const struct shrink_source src = { .produce = tell, .ctx = &st };
	struct io *io = io_mem_new("metadata", 400 * 4096);
	struct shrink *s = NULL;
	struct events e = { 0 };

	check_eq(shrink_new(&src, 4500, &s, &err), 0);
	st.seed = 6;
	check_eq(build_new(io, NULL, &e, &err), 0);
	check_eq(shrink_tell(s, &src, &e, &err), -EUCLEAN);
	check(strstr(err.text, "changed") != NULL);
	build_free(&e);
	shrink_free(s);
	io_free(io);
}

static const struct test tests[] = {
	{ "random pools come out as the dumbest method has them, every mapping and count", random_pools },
	{ "so do small pools, down to no free block and up to a larger device", small_pools },
	{ "the data follow their mappings, and the old pool stays whole", data_follow },
	{ "cut at any write the old pool is whole, and a second run completes the move", interrupted },
	{ "a source that changed between the two looks is noticed", changed_source },
	{ 0 }
};

int main(int argc, char **argv)
{
	return tap_main(tests, argc, argv);
}
