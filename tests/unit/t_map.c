/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include <errno.h>

#include "tap.h"
#include "volume/map/map.h"
#include "volume/map/source.h"
#include "volume/map/plan.h"

#define BS ((uint64_t)196608) /* no power of two */

struct fixed {
	const struct run *run;
	size_t nr;
};

static int fixed_walk(void *ctx, map_runs_fn *fn, void *fn_ctx, struct err *err)
{
	const struct fixed *f = ctx;
	size_t i;
	int r = 0;

	/* one at a time: a run may have been cut anywhere */
	for (i = 0; i < f->nr && !r; i++)
		r = fn(fn_ctx, &f->run[i], 1, err);
	return r;
}

static char seen[2000];

static int print(void *ctx, const struct extent *e, struct err *err)
{
	size_t len = strlen(seen);

	(void)ctx;
	(void)err;
	snprintf(seen + len, sizeof(seen) - len, "%llu+%llu%c%llu ", (unsigned long long)e->at,
		 (unsigned long long)e->len, e->lost ? "?DO"[e->lost] : "zdo"[e->kind], (unsigned long long)e->from);
	return 0;
}

static struct map map_of(struct fixed *f, uint64_t size, bool has_origin, uint64_t origin_len)
{
	return (struct map){ .source = { .walk = fixed_walk, .ctx = f },
			     .block_len = BS,
			     .size = size,
			     .has_origin = has_origin,
			     .origin_len = origin_len };
}

/* Scans and walks; the bytes by kind must be those of the extents. */
static struct map_summary both(struct map *m, bool guess)
{
	struct map_summary sum;
	struct err err = { 0 };

	check_eq(map_scan(m, guess, &sum, &err), 0);
	seen[0] = 0;
	check_eq(map_walk(m, print, NULL, &err), 0);
	check_eq(sum.data_bytes + sum.origin_bytes + sum.zero_bytes, m->size);
	return sum;
}

static void holes_read_the_origin_then_zeros(void)
{
	const struct run runs[] = { { 1, 7, 1, 0 }, { 4, 9, 1, 0 } };
	struct fixed f = { runs, 2 };
	struct map m = map_of(&f, 6 * BS, true, 3 * BS + 1000);
	struct map_summary sum = both(&m, false);

	check_str(seen, "0+196608o0 196608+196608d1376256 393216+197608o393216 590824+195608z0 "
			"786432+196608d1769472 983040+196608z0 ");
	check_eq(sum.data_bytes, 2 * BS);
	check_eq(sum.origin_bytes, 2 * BS + 1000);
	check_eq(sum.nr_mapped, 2);
	check_eq(sum.data_end, 10);
	check_eq(sum.data_end_at, 4);
	check_eq(sum.nr_data_extents, 2);
}

static void neighbours_join_only_when_both_go_on(void)
{
	const struct run runs[] = { { 0, 5, 2, 0 }, { 2, 7, 1, 0 }, { 3, 9, 1, 0 }, { 5, 10, 1, 0 } };
	struct fixed f = { runs, 4 };
	struct map m = map_of(&f, 6 * BS, false, 0);
	struct map_summary sum = both(&m, false);

	check_str(seen, "0+589824d983040 589824+196608d1769472 786432+196608z0 983040+196608d1966080 ");
	check_eq(sum.nr_data_extents, 3);
}

static void the_size_cuts_the_last_block(void)
{
	const struct run runs[] = { { 0, 5, 4, 0 }, { 100, 0, 3, 0 } };
	struct fixed f = { runs, 2 };
	struct map m = map_of(&f, BS + 512, true, 10 * BS);
	struct map_summary sum = both(&m, false);

	check_str(seen, "0+197120d983040 ");
	check_eq(sum.nr_beyond, 5);
	check_eq(sum.nr_mapped, 7);
	check_eq(sum.data_end, 7);
	check_eq(sum.data_bytes, BS + 512);
	check_eq(sum.origin_bytes, 0);
}

static void a_guess_is_the_larger_of_both(void)
{
	const struct run runs[] = { { 2, 5, 1, 0 } };
	struct fixed f = { runs, 1 };
	struct map m = map_of(&f, 0, true, BS);

	both(&m, true);
	check_eq(m.size, 3 * BS);
	m = map_of(&f, 0, true, 5 * BS + 1);
	both(&m, true);
	check_eq(m.size, 5 * BS + 1);
	m = map_of(&f, 0, false, 0);
	both(&m, true);
	check_eq(m.size, 3 * BS);
	check_str(seen, "0+393216z0 393216+196608d983040 ");
	f.nr = 0;
	m = map_of(&f, 0, false, 0);
	both(&m, true);
	check_eq(m.size, 0);
	check_str(seen, "");
}

