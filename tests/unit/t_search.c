/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "base/search.h"
#include "base/units.h"
#include "tap.h"

#include <unistd.h>

/* What search_first() should give, one index after the other. */
static size_t slow(const uint64_t *a, size_t nr, uint64_t w, bool beyond)
{
	size_t i;

	for (i = 0; i < nr && (beyond ? a[i] <= w : a[i] < w); i++)
		;
	return i;
}

static void equal_to_slow(void)
{
	unsigned seed = getenv("SEED") ? (unsigned)atoi(getenv("SEED")) : (unsigned)getpid();
	uint64_t a[70];

	printf("# SEED=%u\n", seed);
	srand(seed);
	for (size_t nr = 0; nr <= ARRAY_SIZE(a); nr++) {
		uint64_t v = 0, end;

		for (size_t i = 0; i < nr; i++)
			a[i] = v += (unsigned)rand() % 3; /* some of them equal */
		end = v + 2;
		for (uint64_t w = 0; w <= end; w++) {
			check_eq(search_first(i, nr, a[i] >= w), slow(a, nr, w, false));
			check_eq(search_first(i, nr, a[i] > w), slow(a, nr, w, true));
		}
	}
}

static void few_steps(void)
{
	unsigned steps = 0;
	uint64_t n = UINT64_MAX, wanted = UINT64_MAX / 3;

	check_eq(search_first(i, n, (steps++, i >= wanted)), wanted);
	check(steps <= 64);
	check_eq(search_first(i, n, false), UINT64_MAX);
	check_eq(search_first(i, n, true), 0);
}

static void one_by_one(void)
{
	const uint32_t a[] = { 3, 1, 4, 1, 5 };
	unsigned looks = 0;

	check_eq(count_of(i, ARRAY_SIZE(a), a[i] == 1), 2);
	check_eq(count_of(i, 0, i < 9), 0);
	check(any_of(i, ARRAY_SIZE(a), a[i] == 5));
	check(!any_of(i, ARRAY_SIZE(a), a[i] == 2));
	check(!any_of(i, 0, i < 9));
	check(any_of(i, ARRAY_SIZE(a), (looks++, a[i] == 1)));
	check_eq(looks, 2);
	/* one inside the other */
	check_eq(count_of(i, ARRAY_SIZE(a), any_of(k, i, a[k] == a[i])), 1);
}

static void types(void)
{
	const uint32_t nr = 5;

	check_eq(sizeof(search_first(i, nr, i > 2)), sizeof(uint32_t));
	check_eq((int)search_first(i, nr, i > 2), 3);
	/* one search inside the other */
	check_eq(search_first(i, nr, search_first(k, nr, k >= i) >= 4), 4);
}

static const struct test tests[] = {
	{ "the index is that of a search one by one, with equal elements and at both ends",
	  equal_to_slow },
	{ "2^64 elements take 64 steps", few_steps },
	{ "elements without an order are counted, or searched up to the first that will do", one_by_one },
	{ "the index has the type of the number, and searches nest", types },
	{ 0 }
};

int main(int argc, char **argv)
{
	return tap_main(tests, argc, argv);
}
