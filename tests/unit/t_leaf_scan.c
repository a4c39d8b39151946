/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "pool/check/leaf_scan.h"
#include "random.h"
#include "tap.h"

#define NR_DATA 5000

static struct disk_node block;
static struct node leaf = {
	.raw = &block, .values = (const uint8_t *)&block.keys[252], .leaf = true, .value_size = 8
};

static void put(uint32_t i, uint64_t value)
{
	block.keys[252 + i] = le64_make(value);
}

/* The ends of the runs, one after the other; and there are none within when it says so. */
static void compare_runs(const struct leaf_scan *s)
{
	bool none = true;

	for (uint32_t i = 0, end; i < leaf.nr; i = end) {
		for (end = i + 1; end < leaf.nr; end++)
			if (node_value64(&leaf, end) - node_value64(&leaf, end - 1) != MAPPING_STEP)
				break;
		check_eq(leaf_scan_end(s, i), end);
		none &= end == i + 1;
	}
	check(!s->no_run || none);
}

/* Compares the scan with a loop over the values.  Of fewer than 5 values it need not see that they have one time. */
static void compare(void)
{
	struct leaf_scan s;
	bool run = true, inside = true;
	uint32_t newest = 0, oldest = UINT32_MAX;

	leaf_scan(&leaf, NR_DATA, &s);
	for (uint32_t i = 0; i < leaf.nr; i++) {
		uint64_t v = node_value64(&leaf, i);

		run &= !i || (mapping_block(v) == mapping_block(node_value64(&leaf, i - 1)) + 1 &&
			      mapping_time(v) == mapping_time(node_value64(&leaf, i - 1)));
		inside &= mapping_block(v) < NR_DATA;
		newest = MAX(newest, mapping_time(v));
		oldest = MIN(oldest, mapping_time(v));
	}
	check(!s.one_time || newest == oldest);
	check(s.one_time || newest != oldest || leaf.nr < 5 || !HAS_SCAN_VECTOR);
	check_eq(s.one_run, run);
	check_eq(s.all_inside, inside);
	check_eq(s.newest, newest);
	if (!run)
		compare_runs(&s);
	leaf_scan_singly(&leaf, NR_DATA, &s);
	check_eq(s.all_inside, inside);
	check_eq(s.newest, newest);
	compare_runs(&s);
}

/* One value differs from a run, at each place of a leaf of each size. */
static void one_odd_value(void)
{
	static const uint64_t odd[] = {
		0,
		7,
		0xffffff,
		(uint64_t)NR_DATA << 24,
		((uint64_t)NR_DATA - 1) << 24 | 3,
		UINT64_MAX,
		(uint64_t)1 << 63,
		(uint64_t)1 << 62,
		((uint64_t)1 << 63) - 1,
	};

	for (leaf.nr = 1; leaf.nr <= 252; leaf.nr += leaf.nr < 24 ? 1 : 19) {
		for (uint32_t at = 0; at < leaf.nr; at++) {
			for (size_t k = 0; k < ARRAY_SIZE(odd); k++) {
				for (uint32_t i = 0; i < leaf.nr; i++)
					put(i, i == at ? odd[k] : mapping_pack(1000 + i, 5));
				compare();
			}
		}
	}
}

static void runs(void)
{
	struct leaf_scan scattered;

	for (leaf.nr = 1; leaf.nr <= 252; leaf.nr++) {
		for (uint32_t i = 0; i < leaf.nr; i++)
			put(i, mapping_pack(NR_DATA - leaf.nr + i, 9));
		compare();
		for (uint32_t i = 0; i < leaf.nr; i++)
			put(i, mapping_pack(NR_DATA - leaf.nr + i + 1, 9));
		compare();
		for (uint32_t i = 0; i < leaf.nr; i++)
			put(i, mapping_pack(i * 7 % NR_DATA, i * 31 % 100));
		compare();
		leaf_scan(&leaf, NR_DATA, &scattered);
		check(scattered.no_run || leaf.nr < 5 || !HAS_SCAN_VECTOR);
	}
}

static void runs_of_any_length(void)
{
	for (unsigned round = 0; round < 20; round++) {
		for (leaf.nr = 1; leaf.nr <= 252; leaf.nr++) {
			const uint64_t longest = 1 + random_below(&rnd_state, 70);
			uint64_t v = 0, left = 0;

			for (uint32_t i = 0; i < leaf.nr; i++, v += MAPPING_STEP) {
				if (!left--) {
					v = mapping_pack(random_below(&rnd_state, NR_DATA - 70),
							 (uint32_t)random_below(&rnd_state, 2));
					left = random_below(&rnd_state, longest);
				}
				put(i, v);
			}
			compare();
		}
	}
}

static const struct test tests[] = {
	{ "one value out of line is seen at each place of a leaf of any size", one_odd_value },
	{ "runs up to the last data block, one beyond it, and scattered blocks", runs },
	{ "the end of each run is found", runs_of_any_length },
	{ 0 }
};

int main(int argc, char **argv)
{
	rnd_begin(env("SEED", 1));
	return tap_main(tests, argc, argv);
}
