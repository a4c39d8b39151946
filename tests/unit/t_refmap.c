/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "base/jobs.h"
#include "pdata/block/format.h"
#include "pdata/block/refmap.h"
#include "tap.h"

static void counts_go_up_one_by_one(void)
{
	struct refmap *m = refmap_new(1000, false);

	for (unsigned i = 0; i < 600; i++) {
		check_eq(refmap_get(m, 37), i);
		check_eq(refmap_inc(m, 37), MIN(i, 3u));
	}
	check_eq(refmap_get(m, 36), 0);
	check_eq(refmap_get(m, 38), 0);
	check_eq(refmap_nr_allocated(m), 1);
	check_eq(refmap_find_pair_11(m, 0), 37);
	check_eq(refmap_find_pair_11(m, 38), 1000);
	refmap_free(m);
}

static void set_replaces_any_count(void)
{
	static const uint32_t c[] = { 0, 1, 2, 3, 4, 258, 259, 70000, 0, 259, 3, 70000, 258, 2, 0 };
	struct refmap *m = refmap_new(100, true);

	for (unsigned i = 0; i < ARRAY_SIZE(c); i++) {
		refmap_set(m, 5, c[i]);
		refmap_set(m, 6, 300);
		check_eq(refmap_get(m, 5), c[i]);
		check_eq(refmap_get(m, 6), 300);
		check_eq(refmap_get(m, 4), 0);
	}
	refmap_set(m, 6, 0);
	check_eq(refmap_nr_allocated(m), 0);
	refmap_inc(m, 6);
	check_eq(refmap_get(m, 6), 1);
	refmap_free(m);
}

#define MODEL_LEN 3000

/* The dumbest thing that can count, compared after random runs, lists and single blocks. */
static void a_model_agrees(bool shared)
{
	struct refmap *m = refmap_new(MODEL_LEN, shared);
	static uint32_t model[MODEL_LEN];
	uint64_t list[40];

	memset(model, 0, sizeof(model));
	srand(42);
	for (unsigned k = 0; k < 2000; k++) {
		uint64_t b = (uint64_t)rand() % MODEL_LEN, len = (uint64_t)rand() % 200;

		len = MIN(len, MODEL_LEN - b);
		refmap_inc_run(m, b, len);
		for (uint64_t i = 0; i < len; i++)
			model[b + i]++;
		for (unsigned i = 0; i < ARRAY_SIZE(list); i++) {
			list[i] = (uint64_t)rand() % MODEL_LEN;
			model[list[i]]++;
		}
		refmap_inc_list(m, list, k % ARRAY_SIZE(list));
		for (unsigned i = k % ARRAY_SIZE(list); i < ARRAY_SIZE(list); i++)
			model[list[i]]--;
	}
	for (uint64_t i = 0; i < MODEL_LEN; i++)
		check_eq(refmap_get(m, i), model[i]);
	check(!refmap_failed(m));
	refmap_free(m);
}

static void model_alone(void)
{
	a_model_agrees(false);
}

static void model_shared(void)
{
	a_model_agrees(true);
}

static int inc_piece(void *ctx, unsigned worker, size_t begin, size_t end, struct err *err)
{
	(void)worker;
	(void)err;
	for (size_t i = begin; i < end; i++) {
		refmap_inc_run(ctx, 3, 70);
		refmap_inc(ctx, 50);
	}
	return 0;
}

static void threads_lose_nothing(void)
{
	struct refmap *m = refmap_new(100, true);
	struct jobs *j = jobs_new(4);
	struct err err;

	check(m && j);
	check_eq(jobs_for(j, 10000, 10, inc_piece, m, &err), 0);
	for (uint64_t b = 0; b < 100; b++)
		check_eq(refmap_get(m, b), b < 3 || b >= 73 ? 0 : b == 50 ? 20000 : 10000);
	jobs_free(j);
	refmap_free(m);
}

static void bitmaps_are_the_format_s(void)
{
	struct refmap *m = refmap_new(100, false);
	uint8_t bits[4080];
	uint32_t used, free_at;

	/* the worked example of the format: data map of the 100 block pool */
	refmap_set(m, 10, 3);
	refmap_set(m, 11, 2);
	refmap_set(m, 12, 2);
	refmap_set(m, 20, 1);
	refmap_set(m, 30, 1);
	refmap_to_bitmap(m, 0, bits, &used, &free_at);
	check_eq(used, 5);
	check_eq(free_at, 0);
	check(!memcmp(bits, "\0\0\x70\x01\0\x02\0\x20\0", 9));
	for (unsigned i = 9; i < sizeof(bits); i++)
		check_eq(bits[i], 0);
	refmap_free(m);
}

