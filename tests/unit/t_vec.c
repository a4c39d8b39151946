/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "base/cleanup.h"
#include "base/order.h"
#include "base/vec.h"
#include "base/units.h"
#include "tap.h"

struct list {
	uint32_t *item;
	size_t nr, cap;
};

static void keeps_all(void)
{
	struct list l = { 0 };

	for (uint32_t i = 0; i < 100000; i++) {
		uint32_t *p = vec_add(l.item, l.nr, l.cap);

		check(p == &l.item[i]);
		*p = i * 3;
		check(l.cap >= l.nr);
	}
	check_eq(l.nr, 100000);
	for (uint32_t i = 0; i < l.nr; i++)
		check_eq(l.item[i], i * 3);
	free(l.item);
}

static void doubles(void)
{
	struct list l = { 0 };
	unsigned moves = 0;

	while (l.nr < 1000000) {
		size_t cap = l.cap;

		check(vec_add(l.item, l.nr, l.cap));
		l.item[l.nr - 1] = 0;
		moves += cap != l.cap;
	}
	check(moves <= 17); /* 16 << 16 > 1000000 */
	free(l.item);
}

static void reserves_at_once(void)
{
	struct list l = { 0 };
	uint32_t *item;

	check_eq(vec_reserve(l.item, l.cap, 1000), 0);
	check(l.cap >= 1000 && l.item);
	check_eq(l.nr, 0);
	item = l.item;
	for (uint32_t i = 0; i < 1000; i++)
		check(vec_add(l.item, l.nr, l.cap) == item + i);
	check_eq(vec_reserve(l.item, l.cap, 7), 0);
	check(l.item == item);
	check_eq(vec_reserve(l.item, l.cap, 0), 0);
	free(l.item);
}

/* Under AddressSanitizer a request that is too large is refused, as elsewhere. */
const char *__asan_default_options(void);
__attribute__((visibility("default"))) const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

static void no_memory(void)
{
	struct list l = { 0 };
	uint32_t *item;
	size_t cap;

	*vec_add(l.item, l.nr, l.cap) = 42;
	item = l.item;
	cap = l.cap;
	check_eq(-vec_reserve(l.item, l.cap, SIZE_MAX), ENOMEM);     /* does not fit a size_t */
	check_eq(-vec_reserve(l.item, l.cap, SIZE_MAX / 2), ENOMEM); /* nor the address space */
	check(l.item == item && l.cap == cap && l.nr == 1 && *item == 42);
	free(l.item);
}

struct pair {
	uint64_t key;
	uint32_t value;
};

static void keeps_values(void)
{
	struct vec v = { 0 };
	const struct pair *p;

	for (uint32_t i = 0; i < 1000; i++)
		check_eq(vec_put(&v, (struct pair){ ~(uint64_t)i, i }), 0);
	check_eq(v.nr, 1000);
	p = v.data;
	for (uint32_t i = 0; i < 1000; i++)
		check(p[i].key == ~(uint64_t)i && p[i].value == i);
	free_vec(&v);
}

static void sorts(void)
{
	CLEANUP(free_vec) struct vec v = { 0 };
	const struct pair *p;

	vec_sort(&v, sizeof(*p), order_u64);
	check(!v.data);
	for (uint32_t i = 0; i < 1000; i++)
		check_eq(vec_put(&v, (struct pair){ 1000 - i, i }), 0);
	vec_sort(&v, sizeof(*p), order_u64);
	p = v.data;
	for (uint32_t i = 0; i < 1000; i++)
		check(p[i].key == i + 1 && p[i].value == 999 - i);
}

static const struct test tests[] = {
	{ "elements added one by one are all there, in order", keeps_all },
	{ "a million additions move the array a few times only", doubles },
	{ "what was reserved is not moved until it is full", reserves_at_once },
	{ "values of a struct's type that are put are all there, in order", keeps_values },
	{ "they are sorted by what they begin with, also when there are none", sorts },
	{ "without memory the array stays as it was", no_memory },
	{ 0 }
};

int main(int argc, char **argv)
{
	return tap_main(tests, argc, argv);
}
