/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Damages under right checksums: fields, keys, values, numbers and whole blocks of a pool with older states.  Whatever
 * a rescue offers of them can be written, and is sound; what it refuses, it refuses with words.
 */
#include <errno.h>

#include "fuzz/sound.h"
#include "old_pool.h"
#include "pdata/block/csum.h"
#include "pool/build/build.h"
#include "pool/report/report.h"
#include "pool/salvage/salvage.h"

#define ROUNDS 300 /* a seed */
#define BUILT_BLOCKS 1024
#define DATA_BLOCKS_MAX (1 << 20)

static uint8_t image[NR_META * MBLOCK_SIZE];
static struct superblock sb;

static uint8_t *block_of(mblock_t b)
{
	return image + b * MBLOCK_SIZE;
}

/* --- changes --- */

/* Any number, often one that means something here. */
static uint64_t some_number(void)
{
	switch (rnd(8)) {
	case 0:
		return 0;
	case 1:
		return rnd(NR_META);
	case 2:
		return NR_META + rnd(3);
	case 3:
		return (rnd(NR_DATA) << 24) + rnd(9);
	case 4:
		return (uint64_t)(NR_DATA + rnd(9)) << 24;
	case 5:
		return MAX_DEV_ID - 1 + rnd(3);
	case 6:
		return UINT64_MAX - rnd(2);
	default:
		return rnd(5000);
	}
}

static bool is_node(mblock_t b)
{
	return !csum_verify(block_of(b), b, SALT_NODE);
}

/* A node, often one of the few that are reached before all others. */
static mblock_t any_node(void)
{
	mblock_t b = rnd(2) ? sb.mapping_root : rnd(2) ? sb.details_root : sb.data_sm.bitmap_root;

	if (rnd(3) || !is_node(b))
		do
			b = 1 + rnd(NR_META - 1);
		while (!is_node(b));
	return b;
}

static void change_field(void)
{
	mblock_t b = any_node();
	struct disk_node *n = (void *)block_of(b);
	le32 *const field[] = { &n->h.flags, &n->h.nr_entries, &n->h.max_entries, &n->h.value_size };
	static const uint32_t often[] = { 0, 1, 2, 3, 8, 16, 24, 4, 252, 126, 168, 253 };

	*field[rnd(ARRAY_SIZE(field))] = le32_make(often[rnd(ARRAY_SIZE(often))]);
	csum_seal(n, rnd(3) ? b : rnd(NR_META), SALT_NODE);
}

static void change_key(void)
{
	mblock_t b = any_node();
	struct disk_node *n = (void *)block_of(b);
	uint32_t nr = MIN(le32_get(n->h.nr_entries), (uint32_t)INTERNAL_MAX);

	if (nr)
		n->keys[rnd(nr)] = rnd(2) ? n->keys[rnd(nr)] : le64_make(some_number());
	csum_seal(n, b, SALT_NODE);
}

static void change_value(void)
{
	mblock_t b = any_node();
	struct disk_node *n = (void *)block_of(b);
	uint32_t nr = MIN(le32_get(n->h.nr_entries), (uint32_t)INTERNAL_MAX), size = le32_get(n->h.value_size);
	size_t at = 32 + (size_t)le32_get(n->h.max_entries) * 8 + (nr ? rnd(nr) : 0) * size;
	le64 value = le64_make(some_number());

	if (at + 8 <= MBLOCK_SIZE)
		memcpy((uint8_t *)n + at, &value, sizeof(value));
	csum_seal(n, b, SALT_NODE);
}

/* A leaf of one mapping, which may be read as one that names a block. */
static void leave_one(void)
{
	mblock_t b = any_node();
	struct disk_node *n = (void *)block_of(b);
	uint32_t max = le32_get(n->h.max_entries);
	le64 value = le64_make(rnd(2 * NR_META));

	if (le32_get(n->h.nr_entries) && le32_get(n->h.value_size) == 8 && max == INTERNAL_MAX) {
		n->h.nr_entries = le32_make(1);
		memcpy((uint8_t *)n + 32 + (size_t)max * 8, &value, sizeof(value));
	}
	csum_seal(n, b, SALT_NODE);
}

/* Two entries, of one node or of a node and the top level, name a block that is lost. */
static void share_lost(void)
{
	mblock_t b = 1 + rnd(NR_META - 1);
	struct disk_node *n, *top = (void *)block_of(sb.mapping_root);
	uint8_t *values, *to;
	uint32_t nr;
	le64 lost;

	for (unsigned i = 0; i < NR_META && (!is_node(b) || le32_get(((struct disk_node *)(void *)block_of(b))->h.flags) != NODE_INTERNAL); i++)
		b = b % (NR_META - 1) + 1;
	n = (void *)block_of(b);
	nr = le32_get(n->h.nr_entries);
	if (!is_node(b) || !nr || nr > INTERNAL_MAX || !is_node(sb.mapping_root))
		return;
	values = (uint8_t *)n + 32 + (size_t)INTERNAL_MAX * 8;
	to = rnd(3) ? values : (uint8_t *)top + 32 + (size_t)INTERNAL_MAX * 8;
	memcpy(&lost, values + 8 * rnd(nr), sizeof(lost));
	memcpy(to + 8 * rnd(to == values ? nr : 5), &lost, sizeof(lost));
	csum_seal(n, b, SALT_NODE);
	csum_seal(top, sb.mapping_root, SALT_NODE);
	if (le64_get(lost) < NR_META)
		memset(block_of(le64_get(lost)), 0, MBLOCK_SIZE);
}

