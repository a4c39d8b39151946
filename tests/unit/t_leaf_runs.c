/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "base/cpu.h"
#include "pool/format/format.h"
#include "pool/format/leaf_runs.h"
#include "random.h"
#include "tap.h"

#define LEAF_MAX NODE_MAX_ENTRIES(8)

static struct disk_node block;
static struct node leaf = { .raw = &block,
			    .values = (const uint8_t *)&block.keys[LEAF_MAX],
			    .leaf = true,
			    .value_size = 8 };

static void put(uint32_t i, uint64_t key, uint64_t value)
{
	block.keys[i] = le64_make(key);
	block.keys[LEAF_MAX + i] = le64_make(value);
}

/* Does entry @i go on where the entry before it ends? */
static bool goes_on(uint32_t i, enum leaf_runs_by by)
{
	uint64_t v = node_value64(&leaf, i), before = node_value64(&leaf, i - 1);

	return node_key(&leaf, i) == node_key(&leaf, i - 1) + 1 &&
	       mapping_block(v) == mapping_block(before) + 1 &&
	       (by == RUNS_ANY_TIME || mapping_time(v) == mapping_time(before));
}

static void compare_by(enum leaf_runs_by by)
{
	struct leaf_runs r;
	uint32_t nr = 0, end, last = 0;

	memset(&r, 0xa5, sizeof(r));
	leaf_runs_find(&r, &leaf, by);
	for (uint32_t i = 0; i < leaf.nr; i = end, nr++) {
		last = i;
		for (end = i + 1; end < leaf.nr && goes_on(end, by); end++)
			;
		check_eq(leaf_runs_end(&r, i), end);
	}
	check_eq(leaf_runs_nr(&r), nr);
	if (leaf.nr)
		check_eq(leaf_runs_last(&r, leaf.nr), last);
}

/* Once with the vectors of this CPU, once with those that every CPU has. */
static void compare(void)
{
	const unsigned has = cpu_features;

	for (int plain = 0; plain < 2; plain++, cpu_features = has) {
		if (plain)
			cpu_features = 0;
		compare_by(RUNS_ONE_TIME);
		compare_by(RUNS_ANY_TIME);
	}
}

/* One entry differs from a run, at each place of a leaf of each size; what lies behind the leaf does not matter. */
static void one_odd_entry(void)
{
	for (leaf.nr = 0; leaf.nr <= LEAF_MAX; leaf.nr += leaf.nr < 70 ? 1 : 13) {
		for (uint32_t at = 0; at <= leaf.nr; at += leaf.nr < 70 ? 1 : 7) {
			for (int odd = 0; odd < 4; odd++) {
				for (uint32_t i = 0; i < LEAF_MAX; i++)
					put(i, 700 + i + (i >= at && odd == 0),
					    mapping_pack(1000 + i + (i >= at && odd == 1),
							 i == at && odd == 2 ? 6 : 5));
				if (odd == 3 && at < leaf.nr)
					put(at, 700 + at, UINT64_MAX);
				compare();
			}
		}
	}
}

static void highest_numbers(void)
{
	leaf.nr = 3;
	put(0, UINT64_MAX - 2, UINT64_MAX);
	put(1, UINT64_MAX - 1, 0xffffff); /* the next value, but not the next data block */
	put(2, UINT64_MAX, mapping_pack(1, 0xffffff));
	compare();
}

static void by_chance(void)
{
	uint64_t seed = env("SEED", 1), state = seed * 2654435761u + 1;

	printf("# SEED=%llu\n", (unsigned long long)seed);
	for (int round = 0; round < 2000; round++) {
		uint64_t key = random_next(&state) % 1000, b = random_next(&state) % 1000;
		uint64_t often = random_next(&state) % 100;
		uint32_t time = 1;

		leaf.nr = (uint32_t)(random_next(&state) % (LEAF_MAX + 1));
		for (uint32_t i = 0; i < leaf.nr; i++) {
			key += 1 +
			       (random_next(&state) % 100 < often ? random_next(&state) % 3 : 0);
			b += random_next(&state) % 100 < often ? random_next(&state) % 5 : 1;
			time += random_next(&state) % 100 < often / 4;
			put(i, key, mapping_pack(b, time));
		}
		compare();
	}
}

static void compare_any(dblock_t begin, dblock_t end)
{
	bool any = false;

	for (uint32_t i = 0; i < leaf.nr; i++)
		any |= mapping_block(node_value64(&leaf, i)) >= begin &&
		       mapping_block(node_value64(&leaf, i)) < end;
	check_eq(leaf_maps_any(&leaf, begin, end), any);
}

static void ranges(void)
{
	const unsigned has = cpu_features;
	uint64_t seed = env("SEED", 1), state = seed * 2654435761u + 3;

	printf("# SEED=%llu\n", (unsigned long long)seed);
	for (int round = 0; round < 4000; round++) {
		const uint64_t among = 1ull << random_next(&state) % 41;

		cpu_features = round % 2 ? has : 0;
		leaf.nr = (uint32_t)(random_next(&state) % (round % 4 ? 9 : LEAF_MAX + 1));
		for (uint32_t i = 0; i < leaf.nr; i++)
			put(i, i, mapping_pack(random_next(&state) % among, 0xffffff));
		for (int k = 0; k < 20; k++) {
			uint64_t begin = random_next(&state) % among;

			compare_any(begin, begin + random_next(&state) % among);
			compare_any(begin, begin + 1);
			compare_any(begin, UINT64_MAX);
			compare_any(begin << 24, UINT64_MAX - 1);
			compare_any(begin, begin);
		}
	}
	cpu_features = has;
}

static const struct test tests[] = {
	{ "one entry out of line is seen at each place of a leaf of any size", one_odd_entry },
	{ "the highest block and the lowest are no run", highest_numbers },
	{ "leaves by chance", by_chance },
	{ "a leaf names a block of a range, wherever the range lies", ranges },
	{ 0 }
};

int main(int argc, char **argv)
{
	return tap_main(tests, argc, argv);
}