static void scan_refused(struct run run, uint64_t size, bool guess)
{
	struct fixed f = { &run, 1 };
	struct map m = map_of(&f, size, false, 0);
	struct map_summary sum;
	struct err err = { 0 };

	check(map_scan(&m, guess, &sum, &err) == -EUCLEAN);
	check(err.text[0]);
}

static void impossible_mappings_are_refused(void)
{
	struct run far = { UINT64_MAX - 1, 0, 1, 0 };
	struct fixed f = { &far, 1 };
	struct map m = map_of(&f, BS, false, 0);
	struct map_summary sum;

	scan_refused((struct run){ UINT64_MAX, 0, 1, 0 }, 0, true);
	scan_refused((struct run){ UINT64_MAX / BS + 1, 0, 1, 0 }, 0, true);
	scan_refused((struct run){ INT64_MAX / BS, 0, 1, 0 }, 0, true);
	scan_refused((struct run){ 0, UINT64_MAX, 1, 0 }, BS, false);
	scan_refused((struct run){ 0, UINT64_MAX / BS, 1, 0 }, BS, false);
	scan_refused((struct run){ 3, 0, 0, 0 }, BS, false);
	scan_refused((struct run){ 3, 0, UINT64_MAX, 0 }, BS, false);
	/* beyond the size nothing has to fit */
	check_eq(map_scan(&m, false, &sum, NULL), 0);
	check_eq(sum.nr_beyond, 1);
}

static void descending_mappings_are_refused(void)
{
	const struct run runs[] = { { 4, 5, 2, 0 }, { 5, 9, 1, 0 } };
	struct fixed f = { runs, 2 };
	struct map m = map_of(&f, 10 * BS, false, 0);
	struct map_summary sum;

	check(map_scan(&m, false, &sum, NULL) == -EUCLEAN);
	check(map_walk(&m, print, NULL, NULL) == -EUCLEAN);
}

/* A pool of two devices that share def 1; device 2 has it twice, with its own block in between. */
static int drive(void *ctx, const struct events *to, struct err *err)
{
	const struct pool_info pool = { .data_block_size = 384, .nr_data_blocks = 100 };
	const struct device_info one = { .dev_id = 1 }, two = { .dev_id = 2, .mapped_blocks = 5 };
	const struct run shared[] = { { 0, 10, 2, 0 } }, mine = { 5, 50, 1, 0 }, other = { 9, 3, 1, 0 };
	const struct events_ops *o = to->ops;
	void *c = to->ctx;
	int r;

	++*(int *)ctx;
	r = o->begin_pool(c, &pool, err) ?: o->begin_def(c, 1, err) ?: o->runs(c, shared, 1, err) ?:
	    o->end_def(c, err) ?: o->begin_def(c, 2, err) ?: o->runs(c, &other, 1, err) ?:
	    o->end_def(c, err) ?: o->begin_device(c, &one, err) ?: o->ref(c, 1, err) ?:
	    o->end_device(c, err);
	return r ?: o->begin_device(c, &two, err) ?: o->ref(c, 1, err) ?: o->runs(c, &mine, 1, err) ?:
	       o->ref(c, 2, err) ?: o->end_device(c, err) ?: o->end_pool(c, err);
}

static void events_are_filtered(void)
{
	struct map_events_info info;
	struct err err = { 0 };
	struct map m = { .block_len = BS, .size = 10 * BS };
	int runs = 0;

	check_eq(map_source_events(drive, NULL, &runs, 2, &info, &m.source, &err), 0);
	check_eq(info.pool.data_block_size, 384);
	check_eq(info.device.mapped_blocks, 5);
	both(&m, false);
	check_str(seen, "0+393216d1966080 393216+589824z0 983040+196608d9830400 1179648+589824z0 "
			"1769472+196608d589824 ");
	both(&m, false);
	map_source_free(&m.source);
	check_eq(map_source_events(drive, NULL, &runs, 1, &info, &m.source, &err), 0);
	both(&m, false);
	check_str(seen, "0+393216d1966080 393216+1572864z0 ");
	map_source_free(&m.source);
	check(map_source_events(drive, NULL, &runs, 3, &info, &m.source, &err) == -ENODATA);
	check_str(err.text, "no device 3: it has 2 devices: 1 2");
}

