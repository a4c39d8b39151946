/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "base/runs.h"
#include "random.h"
#include "tap.h"

static void is(const struct runs *r, size_t i, uint64_t begin, uint64_t end)
{
	check(i < r->nr);
	check_eq(r->run[i].begin, begin);
	check_eq(r->run[i].end, end);
}

static void touching_join(void)
{
	struct runs r;

	runs_init(&r);
	check(!runs_add(&r, 10, 20) && !runs_add(&r, 20, 30) && !runs_add(&r, 5, 10));
	check_eq(r.nr, 1);
	is(&r, 0, 5, 30);
	check(!runs_add(&r, 40, 50) && !runs_add(&r, 60, 70));
	check_eq(r.nr, 3);
	check(!runs_add(&r, 25, 65));
	check_eq(r.nr, 1);
	is(&r, 0, 5, 70);
	runs_fini(&r);
}

static void empty_run(void)
{
	struct runs r;

	runs_init(&r);
	check(!runs_add(&r, 7, 7));
	check_eq(r.nr, 0);
	check(!runs_has(&r, 7));
	check(!runs_add(&r, UINT64_MAX - 1, UINT64_MAX));
	check(runs_has(&r, UINT64_MAX - 1));
	check(!runs_has(&r, UINT64_MAX));
	runs_fini(&r);
}

#define WORLD 300

static void equal_to_flags(void)
{
	unsigned round, i, v;
	bool flag[WORLD + 1];
	struct runs r;

	for (round = 0; round < 300; round++) {
		memset(flag, 0, sizeof(flag));
		runs_init(&r);
		for (i = 0; i < 40; i++) {
			unsigned begin = (unsigned)rnd(WORLD), length = (unsigned)rnd(12);
			unsigned end = MIN(begin + length, WORLD);

			check(!runs_add(&r, begin, end));
			for (v = begin; v < end; v++)
				flag[v] = true;
		}
		for (v = 0; v <= WORLD; v++)
			check(runs_has(&r, v) == flag[v]);
		for (i = 1; i < r.nr; i++)
			check(r.run[i - 1].end < r.run[i].begin);
		runs_fini(&r);
	}
}

static const struct test tests[] = {
	{ "runs that touch or overlap become one", touching_join },
	{ "an empty run adds nothing, and the last number is never in", empty_run },
	{ "any order of additions gives the set that flags give", equal_to_flags },
	{ 0 }
};

int main(int argc, char **argv)
{
	return tap_main(tests, argc, argv);
}
