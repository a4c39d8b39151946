/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* What is worked on a window at a time is done whole where a device has more than a window holds. */
#include <errno.h>

#include "folder.h"
#include "made_io.h"
#include "volume/copy/copy.h"
#include "volume/image/diff.h"
#include "volume/image/feed.h"
#include "volume/map/plan.h"

#define BS UINT64_C(16) /* small, since a window has many extents */

static struct err err;

/* All blocks are mapped, none beside its neighbour; each @step'th is mapped elsewhere. */
struct blocks {
	uint64_t nr, step;
};

static uint64_t place_of(const struct blocks *b, uint64_t v)
{
	return 3 * v + (b->step && v % b->step == 0);
}

static int walk(void *ctx, map_runs_fn *fn, void *fn_ctx, struct err *e)
{
	const struct blocks *b = ctx;
	int r = 0;

	for (uint64_t v = 0; v < b->nr && !r; v++) {
		const struct run run = { v, place_of(b, v), 1, 0 };

		r = fn(fn_ctx, &run, 1, e);
	}
	return r;
}

static struct map map_of(struct blocks *b)
{
	return (struct map){ .source = { .walk = walk, .ctx = b }, .block_len = BS, .size = b->nr * BS };
}

struct seen {
	const struct blocks *now, *base;
	uint64_t at, nr[DIFF_NEW + 1];
};

static int look(void *ctx, const struct diff_part *p, struct err *e)
{
	struct seen *s = ctx;

	(void)e;
	check_eq(p->at, s->at);
	check_eq(p->now.at, p->at);
	check_eq(p->now.from, place_of(s->now, p->at / BS) * BS);
	if (p->kind != DIFF_NEW)
		check_eq(p->base.from, place_of(s->base, p->at / BS) * BS);
	check_eq(p->len, BS);
	s->at += p->len;
	s->nr[p->kind] += p->len / BS;
	return 0;
}

static void compare(uint64_t nr_now, uint64_t nr_base)
{
	struct blocks now = { nr_now, 1000 }, base = { nr_base, 0 };
	const struct map m = map_of(&now), b = map_of(&base);
	const struct diff d = { .now = &m, .base = &b };
	const uint64_t both = MIN(nr_now, nr_base), differ = (both + 999) / 1000;
	struct seen s = { .now = &now, .base = &base };

	check_eq(diff_walk(&d, look, &s, &err), 0);
	check_eq(s.at, m.size);
	check_eq(s.nr[DIFF_CHANGED], differ);
	check_eq(s.nr[DIFF_SAME], both - differ);
	check_eq(s.nr[DIFF_NEW], nr_now - both);
}

static void all_of_two_maps_is_compared(void)
{
	compare(DIFF_WINDOW + 4000, DIFF_WINDOW + 4001);
	compare(2 * DIFF_WINDOW, 2 * DIFF_WINDOW);
	compare(2 * DIFF_WINDOW + 3000, DIFF_WINDOW + 10);
	compare(DIFF_WINDOW - 1, 3 * DIFF_WINDOW);
	compare(DIFF_WINDOW + 5, DIFF_WINDOW);
}

static int stop_late(void *ctx, const struct diff_part *p, struct err *e)
{
	return p->at / BS == *(const uint64_t *)ctx ? err_set(e, -EINTR, "enough") : 0;
}

static void who_compares_may_stop_in_each_window(void)
{
	struct blocks now = { DIFF_WINDOW + 9, 7 }, base = now;
	const struct map m = map_of(&now), b = map_of(&base);
	const struct diff d = { .now = &m, .base = &b };
	uint64_t at[] = { 5, DIFF_WINDOW + 8 };

	for (size_t i = 0; i < ARRAY_SIZE(at); i++)
		check(diff_walk(&d, stop_late, &at[i], &err) == -EINTR);
}

/* --- units of work --- */

static int take_unit(void *ctx, const struct feed_unit *u, const struct extent *e, void *slot, struct err *r)
{
	uint64_t *at = ctx;

	(void)slot;
	(void)r;
	check_eq(u->at, *at);
	check_eq(e->at, u->at);
	check_eq(e->from, u->at * 3);
	*at += u->len;
	return 0;
}