/* Every byte of the plan is in exactly one part, from the place it should come from. */
static void plan_is_whole(const struct plan *p, uint64_t max)
{
	uint64_t bytes = 0;
	size_t k, i;
	uint32_t n;

	for (k = 0; k < p->nr_pieces; k++) {
		const struct piece *pc = &p->piece[k];
		uint64_t in_piece = 0;

		check(pc->len <= max);
		for (n = 0; n < pc->nr; n++) {
			struct piece_part part = piece_part(p, pc, n);

			check_eq(part.offset, in_piece);
			in_piece += part.len;
			for (i = 0; i < p->nr; i++) {
				const struct extent *e = &p->extent[i];

				if (part.at < e->at || part.at >= e->at + e->len)
					continue;
				check(e->kind == pc->kind);
				check(part.at + part.len <= e->at + e->len);
				check_eq(pc->from + part.offset, e->from + (part.at - e->at));
			}
		}
		check_eq(in_piece, pc->len);
		bytes += in_piece;
	}
	check_eq(bytes, p->bytes);
}

static void fill(struct plan *p, const struct extent *e, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++)
		check_eq(plan_add(p, &e[i], NULL), 0);
}

static void neighbours_in_the_source_are_one_piece(void)
{
	const struct extent e[] = { { .at = 0, .len = 65536, .from = 196608, .kind = EXTENT_DATA },
				    { .at = 65536, .len = 65536, .from = 0, .kind = EXTENT_DATA },
				    { .at = 131072, .len = 65536, .from = 131072, .kind = EXTENT_DATA },
				    { .at = 196608, .len = 65536, .from = 65536, .kind = EXTENT_DATA },
				    { .at = 262144, .len = 65536, .from = 262144, .kind = EXTENT_ORIGIN },
				    { .at = 327680, .len = 1000, .from = 0, .kind = EXTENT_ZERO } };
	struct plan p = { 0 };

	fill(&p, e, 6);
	check_eq(plan_cut(&p, 1 << 20, 1 << 20, true, NULL), 0);
	check_eq(p.nr_pieces, 3);
	plan_is_whole(&p, 1 << 20);
	plan_reset(&p);
	fill(&p, e, 6);
	check_eq(plan_cut(&p, 1 << 20, 1 << 20, false, NULL), 0);
	check_eq(p.nr_pieces, 6);
	plan_is_whole(&p, 1 << 20);
	plan_fini(&p);
}

static void long_extents_are_cut(void)
{
	const struct extent e[] = { { .at = 0, .len = 3000000, .from = 196608, .kind = EXTENT_DATA },
				    { .at = 3000000, .len = 100, .from = 3196608, .kind = EXTENT_DATA },
				    { .at = 3000100, .len = 5000000, .from = 0, .kind = EXTENT_ZERO },
				    { .at = 8000100, .len = 262144, .from = 0, .kind = EXTENT_DATA } };
	bool any;
	int i;

	for (i = 0; i < 2; i++) {
		struct plan p = { 0 };

		any = i;
		fill(&p, e, 4);
		check_eq(plan_cut(&p, 262144, 1000000, any, NULL), 0);
		plan_is_whole(&p, 1000000);
		plan_fini(&p);
	}
}

static void random_plans_are_whole(void)
{
	unsigned seed = 1, round, i;

	for (round = 0; round < 200; round++) {
		struct plan p = { 0 };
		uint64_t at = 0;

		for (i = 0; i < 40; i++) {
			struct extent e = { .at = at, .len = 1 + (uint64_t)rand_r(&seed) % 300000 };

			if (rand_r(&seed) % 4)
				e.len = 65536;
			e.kind = (enum extent_kind)(rand_r(&seed) % 3);
			if (e.kind != EXTENT_ZERO)
				e.from = (uint64_t)(rand_r(&seed) % 50) * 65536;
			at += e.len;
			fill(&p, &e, 1);
		}
		check_eq(plan_cut(&p, 1 << 18, 1 << 18, round % 2, NULL), 0);
		plan_is_whole(&p, 1 << 18);
		plan_fini(&p);
	}
}

/* A data device in parts of 1000 bytes: two stored, one of zeros, one stored, one lost, and again. */
static void parts_where(struct io *io, uint64_t at, uint64_t len, struct io_place *out)
{
	static const enum io_kind kind[] = { IO_STORED, IO_STORED, IO_ZERO, IO_STORED, IO_LOST };

	*out = (struct io_place){ .kind = kind[at / 1000 % 5], .io = io, .at = at, .len = MIN(len, 1000 - at % 1000) };
}

