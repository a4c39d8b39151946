/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Pools so large that a space map has several bitmaps: a part of the counts is lost, and the rest is known.  What is
 * called lossless is the pool as it was, and where only counts are lost it is.  And pools of so many devices that the
 * top level and the details are trees of two levels.
 */
#define NR_META 16500u
#define NR_DATA 20000u
#include "record.h" /* before the err of the other headers */
#include "old_pool.h"
#include "pdata/block/csum.h"
#include "pool/salvage/salvage.h"

#define USED 400 /* the pool's nodes are among the first blocks */

static struct io *io;
static struct superblock sb;

static uint8_t *block_of(mblock_t b)
{
	return (uint8_t *)io_mem_data(io) + b * MBLOCK_SIZE;
}

static void lose(mblock_t b)
{
	memset(block_of(b), 0x55, MBLOCK_SIZE);
}

/* --- damages --- */

static void lose_metadata_bitmap(void)
{
	const struct disk_index *index = (const void *)block_of(sb.metadata_sm.bitmap_root);

	lose(le64_get(index->entry[rnd(3) ? 0 : 1].blocknr));
}

static void lose_data_bitmap(void)
{
	const uint8_t *index = block_of(sb.data_sm.bitmap_root);
	le64 b;

	memcpy(&b, index + 32 + (size_t)8 * le32_get(((const struct disk_node *)(const void *)index)->h.max_entries) +
			   16 * rnd(2),
	       sizeof(b));
	lose(le64_get(b));
}

static void lose_node(void)
{
	mblock_t b;

	do
		b = 1 + rnd(USED);
	while (csum_verify(block_of(b), b, SALT_NODE));
	lose(b);
}

static void lose_tops(void)
{
	if (rnd(3))
		lose(sb.mapping_root);
	if (rnd(3))
		lose(sb.details_root);
}

static void lose_index(void)
{
	lose(rnd(2) ? sb.metadata_sm.bitmap_root : sb.metadata_sm.ref_count_root);
}

static void lose_superblock(void)
{
	lose(0);
}

/* --- the rescue --- */

static int run(struct record *rec, struct salvage_totals *totals)
{
	const struct salvage_options opt = { .hint = { .has_data_block_size = true, .data_block_size = 128 } };
	const struct events to = { &record_ops, rec };
	struct jobs *jobs = jobs_new(1);
	struct salvage *s = NULL;
	int r;

	check(jobs);
	outbuf_init(&rec->out);
	err.text[0] = 0;
	r = salvage_new(io, jobs, &opt, &s, &err);
	if (!r) {
		salvage_totals(s, totals);
		check_eq(salvage_emit(s, NULL, &to, &err), 0);
	}
	check(!rec->out.error && (!r || err.text[0]));
	salvage_free(s);
	jobs_free(jobs);
	return r;
}

static bool same(const struct record *a, const struct record *b)
{
	return a->out.len == b->out.len && !memcmp(a->out.data, b->out.data, a->out.len);
}

/* Two or three damages of a copy of the pool, the first of the counts alone. */
static void damage_and_run(const struct record *whole)
{
	static void (*const damages[])(void) = { lose_data_bitmap, lose_node,  lose_node,	lose_node,
						 lose_tops,	   lose_index, lose_superblock, lose_metadata_bitmap };
	struct salvage_totals totals = { 0 };
	struct record rec = { 0 };
	uint64_t nr = rnd(4);

	io = old_pool();
	lose_metadata_bitmap();
	for (uint64_t i = 0; i < nr; i++)
		damages[rnd(ARRAY_SIZE(damages))]();
	if (!run(&rec, &totals))
		check(!totals.lossless || same(&rec, whole));
	check(nr || (totals.lossless && same(&rec, whole)));
	outbuf_fini(&rec.out);
	io_free(io);
}

static void each_round(void (*damage)(const struct record *whole))
{
	struct salvage_totals totals;
	struct record whole = { 0 };

	io = old_pool();
	check_eq(superblock_open(&sb, block_of(0), 0), SB_OK);
	check_eq(run(&whole, &totals), 0);
	check(totals.intact);
	io_free(io);
	for (unsigned i = 0; i < env("ROUNDS", 12); i++)
		damage(&whole);
	outbuf_fini(&whole.out);
}

static void counts_lost(void)
{
	uint64_t seed = env("SEED", 1);

	printf("# SEED=%llu\n", (unsigned long long)seed);
	make_old(seed);
	each_round(damage_and_run);
	if (getenv("SEED"))
		return;
	make_old(2);
	each_round(damage_and_run);
}

/* --- many devices --- */

#define NR_DEVS 400

/* Some of them without mappings, and snapshots of others. */
static void make_many(uint64_t seed)
{
	struct pool_edit *p;

	io = io_mem_new("metadata", sizeof(old_image));
	check(io);
	rnd_begin(seed);
	check_eq(edit_format(io, 128, &p, &err), 0);
	check_eq(edit_grow_data(p, NR_DATA, &err), 0);
	for (uint32_t id = 1; id <= NR_DEVS; id++) {
		if (id > 9 && !rnd(4))
			check_eq(edit_create_snap(p, id, id - 1 - (uint32_t)rnd(8), &err), 0);
		else
			check_eq(edit_create_thin(p, id, &err), 0);
		for (uint64_t i = rnd(4); i; i--)
			check_eq(map_new(p, id, rnd(5000)), 0);
		if (!rnd(40))
			commit(p);
	}
	commit(p);
	edit_free(p);
	memcpy(old_image, io_mem_data(io), sizeof(old_image));
	io_free(io);
}

/* One or two children of a node with several, or the node. */
static void lose_below(mblock_t root)
{
	const struct disk_node *n = (const void *)block_of(root);
	uint32_t nr = le32_get(n->h.nr_entries);

	for (uint64_t i = 1 + rnd(2); i && !csum_verify(n, root, SALT_NODE); i--) {
		le64 b;

		memcpy(&b, (const uint8_t *)n + 32 + (size_t)INTERNAL_MAX * 8 + 8 * rnd(nr), sizeof(b));
		lose(le64_get(b));
	}
	if (!rnd(4))
		lose(root);
}

static void lose_devices(const struct record *whole)
{
	struct salvage_totals totals = { 0 };
	struct record rec = { 0 };
	uint64_t what = rnd(8);

	io = old_pool();
	check_eq(le32_get(((const struct disk_node *)(const void *)block_of(sb.mapping_root))->h.flags), NODE_INTERNAL);
	if (what < 6)
		lose_below(what & 1 ? sb.mapping_root : sb.details_root);
	if (what > 3)
		lose_below(sb.mapping_root);
	if (what > 6)
		lose_index();
	if (!rnd(4))
		lose_superblock();
	if (!run(&rec, &totals))
		check(!totals.lossless || same(&rec, whole));
	outbuf_fini(&rec.out);
	io_free(io);
}

static void devices_lost(void)
{
	uint64_t seed = env("SEED", 1);

	printf("# SEED=%llu\n", (unsigned long long)seed);
	make_many(seed);
	each_round(lose_devices);
}

int main(int argc, char **argv)
{
	static const struct test tests[] = {
		{ "where a part of the counts is lost, lossless is only the pool as it was", counts_lost },
		{ "also where parts of many devices' top level and details are lost", devices_lost },
		{ 0 },
	};

	return tap_main(tests, argc, argv);
}