/* More nodes below each other than a tree has levels, where the top level or a device began; also as a loop. */
static void make_chain(void)
{
	mblock_t first = rnd(2) ? sb.mapping_root : any_node(), b = first;
	uint64_t step = 1 + rnd(9); /* it comes by all blocks before it begins anew */
	bool loop = rnd(2);

	for (uint64_t left = rnd(2 * BTREE_MAX_DEPTH); left; left--) {
		struct disk_node *n = (void *)block_of(b);
		mblock_t next = left > 1 ? 1 + (b - 1 + step) % (NR_META - 1) : loop ? first : any_node();
		le64 value = le64_make(next);

		memset(n, 0, MBLOCK_SIZE);
		n->h.flags = le32_make(NODE_INTERNAL);
		n->h.nr_entries = le32_make(1);
		n->h.max_entries = le32_make(INTERNAL_MAX);
		n->h.value_size = le32_make(8);
		memcpy((uint8_t *)n + 32 + (size_t)INTERNAL_MAX * 8, &value, sizeof(value));
		csum_seal(n, b, SALT_NODE);
		b = next;
	}
}

/* A whole block in another place, or with the number of another. */
static void move_block(void)
{
	mblock_t from = any_node(), to = rnd(2) ? any_node() : 1 + rnd(NR_META - 1);

	memmove(block_of(to), block_of(from), MBLOCK_SIZE);
	if (rnd(2))
		csum_seal(block_of(to), rnd(3) ? to : some_number(), SALT_NODE);
	if (rnd(2))
		memset(block_of(from), 0, MBLOCK_SIZE);
}

static void lose_block(void)
{
	memset(block_of(any_node()), (int)rnd(2) * 0x55, MBLOCK_SIZE);
}

static void lose_map(void)
{
	memset(block_of(rnd(2) ? sb.metadata_sm.bitmap_root : sb.metadata_sm.ref_count_root), 0, MBLOCK_SIZE);
}

static void change_superblock(void)
{
	struct disk_superblock *d = (void *)block_of(0);
	le64 *const field[] = { &d->mapping_root,	     &d->details_root,		  &d->held_root,
				&d->data_sm.bitmap_root,     &d->data_sm.ref_count_root,  &d->data_sm.nr_blocks,
				&d->metadata_sm.bitmap_root, &d->metadata_sm.ref_count_root, &d->trans_id,
				&d->metadata_sm.nr_allocated };

	if (rnd(8))
		*field[rnd(ARRAY_SIZE(field))] = le64_make(some_number());
	else if (rnd(2))
		d->data_block_size = le32_make((uint32_t)rnd(3) * 128);
	else if (rnd(2))
		d->time = le32_make(rnd(2) ? MAX_TIME : (uint32_t)rng());
	else
		d->incompat_flags = le32_make(1);
	csum_seal(d, 0, SALT_SUPERBLOCK);
	if (!rnd(4))
		((uint8_t *)d)[rnd(2) ? 0 : rnd(700)] ^= 1;
}

static void lose_superblock(void)
{
	memset(block_of(0), (int)rnd(2) * 0x55, MBLOCK_SIZE);
}

static void (*const changes[])(void) = {
	change_field, change_field, change_key, change_key,	   change_value,    change_value, leave_one,
	move_block,   move_block,   lose_block, lose_block, lose_map, change_superblock, lose_superblock, make_chain, share_lost,   share_lost,
};

/* --- the rescue --- */

static void build_anew(struct salvage *s, struct jobs *jobs)
{
	struct io *out = io_mem_new("repaired", (uint64_t)BUILT_BLOCKS * MBLOCK_SIZE);
	const struct build_options opt = { 0 };
	struct events e = { 0 };
	int r;

	check(out);
	check_eq(build_new(out, &opt, &e, &err), 0);
	r = salvage_emit(s, NULL, &e, &err);
	build_free(&e);
	check(!r || r == -EXFULL);
	/* times that were wrong before are told as they were */
	check(r || pool_sound_but(out, jobs, FINDING_NON_FATAL, FOUND_SHARED_TIME, true));
	io_free(out);
}

