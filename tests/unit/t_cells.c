/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "pool/query/cells.h"
#include "random.h"
#include "tap.h"

#define BEGIN	1000
#define NR	10000
#define ENTRIES 100

/* By block, as a simple count has it: its only owner + 1, or that there are several. */
static uint32_t truth[NR];

static void tell(uint64_t block, uint32_t owner)
{
	uint32_t *t;

	if (block < BEGIN || block >= BEGIN + NR)
		return;
	t = &truth[block - BEGIN];
	*t = *t && *t != owner + 1 ? CELLS_SEVERAL : owner + 1;
}

/* A leaf that maps blocks in and around the window, alone or in runs. */
static void make_leaf(struct node *n, struct disk_node *raw)
{
	const bool runs = rnd(2);
	uint64_t b = 0;

	*n = (struct node) { .raw = raw,
			     .values = (const uint8_t *)&raw->keys[ENTRIES],
			     .nr = ENTRIES,
			     .value_size = 8,
			     .leaf = true };
	for (uint32_t i = 0; i < ENTRIES; i++) {
		b = i && runs && rnd(20) ? b + 1 : rnd(BEGIN + NR + 500);
		raw->keys[i] = le64_make(i);
		raw->keys[ENTRIES + i] = le64_make(b << 24 | rnd(5));
	}
}

/* A random leaf is one owner's, or shared. */
static void one_leaf(struct cells *c, struct cells *few, unsigned nr_owners, struct node *n,
		     struct disk_node *raw)
{
	const bool shared = !rnd(4);
	/* often the first or the last index: a narrow cell could take these for its marks */
	const uint32_t owner = rnd(3) ? rnd(nr_owners) : rnd(2) ? 0 : nr_owners - 1;
	bool twice = false;

	make_leaf(n, raw);
	for (uint32_t i = 0; i < ENTRIES; i++) {
		const uint64_t b = node_value64(n, i) >> 24, at = b - BEGIN;

		twice |= !shared && at < NR && truth[at] == owner + 1;
		tell(b, owner);
		if (shared && at < NR)
			truth[at] = CELLS_SEVERAL;
	}
	if (shared) {
		cells_share(c, n);
		cells_share(few, n);
	} else {
		check_eq(cells_own(c, n, owner), twice);
		(void)cells_own(few, n, owner);
	}
}

/* Two sets of cells: for all blocks of the window, and for every third one. */
static void equal_to_truth(size_t nr_owners, unsigned width)
{
	uint64_t *alone = calloc(nr_owners, sizeof(*alone)),
		 *want = calloc(nr_owners, sizeof(*want));
	static dblock_t list[NR / 3];
	struct cells c, few;
	static struct disk_node raw;
	uint64_t entries = 0;
	struct node n;

	check(alone && want);
	memset(truth, 0, sizeof(truth));
	for (size_t i = 0; i < NR / 3; i++)
		list[i] = BEGIN + 3 * i;
	check(!cells_init(&c, BEGIN, NR, NULL, nr_owners, false));
	check(!cells_init(&few, 0, NR / 3, list, nr_owners, true));
	check_eq(c.width, width);
	for (unsigned round = 0; round < 150; round++)
		one_leaf(&c, &few, (unsigned)nr_owners, &n, &raw);
	for (size_t i = 0; i < NR / 3; i++)
		check_eq(cells_owner(&few, i), truth[3 * i]);
	for (uint64_t i = 0; i < NR; i++) {
		check_eq(cells_owner(&c, i), truth[i]);
		if (truth[i] && truth[i] != CELLS_SEVERAL)
			want[truth[i] - 1]++;
	}
	cells_count(&c, alone);
	for (size_t i = 0; i < nr_owners; i++)
		check_eq(alone[i], want[i]);
	/* the last leaf's entries that its blocks' owners have alone */
	for (size_t i = 0; i < nr_owners; i += nr_owners / 5 + 1)
		entries += cells_count_leaf(&c, &n, (uint32_t)i);
	for (uint32_t i = 0; i < ENTRIES; i++) {
		const uint64_t at = (node_value64(&n, i) >> 24) - BEGIN;

		if (at < NR && truth[at] && truth[at] != CELLS_SEVERAL &&
		    !((truth[at] - 1) % (nr_owners / 5 + 1)))
			entries--;
	}
	check_eq(entries, 0);
	cells_fini(&c);
	cells_fini(&few);
	free(alone);
	free(want);
}

static void narrow(void)
{
	equal_to_truth(1, 1);
	equal_to_truth(3, 1);
	equal_to_truth(254, 1);
}

static void middle(void)
{
	equal_to_truth(255, 2);
	equal_to_truth(65534, 2);
}

static void wide(void)
{
	equal_to_truth(65535, 4);
	equal_to_truth(100000, 4);
}

/* A run over all places where a page of bits may end, shared, and mapped by one device besides. */
static void long_run(void)
{
	const uint64_t nr = 100000;
	static struct disk_node raw;
	uint64_t alone[2] = { 0 };
	struct node n;
	struct cells c;

	check(!cells_init(&c, 0, nr, NULL, 2, false));
	make_leaf(&n, &raw);
	for (uint64_t end = 32768; end < nr; end += 32768) {
		for (uint32_t i = 0; i < ENTRIES; i++)
			raw.keys[ENTRIES + i] = le64_make((end - 10 + i) << 24);
		cells_share(&c, &n);
		check(!cells_own(&c, &n, 1));
		for (uint32_t i = 0; i < ENTRIES; i++)
			check_eq(cells_owner(&c, end - 10 + i), CELLS_SEVERAL);
	}
	cells_count(&c, alone);
	check_eq(alone[0], 0);
	check_eq(alone[1], 0);
	cells_fini(&c);
}

static const struct test tests[] = {
	{ "a run of shared blocks is nobody's alone wherever it lies", long_run },
	{ "cells of one byte tell the owners of up to 254 devices", narrow },
	{ "cells of two bytes tell the owners of up to 65,534 devices", middle },
	{ "cells of four bytes tell the owners of more devices", wide },
	{ NULL, NULL },
};

int main(int argc, char **argv)
{
	return tap_main(tests, argc, argv);
}
