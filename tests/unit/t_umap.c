/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "base/umap.h"
#include "tap.h"
#include "random.h"


#define WORLD 3000

static void check_all(const struct umap *m, const uint64_t *key, const uint64_t *value)
{
	size_t nr = 0, seen = 0;
	uint64_t k, v, sum = 0, want = 0;

	for (size_t i = 0; i < WORLD; i++) {
		check_eq(umap_get(m, key[i]), value[i]);
		nr += value[i] != 0;
		want += value[i] * (key[i] | 1);
	}
	check_eq(m->nr, nr);
	for (size_t i = 0; (i = umap_next(m, i, &k, &v)); seen++)
		sum += v * (k | 1);
	check_eq(seen, nr);
	check_eq(sum, want);
}

/* Keys of several kinds: in a row, far apart, alike in their low or in their high half. */
static void equal_to_array(void)
{
	static uint64_t key[WORLD], value[WORLD];

	rnd_begin_any();
	for (unsigned kind = 0; kind < 4; kind++) {
		struct umap m = { 0 };

		memset(value, 0, sizeof(value));
		for (uint64_t i = 0; i < WORLD; i++)
			key[i] = kind == 0   ? i
				 : kind == 1 ? rng() << 12 | i
				 : kind == 2 ? i << 32 | 7
					     : UINT64_MAX - i;
		for (unsigned round = 0; round < 40000; round++) {
			size_t i = rnd(WORLD);

			if (rnd(3)) {
				value[i] = rng() | 1;
				check_eq(umap_put(&m, key[i], value[i]), 0);
			} else {
				value[i] = 0;
				umap_del(&m, key[i]);
			}
			if (round % 5000 == 0)
				check_all(&m, key, value);
		}
		check_all(&m, key, value);
		check(m.nr * 4 <= m.cap * 3);
		for (size_t i = 0; i < WORLD; i++)
			umap_del(&m, key[i]);
		check_eq(m.nr, 0);
		umap_fini(&m);
	}
}

static void empty_map(void)
{
	struct umap m = { 0 };
	uint64_t k, v;

	check_eq(umap_get(&m, 0), 0);
	check(!umap_get_ptr(&m, UINT64_MAX));
	umap_del(&m, 5);
	check(!umap_keys(&m));
	check_eq(umap_next(&m, 0, &k, &v), 0);
	umap_fini(&m);
	check_eq(umap_put(&m, 5, 6), 0); /* a map that was given back can be used again */
	check_eq(umap_get(&m, 5), 6);
	umap_fini(&m);
	check_eq(m.nr, 0);
}

static void keys_ascend(void)
{
	static const uint64_t want[] = { 0, 7, 1ull << 40, UINT64_MAX - 1, UINT64_MAX };
	struct umap m = { 0 };
	uint64_t *keys;

	for (size_t i = ARRAY_SIZE(want); i--;)
		check_eq(umap_put(&m, want[i], i + 1), 0);
	check_eq(umap_put(&m, 7, 99), 0);
	check_eq(m.nr, ARRAY_SIZE(want));
	keys = umap_keys(&m);
	check(keys);
	for (size_t i = 0; i < ARRAY_SIZE(want); i++)
		check_eq(keys[i], want[i]);
	check_eq(umap_get(&m, 7), 99);
	free(keys);
	umap_fini(&m);
}

/* Pairs of numbers are keys too: a in the high half and b in the low one must not meet. */
static void halves_spread(void)
{
	struct umap m = { 0 };
	size_t far = 0;

	for (uint64_t a = 0; a < 256; a++)
		for (uint64_t b = 0; b < 256; b++)
			check_eq(umap_put(&m, a << 32 | b, 1), 0);
	for (size_t i = 0, run = 0; i < m.cap; i++) {
		run = m.slot[i].value ? run + 1 : 0;
		far = MAX(far, run);
	}
	printf("# the longest chain of %zu entries in %zu slots has %zu\n", m.nr, m.cap, far);
	check(far < 200);
	umap_fini(&m);
}

static const struct test tests[] = {
	{ "a map holds what an array holds, through puts and deletions of any keys",
	  equal_to_array },
	{ "a map without entries finds nothing and can be filled again", empty_map },
	{ "all keys come in ascending order, 0 and the greatest number too", keys_ascend },
	{ "keys that differ in one half only do not pile up", halves_spread },
	{ 0 }
};

int main(int argc, char **argv)
{
	return tap_main(tests, argc, argv);
}