static void choose(struct salvage_options *opt, struct salvage_take *take)
{
	*opt = (struct salvage_options) { .hint = { .has_data_block_size = rnd(3), .data_block_size = 128,
						    .has_nr_data_blocks = rnd(2), .nr_data_blocks = NR_DATA },
					  .explain = rnd(2), .data_sectors = rnd(2) * NR_DATA * 128 };
	opt->given = (struct pool_overrides) { .has_nr_data_blocks = !rnd(4), .nr_data_blocks = NR_DATA + rnd(9),
					       .has_data_block_size = !rnd(6), .data_block_size = rnd(2) ? 128 : 100 };
	opt->has_mapping_root = !rnd(6);
	opt->mapping_root = rnd(2) ? sb.mapping_root : some_number();
	opt->has_details_root = !rnd(6);
	opt->details_root = rnd(2) ? sb.details_root : some_number();
	take->dev_id = (uint32_t)rnd(14);
	take->block = rnd(9) ? rnd(NR_META + 1) : UINT64_MAX - 1;
	opt->take = take;
	opt->nr_take = !rnd(6);
}

static void rescue_once(void)
{
	struct io *io = io_mem_new("metadata", sizeof(image));
	struct jobs *jobs = jobs_new(1);
	struct salvage_totals totals;
	struct salvage_options opt;
	struct salvage *s = NULL;
	struct salvage_take take;
	struct outbuf text;

	check(io && jobs);
	memcpy(io_mem_data(io), image, sizeof(image));
	choose(&opt, &take);
	err.text[0] = 0;
	outbuf_init(&text);
	if (!salvage_new(io, jobs, &opt, &s, &err)) {
		salvage_totals(s, &totals);
		check(!totals.lossless || totals.mappings_back);
		check(!totals.lossless || !totals.uncertain);
		if (totals.nr_data_blocks <= DATA_BLOCKS_MAX)
			build_anew(s, jobs);
	} else {
		check(err.text[0]);
	}
	if (s) {
		salvage_report(s, true, &text);
		salvage_report_json(s, &text);
		salvage_explain(s, &text);
		check_eq(salvage_list_roots(s, &text, &err), 0);
	}
	check(!text.error);
	salvage_free(s);
	outbuf_fini(&text);
	jobs_free(jobs);
	io_free(io);
}

static void sealed_seed(uint64_t seed)
{
	make_old(seed);
	check_eq(superblock_open(&sb, old_image, 0), SB_OK);
	for (unsigned i = 0; i < env("ROUNDS", ROUNDS); i++) {
		memcpy(image, old_image, sizeof(image));
		for (uint64_t nr = 1 + rnd(4); nr; nr--)
			changes[rnd(ARRAY_SIZE(changes))]();
		rescue_once();
	}
}

static void sealed(void)
{
	each_seed(sealed_seed);
}

/* --- blocks that change after they were judged --- */

static bool is_mappings(const struct disk_node *n)
{
	return le32_get(n->h.flags) == NODE_LEAF && le32_get(n->h.value_size) == 8 && le32_get(n->h.nr_entries) > 1;
}

/* In one of five ways, the last without a right checksum. */
static void change_leaf(struct disk_node *n, mblock_t b, unsigned how)
{
	if (how == 0)
		n->h.nr_entries = le32_make(le32_get(n->h.nr_entries) - 1);
	if (how == 1)
		n->h.nr_entries = le32_make(INTERNAL_MAX + 1);
	if (how == 2)
		n->h.value_size = le32_make(24);
	if (how == 3) {
		n->h.flags = le32_make(NODE_INTERNAL);
		for (uint32_t i = 0; i < INTERNAL_MAX; i++)
			memset((uint8_t *)n + 32 + (INTERNAL_MAX + i) * 8 + 3, 0, 5);
	}
	csum_seal(n, b, SALT_NODE);
	if (how == 4)
		n->keys[0] = le64_make(le64_get(n->keys[0]) ^ 1);
}

static void changed(unsigned how)
{
	const struct salvage_options opt = { 0 };
	struct build_options build = { 0 };
	struct io *io = old_pool(), *out = io_mem_new("repaired", (uint64_t)BUILT_BLOCKS * MBLOCK_SIZE);
	struct jobs *jobs = jobs_new(1);
	struct salvage *s = NULL;
	struct events e = { 0 };

	check(io && out && jobs);
	check_eq(salvage_new(io, jobs, &opt, &s, &err), 0);
	for (mblock_t b = 1; b < NR_META; b++) {
		struct disk_node *n = (void *)((uint8_t *)io_mem_data(io) + b * MBLOCK_SIZE);

		if (!csum_verify(n, b, SALT_NODE) && is_mappings(n))
			change_leaf(n, b, how);
	}
	check_eq(build_new(out, &build, &e, &err), 0);
	check_eq(salvage_emit(s, NULL, &e, &err), -EBADMSG);
	check(strstr(err.text, "changed while it was being read"));
	build_free(&e);
	salvage_free(s);
	jobs_free(jobs);
	io_free(out);
	io_free(io);
}

static void changes_between(void)
{
	make_old(env("SEED", 1));
	for (unsigned how = 0; how < 5; how++)
		changed(how);
}

int main(int argc, char **argv)
{
	static const struct test tests[] = {
		{ "what a rescue makes of damages under right checksums is sound", sealed },
		{ "a leaf that changes after it was judged is not sent", changes_between },
		{ 0 },
	};

	return tap_main(tests, argc, argv);
}
