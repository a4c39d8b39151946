/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Sets of devices and maps of suspects, compared with dumb models.  SEED=n replays one round. */
#include "failing.h"
#include "pool/forest/owners.h"
#include "pool/forest/sets.h"
#include "pool/forest/suspects.h"
#include "random.h"
#include "tap.h"

static struct err err;

/* --- sets --- */

#define SET_DEVS 50
#define MAX_SETS 2000

/* Makes sets of random parts and compares them with maps of bits.  0 or -ENOMEM. */
static int random_sets(uint64_t the_seed, uint64_t to_spell)
{
	static uint64_t mask[MAX_SETS];
	struct owners_list list = { 0 };
	struct sets s;
	int r = sets_init(&s, SET_DEVS) ? err_nomem(&err, "sets") : 0;

	rnd_begin(the_seed);
	s.to_spell = to_spell;
	mask[0] = 0;
	for (uint32_t i = 1; i <= SET_DEVS; i++)
		mask[i] = 1ull << i;
	for (int round = 0; round < 200 && !r; round++) {
		size_t nr = 1 + rnd(rnd(4) ? 4 : 30), known = s.nr_sets;
		uint32_t *to = sets_room(&s, nr), set = 0;
		uint64_t want = 0, got = 0;

		for (size_t i = 0; to && i < nr; i++) {
			to[i] = (uint32_t)(1 + rnd(known - 1));
			want |= mask[to[i]];
		}
		set = to ? sets_get(&s, nr) : 0;
		if (!set || sets_devices(&s, set, &list) || sets_devices(&s, set, &list)) {
			r = err_nomem(&err, "sets");
			continue;
		}
		check(s.nr_sets <= MAX_SETS);
		for (size_t i = known; i < s.nr_sets; i++)
			mask[i] = want;
		for (size_t i = 0; i < list.nr; i++)
			got |= 1ull << list.dev[i];
		check_eq(got, want);
		check_eq(mask[set], want);
		check(s.set[set].count >= list.nr);
	}
	owners_list_fini(&list);
	sets_fini(&s);
	return r;
}

static void sets_of_pool(uint64_t the_seed)
{
	check_eq(random_sets(the_seed, UINT32_MAX), 0);
	check_eq(random_sets(the_seed, the_seed * 40), 0);
	check_eq(random_sets(the_seed, 0), 0);
}

static void no_memory(void)
{
	check_each_request_failing(random_sets(env("SEED", 3), UINT32_MAX), &err);
	check_each_request_failing(random_sets(env("SEED", 3), 300), &err);
}

static void sets(void)
{
	each_seed(sets_of_pool);
}

/* --- suspects --- */

static void suspects_of_map(uint64_t the_seed)
{
	struct refmap *counts;
	uint64_t nr, *all, *some;
	bool any = false, any_shared = false;

	rnd_begin(the_seed);
	nr = 1 + rnd(1000);
	counts = refmap_new(nr, false);
	some = suspects_new(nr);
	check(counts && some);
	for (uint64_t k = rnd(40); k-- > 0;)
		refmap_set(counts, rnd(nr), (uint32_t)rnd(5));
	for (uint64_t b = 0; b < nr; b++) {
		uint32_t count = refmap_get(counts, b);

		if (!rnd(20))
			bits_set_run(some, b, 1);
		any |= count > 1 && bits_get(some, b);
		any_shared |= count > 1;
	}
	all = suspects_of_counted(counts);
	check(all);
	for (uint64_t b = 0; b < nr; b++)
		check_eq(bits_get(all, b), refmap_get(counts, b) > 0);
	check_eq(suspects_any_shared(some, counts), any);
	check_eq(suspects_any_shared(all, counts), any_shared);
	check_eq(suspects_any_shared(NULL, counts), any_shared);
	refmap_free(counts);
	free(all);
	free(some);
}

static void suspects(void)
{
	each_seed(suspects_of_map);
}

static const struct test tests[] = {
	{ "sets that are not spelt out have the same devices", sets },
	{ "sets give back what they had when there is no memory", no_memory },
	{ "a block is suspected of being shared when it is counted twice", suspects },
	{ 0 }
};

int main(int argc, char **argv)
{
	return tap_main(tests, argc, argv);
}