static void units_of_work_come_whole_and_in_order(void)
{
	struct jobs *j = jobs_new(3);
	uint64_t at = 0;
	struct feed f = { .jobs = j, .slot_len = 8, .consume = take_unit, .ctx = &at };
	const uint64_t nr = 2 * FEED_WINDOW + 77;

	for (uint64_t i = 0; i < nr; i++) {
		const struct extent e = { .at = i * 10, .len = 10, .from = i * 30, .kind = EXTENT_DATA };
		const struct feed_unit u = { .at = e.at, .len = e.len, .nr = 1 };

		check_eq(feed_add(&f, &u, &e, &err), 0);
		check_eq(at, (i + 1) / FEED_WINDOW * FEED_WINDOW * 10);
	}
	check_eq(feed_flush(&f, &err), 0);
	check_eq(at, nr * 10);
	feed_fini(&f);
	jobs_free(j);
}

/* --- copies --- */

static uint8_t byte_at(uint64_t at)
{
	return (uint8_t)(1 + at % 251);
}

static void a_copy_and_its_check_are_whole(void)
{
	static const struct io_ops ops = { .read = made_read, .free = made_free };
	struct blocks b = { PLAN_MAX_EXTENTS + 1000, 0 };
	const struct map m = map_of(&b);
	struct io data = { .ops = &ops, .name = "data", .size = 3 * m.size, .align = 1, .fd = -1 };
	const struct copy_options opt = { .data = &data };
	const struct output_options to = { .size = m.size };
	struct jobs *j = jobs_new(2);
	uint8_t *got = malloc(m.size), bad;
	struct output out;

	check_eq(output_open(file_name("image"), &to, &out, &err), 0);
	check_eq(copy_map(&m, &out, &opt, j, &err), 0);
	check_eq(copy_verify(&m, &out, &opt, j, &err), 0);
	check(got && !io_read(out.io, got, m.size, 0, &err));
	for (uint64_t at = 0; at < m.size; at++)
		check_eq(got[at], byte_at(place_of(&b, at / BS) * BS + at % BS));
	/* a byte of each window that is wrong is found */
	for (uint64_t at = 3; at < m.size; at += m.size - 9) {
		bad = (uint8_t)(got[at] ^ 1);
		check_eq(io_write(out.io, &bad, 1, at, &err), 0);
		check(copy_verify(&m, &out, &opt, j, &err) == -EBADMSG);
		check_eq(io_write(out.io, &got[at], 1, at, &err), 0);
	}
	output_discard(&out);
	free(got);
	jobs_free(j);
}

static void add_up(void *ctx, const void *bytes, uint64_t len)
{
	check(!bytes);
	*(uint64_t *)ctx += len;
}

static int walk_nothing(void *ctx, map_runs_fn *fn, void *fn_ctx, struct err *e)
{
	(void)ctx;
	(void)fn;
	(void)fn_ctx;
	(void)e;
	return 0;
}

static void zeros_longer_than_a_window_are_seen_once(void)
{
	const struct map m = { .source = { .walk = walk_nothing }, .block_len = 65536, .size = PLAN_MAX_BYTES + 12345 };
	uint64_t len = 0;
	struct copy_counts counts = { 0 };
	struct copy_options opt = { .seen = add_up, .seen_ctx = &len };
	const struct output_options to = { .size = m.size };
	struct jobs *j = jobs_new(1);
	struct output out;

	if (output_open(file_name("large"), &to, &out, NULL))
		skip("this filesystem has no files of this size");
	check_eq(copy_map(&m, &out, &opt, j, &err), 0);
	check_eq(len, m.size);
	len = 0;
	opt.counts = &counts;
	check_eq(copy_map(&m, &out, &opt, j, &err), 0);
	check_eq(len, m.size);
	check_eq(counts.skipped, m.size);
	output_discard(&out);
	jobs_free(j);
}

static const struct test tests[] = {
	{ "all of two maps is compared, however many extents the base has", all_of_two_maps_is_compared },
	{ "who compares two maps may stop in each window", who_compares_may_stop_in_each_window },
	{ "more units of work than a window holds come whole and in order", units_of_work_come_whole_and_in_order },
	{ "a copy of more extents than a window holds is whole, and so is the check of it", a_copy_and_its_check_are_whole },
	{ "zeros longer than a window are seen once", zeros_longer_than_a_window_are_seen_once },
	{ 0 }
};

int main(int argc, char **argv)
{
	return folder_main(tests, argc, argv);
}