static void bitmaps_come_back(void)
{
	uint64_t nr = 2 * ENTRIES_PER_BITMAP + 77;
	struct refmap *m = refmap_new(nr, false), *n = refmap_new(nr, false);
	uint8_t bits[4080];
	uint32_t used, free_at, sum = 0;

	refmap_inc_run(m, 0, ENTRIES_PER_BITMAP + 5);
	refmap_inc_run(m, 100, 1000);
	refmap_inc(m, nr - 1);
	for (uint64_t i = 0; i < 3; i++) {
		refmap_to_bitmap(m, i, bits, &used, &free_at);
		sum += used;
		check_eq(free_at, i == 1 ? 5 : 0);
		memset(bits + (i == 2 ? 20 : 4080), 0xff, i == 2 ? 4060 : 0);
		refmap_from_bitmap(n, i, bits);
	}
	check_eq(sum, refmap_nr_allocated(m));
	for (uint64_t b = 0; b < nr; b++)
		check_eq(refmap_get(n, b), refmap_get(m, b));
	check_eq(refmap_find_used(n, ENTRIES_PER_BITMAP + 5), nr - 1);
	check_eq(refmap_find_free(n, 0), ENTRIES_PER_BITMAP + 5);
	check_eq(refmap_find_free(n, nr - 1), nr);
	check_eq(refmap_find_used(n, nr), nr);
	refmap_free(m);
	refmap_free(n);
}

/* References spread over two maps, merged, are those of one. */
static void merging_adds(void)
{
	struct refmap *all = refmap_new(MODEL_LEN, false), *a = refmap_new(MODEL_LEN, false);
	struct refmap *b = refmap_new(MODEL_LEN, false);

	srand(7);
	for (unsigned k = 0; k < 4000; k++) {
		uint64_t at = (uint64_t)rand() % MODEL_LEN % (1 + (unsigned)rand() % MODEL_LEN);
		uint64_t length = (uint64_t)rand() % 9, len = MIN(length, MODEL_LEN - at);

		refmap_inc_run(rand() % 2 ? a : b, at, len);
		refmap_inc_run(all, at, len);
	}
	for (unsigned k = 0; k < 1000; k++) {
		refmap_inc(k % 3 ? a : b, 1234);
		refmap_inc(all, 1234);
	}
	refmap_merge(a, b, 0, 1024);
	refmap_merge(a, b, 1024, MODEL_LEN);
	check(refmap_get(all, 1234) > 999);
	for (uint64_t i = 0; i < MODEL_LEN; i++)
		check_eq(refmap_get(a, i), refmap_get(all, i));
	check_eq(refmap_nr_allocated(a), refmap_nr_allocated(all));
	refmap_free(a);
	refmap_free(b);
	refmap_free(all);
}

/* Large enough for huge pages. */
static void large_maps_count(void)
{
	struct refmap *m = refmap_new(100000000, false);

	for (uint64_t b = 0; b < 100000000; b += 999999)
		refmap_inc(m, b);
	refmap_inc_run(m, 99999990, 10);
	check_eq(refmap_nr_allocated(m), 111);
	check_eq(refmap_find_used(m, 99999991), 99999991);
	refmap_free(m);
}

static int note_overflow(void *ctx, uint64_t b, uint32_t count)
{
	uint64_t *sum = ctx;

	*sum = *sum * 1000003 + b * 7 + count;
	return count == 99 ? -1 : 0;
}

static void overflow_is_listed_in_order(void)
{
	struct refmap *m = refmap_new(100000, false);
	uint64_t sum = 0, want = 0;

	refmap_set(m, 99999, 3);
	refmap_set(m, 31, 1000);
	refmap_set(m, 32, 2);
	refmap_set(m, 4000, 4);
	note_overflow(&want, 31, 1000);
	note_overflow(&want, 4000, 4);
	note_overflow(&want, 99999, 3);
	check_eq(refmap_each_overflow(m, note_overflow, &sum), 0);
	check_eq(sum, want);
	refmap_set(m, 5000, 99);
	check_eq(refmap_each_overflow(m, note_overflow, &sum), -1);
	refmap_free(m);
}

static const struct test tests[] = {
	{ "counts go up one by one, through the pair and both overflows", counts_go_up_one_by_one },
	{ "setting a count replaces whatever was there", set_replaces_any_count },
	{ "runs, lists and single blocks count as a plain array does", model_alone },
	{ "the map for several threads counts the same", model_shared },
	{ "four threads on the same words lose no reference", threads_lose_nothing },
	{ "a bitmap has the bits of the format's worked example", bitmaps_are_the_format_s },
	{ "bitmaps read back give the same counts, and nothing past the end", bitmaps_come_back },
	{ "two maps merged count as one", merging_adds },
	{ "a map of 100 million blocks counts", large_maps_count },
	{ "counts of three and more are listed in order until told to stop",
	  overflow_is_listed_in_order },
	{ 0 }
};

int main(int argc, char **argv)
{
	return tap_main(tests, argc, argv);
}
