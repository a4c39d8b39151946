/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* A lost write leaves an older content, which is intact: no less comes back than of a block that is zero. */
#include <errno.h>

#include "old_pool.h"
#include "pdata/block/csum.h"
#include "pool/salvage/salvage.h"

#define NR_PLACES 4
/* Where something else stands in the place of a witness, the details and the metadata map's index, not all of them can agree. */
#define IS_WITNESS(place) ((place) == 1 || (place) == 2)

static uint8_t *block_of(struct io *io, uint64_t b)
{
	return (uint8_t *)io_mem_data(io) + b * MBLOCK_SIZE;
}

static uint64_t first_value(const uint8_t *node)
{
	le64 v;

	memcpy(&v, node + 32 + (size_t)INTERNAL_MAX * 8, sizeof(v));
	return le64_get(v);
}

struct result {
	uint64_t nr_mappings;
	bool back;
};

static struct result rescue(struct io *io)
{
	const struct salvage_options opt = { 0 };
	struct salvage_totals totals = { 0 };
	struct salvage *s = NULL;
	struct jobs *jobs = jobs_new(1);
	int r = salvage_new(io, jobs, &opt, &s, &err);

	check(!r || r == -EUCLEAN);
	if (!r)
		salvage_totals(s, &totals);
	salvage_free(s);
	jobs_free(jobs);
	return (struct result){ totals.nr_mappings, !r && totals.mappings_back };
}

/* What may have been in a block before: @what of the pool's blocks, with the number of block @at, or an empty leaf. */
static void make_stale(struct io *io, uint64_t at, uint64_t what)
{
	const struct disk_node_header empty = { .flags = le32_make(NODE_LEAF), .max_entries = le32_make(252), .value_size = le32_make(8) };
	uint8_t *to = block_of(io, at);
	const uint32_t salt[] = { SALT_NODE, SALT_BITMAP, SALT_INDEX };
	enum csum_kind kind;

	if (what) {
		memcpy(to, old_image + what * MBLOCK_SIZE, MBLOCK_SIZE);
	} else {
		memset(to, 0, MBLOCK_SIZE);
		memcpy(to, &empty, sizeof(empty));
		csum_seal(to, at, SALT_NODE);
	}
	kind = csum_classify(to, NULL);
	csum_seal(to, at, salt[kind == CSUM_IS_BITMAP ? 1 : kind == CSUM_IS_INDEX ? 2 : 0]);
}

/* One of the top level, the details, the metadata map's index, and the root of device 1. */
static void try_place(const uint64_t *place, const uint64_t *content, unsigned which)
{
	struct io *stale = old_pool(), *zero = old_pool();
	struct result got, least;

	memset(block_of(zero, place[which]), 0, MBLOCK_SIZE);
	make_stale(stale, place[which], content[rnd(NR_PLACES + 1)]);
	got = rescue(stale);
	least = rescue(zero);
	if ((!IS_WITNESS(which) && got.back < least.back) || got.nr_mappings < least.nr_mappings)
		printf("# place %u: %llu mappings, back %d; with zeros %llu, %d\n", which, (unsigned long long)got.nr_mappings, got.back,
		       (unsigned long long)least.nr_mappings, least.back);
	check(IS_WITNESS(which) || got.back >= least.back);
	check(got.nr_mappings >= least.nr_mappings);
	io_free(stale);
	io_free(zero);
}

static void no_worse(void)
{
	for (uint64_t seed = 1; seed < 100; seed++) {
		struct superblock sb;
		uint64_t place[NR_PLACES], content[NR_PLACES + 1];

		make_old(seed / 10 + 1);
		check_eq(superblock_open(&sb, old_image, 0), SB_OK);
		place[0] = sb.mapping_root;
		place[1] = sb.details_root;
		place[2] = sb.metadata_sm.bitmap_root;
		place[3] = first_value(old_image + sb.mapping_root * MBLOCK_SIZE);
		memcpy(content, place, sizeof(place));
		content[0] = 0;
		content[NR_PLACES] = first_value(old_image + place[3] * MBLOCK_SIZE);
		rnd_begin(seed);
		try_place(place, content, (unsigned)rnd(NR_PLACES));
	}
}

static const struct test tests[] = {
	{ "with other contents in the place of a root no less comes back than with zeros", no_worse },
	{ 0 }
};

int main(int argc, char **argv)
{
	return tap_main(tests, argc, argv);
}
