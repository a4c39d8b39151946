/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Pools so large that a space map has several bitmaps: a part of the counts is lost, and the rest is known.  What is
 * called lossless is the pool as it was, and where only counts are lost it is.
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

static void counts_lost_seed(uint64_t seed)
{
	struct salvage_totals totals;
	struct record whole = { 0 };

	make_old(seed);
	io = old_pool();
	check_eq(superblock_open(&sb, block_of(0), 0), SB_OK);
	check_eq(run(&whole, &totals), 0);
	check(totals.intact);
	io_free(io);
	for (unsigned i = 0; i < env("ROUNDS", 12); i++)
		damage_and_run(&whole);
	outbuf_fini(&whole.out);
}

static void counts_lost(void)
{
	uint64_t seed = env("SEED", 1);

	printf("# SEED=%llu\n", (unsigned long long)seed);
	counts_lost_seed(seed);
	if (!getenv("SEED"))
		counts_lost_seed(2);
}

int main(int argc, char **argv)
{
	static const struct test tests[] = {
		{ "where a part of the counts is lost, lossless is only the pool as it was", counts_lost },
		{ 0 },
	};

	return tap_main(tests, argc, argv);
}
