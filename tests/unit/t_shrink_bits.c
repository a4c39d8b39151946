/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* The map of the data blocks in use, against an array of flags. */
#include <stdlib.h>
#include <string.h>

#include "pool/space/shrink_bits.h"
#include "tap.h"
#include "random.h"

#define NR 40000 /* some groups of 4096 */
#define FAR ((UINT64_C(1) << 40) - 4096 * 20)

static struct err err;
static bool flag[NR];

static void set(struct used_bits *u, uint64_t b, uint64_t len, uint64_t far)
{
	memset(flag + b, true, len);
	check_eq(used_bits_set(u, far + b, len, &err), 0);
}

static uint64_t dumb_find(uint64_t from, uint64_t end, bool wanted)
{
	while (from < end && flag[from] != wanted)
		from++;
	return from;
}

static void compare(const struct used_bits *u, uint64_t far)
{
	uint64_t before = 0, nr_free = 0;

	for (uint64_t b = 0; b < NR; b++) {
		const uint64_t end = b + rnd(NR - b + 1);

		if (b % 4096 < 3 || b % 4096 > 4093 || !rnd(40)) {
			check_eq(used_bits_before(u, far + b), before);
			check_eq(used_bits_find(u, far + b, far + end, true), far + dumb_find(b, end, true));
			check_eq(used_bits_find(u, far + b, far + end, false), far + dumb_find(b, end, false));
			if (!flag[b])
				check_eq(used_bits_nth_free(u, far + nr_free), far + b);
		}
		before += flag[b];
		nr_free += !flag[b];
	}
	check_eq(u->nr_set, before);
	check_eq(used_bits_before(u, far + NR), before);
	check_eq(used_bits_nth_free(u, far + nr_free), far + NR);
	check_eq(used_bits_find(u, far + NR, far + NR + 100000, true), far + NR + 100000);
	check_eq(used_bits_find(u, far + NR, far + NR + 100000, false), far + NR);
}

static void random_maps(void)
{
	for (uint64_t seed = 1; seed <= 60; seed++) {
		struct used_bits u = { 0 };
		const uint64_t far = seed % 2 ? FAR : 0, longest = seed % 3 ? 12000 : 20;

		memset(flag, 0, sizeof(flag));
		rnd_begin(seed);
		for (uint64_t n = rnd(seed % 3 ? 5 : 600); n; n--) {
			const uint64_t at = rnd(NR), b = rnd(4) ? at : at / 4096 * 4096;
			const uint64_t len = rnd(4) ? 1 + rnd(longest) : 4096;

			set(&u, b, MIN(NR - b, len), far);
		}
		used_bits_count(&u);
		compare(&u, far);
		used_bits_fini(&u);
	}
}

static void all_set(void)
{
	struct used_bits u = { 0 };

	set(&u, 0, NR, 0);
	used_bits_count(&u);
	compare(&u, 0);
	used_bits_fini(&u);
}

static void none_set(void)
{
	struct used_bits u = { 0 };

	memset(flag, 0, sizeof(flag));
	used_bits_count(&u);
	compare(&u, FAR);
	used_bits_fini(&u);
}

static const struct test tests[] = {
	{ "random maps, dense and sparse, at the begin and the end of the greatest pool, answer as an array does", random_maps },
	{ "so does one in which all is set", all_set },
	{ "and one in which nothing is", none_set },
	{ 0 }
};

int main(int argc, char **argv)
{
	return tap_main(tests, argc, argv);
}
