/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include <sys/mman.h>
#include <unistd.h>

#include "base/pages.h"
#include "base/units.h"
#include "tap.h"

#define LEN ((size_t)1 << 20)

/* How many pages of @p are in memory. */
static size_t nr_present(void *p)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE), nr_pages = LEN / page;
	unsigned char present[LEN / 4096] = { 0 };
	size_t nr = 0;

	check_eq(mincore(p, LEN, present), 0);
	for (size_t i = 0; i < nr_pages; i++)
		nr += present[i] & 1;
	return nr;
}

static void untouched(void)
{
	/* what is freed is kept for what comes next: calloc() would clear it */
	for (unsigned round = 0; round < 3; round++) {
		char *used = malloc(LEN), *p;

		check(used);
		memset(used, 0xa5, LEN);
		free(used);
		p = pages_new(LEN);
		check(p);
		check_eq(nr_present(p), 0);
		check_eq(p[0], 0);
		check_eq(p[LEN - 1], 0);
		check(nr_present(p) <= 2);
		pages_free(p, LEN);
	}
}

static void zeroed(void)
{
	static const size_t len[] = { 0, 1, 4096, 127 << 10, 128 << 10, 300001 };

	for (unsigned round = 0; round < 2; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(len); i++) {
			char *p = pages_new(len[i]);

			check(p);
			for (size_t k = 0; k < len[i]; k++)
				check_eq(p[k], 0);
			memset(p, 0xa5, len[i]);
			pages_free(p, len[i]);
		}
	}
	pages_free(NULL, 1);
	pages_free(NULL, LEN);
}

static const struct test tests[] = {
	{ "a large array takes memory only where it is touched, whatever was freed before", untouched },
	{ "the memory is zeroed, of any length", zeroed },
	{ 0 }
};

int main(int argc, char **argv)
{
	return tap_main(tests, argc, argv);
}