static struct map map_in_parts(struct fixed *f, struct io *io)
{
	static const struct io_ops ops = { .where = parts_where };

	*io = (struct io){ .ops = &ops, .name = "parts", .size = 1 << 20, .align = 1, .fd = -1 };
	return (struct map){ .source = { .walk = fixed_walk, .ctx = f }, .block_len = 10000, .size = 15000, .data = io };
}

static void zeros_and_lost_parts_of_a_device_are_given_out_apart(void)
{
	const struct run runs[] = { { 0, 1, 1, 0 } };
	struct fixed f = { runs, 1 };
	struct io io;
	struct map m = map_in_parts(&f, &io);
	struct err err = { 0 };

	seen[0] = 0;
	check_eq(map_walk(&m, print, NULL, &err), 0);
	check_str(seen, "0+2000d10000 2000+1000z0 3000+1000d13000 4000+1000D14000 5000+2000d15000 7000+1000z0 "
			"8000+1000d18000 9000+1000D19000 10000+5000z0 ");
	seen[0] = 0;
	check_eq(map_walk_lost(&m, print, NULL, &err), 0);
	check_str(seen, "4000+1000d14000 9000+1000d19000 ");
}

static void stored_bytes_at_the_end_of_a_part_are_given_out_too(void)
{
	const struct run runs[] = { { 0, 1, 1, 0 } };
	struct fixed f = { runs, 1 };
	struct io io;
	struct map m = map_in_parts(&f, &io);
	struct err err = { 0 };

	m.size = 8500;
	seen[0] = 0;
	check_eq(map_walk(&m, print, NULL, &err), 0);
	check_str(seen, "0+2000d10000 2000+1000z0 3000+1000d13000 4000+1000D14000 5000+2000d15000 7000+1000z0 "
			"8000+500d18000 ");
}

static int refuse(void *ctx, const struct extent *e, struct err *err)
{
	unsigned *left = ctx;

	(void)e;
	return (*left)-- ? 0 : err_set(err, -EIO, "refused");
}

static void a_refusal_ends_the_walk_wherever_it_comes(void)
{
	const struct run runs[] = { { 0, 1, 1, 0 } };
	struct fixed f = { runs, 1 };
	struct io io;
	struct map m = map_in_parts(&f, &io);

	for (unsigned n = 0; n < 9; n++) {
		struct err err = { 0 };
		unsigned left = n;

		check_eq(map_walk(&m, refuse, &left, &err), -EIO);
		check_eq(left, -1U);
	}
}

static void times_are_kept_apart_where_they_count(void)
{
	const struct run runs[] = { { 0, 5, 1, 0 }, { 1, 6, 1, 0 }, { 2, 7, 1, 1 } };
	struct fixed f = { runs, 3 };
	struct map m = map_of(&f, 3 * BS, false, 0);

	both(&m, false);
	check_str(seen, "0+589824d983040 ");
	m.timed = true;
	both(&m, false);
	check_str(seen, "0+393216d983040 393216+196608d1376256 ");
}

static const struct test tests[] = {
	{ "an unmapped block reads the origin as far as it reaches, then zeros",
	  holes_read_the_origin_then_zeros },
	{ "extents join only when they go on logically and physically",
	  neighbours_join_only_when_both_go_on },
	{ "mappings of different times are one extent, unless the map is timed", times_are_kept_apart_where_they_count },
	{ "the size may cut the last block; blocks beyond it are counted", the_size_cuts_the_last_block },
	{ "zeros and lost parts of a device are given out apart",
	  zeros_and_lost_parts_of_a_device_are_given_out_apart },
	{ "stored bytes at the end of a part are given out too", stored_bytes_at_the_end_of_a_part_are_given_out_too },
	{ "a refusal ends the walk wherever it comes", a_refusal_ends_the_walk_wherever_it_comes },
	{ "a guessed size is the larger of origin and last mapped block", a_guess_is_the_larger_of_both },
	{ "mappings that no device can have are refused", impossible_mappings_are_refused },
	{ "mappings that do not ascend are refused", descending_mappings_are_refused },
	{ "one device with its shared parts is filtered out of events", events_are_filtered },
	{ "neighbours in the source are one piece where the output can be written anywhere",
	  neighbours_in_the_source_are_one_piece },
	{ "long extents are cut into pieces", long_extents_are_cut },
	{ "the pieces of any plan cover each byte once, from its place", random_plans_are_whole },
	{ 0 }
};

int main(int argc, char **argv)
{
	return tap_main(tests, argc, argv);
}
