/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Roots that the user gives belong to a state of the pool, whose space map then counts. */
#include <inttypes.h>

#include "base/zero.h"
#include "old_pool.h"
#include "pdata/block/csum.h"
#include "pool/build/build.h"
#include "pool/salvage/salvage.h"
#include "pool/salvage/state.h"

static void given_roots(void)
{
	struct io *io;
	struct jobs *jobs = jobs_new(1);
	struct salvage_options opt = { .has_mapping_root = true, .has_details_root = true };
	struct salvage *s = NULL;
	struct superblock sb;

	make_old(env("SEED", 1));
	io = old_pool();
	check(jobs && superblock_open(&sb, io_mem_data(io), 0) == SB_OK);
	memset(io_mem_data(io), 0, MBLOCK_SIZE);
	opt.mapping_root = sb.mapping_root;
	opt.details_root = sb.details_root;
	opt.given = (struct pool_overrides){ .has_data_block_size = true, .data_block_size = 128 };
	check_eq(salvage_new(io, jobs, &opt, &s, &err), 0);
	check_eq(s->super.sb.mapping_root, sb.mapping_root);
	check_eq(s->super.sb.details_root, sb.details_root);
	check_eq(s->super.sb.metadata_sm.bitmap_root, sb.metadata_sm.bitmap_root);
	salvage_free(s);
	jobs_free(jobs);
	io_free(io);
}

/* An empty pool: with roots that are given nobody looks for an older one below it. */
static void given_empty(void)
{
	struct io *io = io_mem_new("metadata", sizeof(old_image));
	struct jobs *jobs = jobs_new(1);
	struct salvage_options opt = { .has_mapping_root = true, .has_details_root = true };
	struct pool_edit *p;
	struct salvage *s = NULL;
	struct superblock sb;

	make_old(env("SEED", 1));
	check(io && jobs);
	check_eq(edit_format(io, 128, &p, &err), 0);
	commit(p);
	edit_free(p);
	for (size_t at = 0; at < sizeof(old_image); at += MBLOCK_SIZE) /* over the old pool */
		if (all_zero((uint8_t *)io_mem_data(io) + at, MBLOCK_SIZE))
			memcpy((uint8_t *)io_mem_data(io) + at, old_image + at, MBLOCK_SIZE);
	check_eq(superblock_open(&sb, io_mem_data(io), 0), SB_OK);
	check_eq(salvage_new(io, jobs, &(struct salvage_options) { 0 }, &s, &err), 0);
	check(s->state.over.found);
	salvage_free(s);
	opt.mapping_root = sb.mapping_root;
	opt.details_root = sb.details_root;
	check_eq(salvage_new(io, jobs, &opt, &s, &err), 0);
	check(!s->state.over.found && !s->trees.nr_devs);
	salvage_free(s);
	jobs_free(jobs);
	io_free(io);
}

/*
 * A pool whose only device has one mapping, of time 1 to data block 0: the leaf could also name block 1 as the root of
 * a device.  @lose: the index of the metadata map, so that all blocks are looked at.
 */
static void one_mapping(bool lose)
{
	struct io *io = io_mem_new("metadata", sizeof(old_image));
	struct jobs *jobs = jobs_new(1);
	const struct salvage_options opt = { 0 };
	struct salvage_totals totals;
	struct pool_edit *p;
	struct salvage *s = NULL;
	struct superblock sb;

	check(io && jobs);
	check_eq(edit_format(io, 128, &p, &err), 0);
	check_eq(edit_grow_data(p, NR_DATA, &err), 0);
	check_eq(edit_create_thin(p, 1, &err), 0);
	check_eq(edit_create_snap(p, 2, 1, &err), 0);
	check_eq(edit_delete(p, 1, &err), 0);
	check_eq(edit_delete(p, 2, &err), 0);
	check_eq(edit_create_thin(p, 3, &err), 0);
	check_eq(map_new(p, 3, 7), 0);
	commit(p);
	edit_free(p);
	check_eq(superblock_open(&sb, io_mem_data(io), 0), SB_OK);
	if (lose)
		memset((uint8_t *)io_mem_data(io) + sb.metadata_sm.bitmap_root * MBLOCK_SIZE, 0, MBLOCK_SIZE);
	check_eq(salvage_new(io, jobs, &opt, &s, &err), 0);
	salvage_totals(s, &totals);
	check_eq(totals.nr_devices, 1);
	check_eq(totals.nr_mappings, 1);
	check(totals.lossless);
	check_eq(s->graph.node[s->trees.dev[0].root].max_time, 1);
	check_eq(s->graph.node[s->trees.dev[0].root].max_data, 0);
	salvage_free(s);
	jobs_free(jobs);
	io_free(io);
}

/* Small commits, all of one activation, until the index block of the metadata map stands in front again. */
static void fill_once(struct io *io, struct superblock *sb)
{
	struct pool_edit *p;
	uint64_t index = 0;

	check_eq(edit_format(io, 128, &p, &err), 0);
	check_eq(edit_grow_data(p, NR_DATA, &err), 0);
	check_eq(edit_set_transaction_id(p, 0, 1, &err), 0);
	check_eq(edit_create_thin(p, 1, &err), 0);
	check_eq(map_new(p, 1, 7), 0);
	sb->metadata_sm.bitmap_root = 0;
	for (uint32_t id = 1; sb->metadata_sm.bitmap_root >= index || id < 4;) {
		const uint32_t from = 1 + (uint32_t)rnd(id);

		if (rnd(4))
			check_eq(edit_create_snap(p, ++id, from, &err), 0);
		else
			check_eq(map_new(p, from, rnd(900)), 0);
		index = sb->metadata_sm.bitmap_root;
		commit(p);
		check_eq(superblock_open(sb, io_mem_data(io), 0), SB_OK);
	}
	edit_free(p);
}

/* @io, with so many blocks of zeros behind it. */
static struct io *extended(struct io *io, uint64_t more)
{
	struct io *to = io_mem_new("extended", io->size + more * MBLOCK_SIZE);

	check(to);
	memcpy(io_mem_data(to), io_mem_data(io), io->size);
	io_free(io);
	return to;
}

/* What the first states had in the blocks that the last one took is not theirs. */
static void go_round(uint64_t more)
{
	rnd_begin_any();
	for (uint32_t nr = 200; nr < 260; nr++) {
		struct io *io = io_mem_new("metadata", nr * MBLOCK_SIZE);
		struct jobs *jobs = jobs_new(1);
		struct salvage_options opt = { .hint = { .has_data_block_size = true, .data_block_size = 128 } };
		struct salvage *s = NULL;
		struct superblock sb;

		check(io && jobs);
		fill_once(io, &sb);
		io = extended(io, more);
		memset(io_mem_data(io), 0xff, MBLOCK_SIZE);
		check_eq(salvage_new(io, jobs, &opt, &s, &err), 0);
		check_eq(s->super.sb.mapping_root, sb.mapping_root);
		check_eq(s->super.sb.details_root, sb.details_root);
		salvage_free(s);
		jobs_free(jobs);
		io_free(io);
	}
}

static void gone_round(void)
{
	go_round(0);
}

static void gone_round_extended(void)
{
	go_round(20);
}

/* @io: written anew, as thin_restore does, to a device of zeros. */
static struct io *anew(struct io *io, struct jobs *jobs)
{
	struct io *to = io_mem_new("metadata", sizeof(old_image));
	struct salvage *s = NULL;
	struct events sink = { 0 };

	check(to);
	check_eq(salvage_new(io, jobs, &(struct salvage_options) { 0 }, &s, &err), 0);
	check_eq(build_new(to, &(struct build_options) { 0 }, &sink, &err), 0);
	check_eq(salvage_emit(s, NULL, &sink, &err), 0);
	build_free(&sink);
	salvage_free(s);
	io_free(io);
	return to;
}

/* Block @from, as it would be at @to. */
static void put_at(struct io *io, uint64_t from, uint64_t to)
{
	uint8_t *image = io_mem_data(io);

	memcpy(image + to * MBLOCK_SIZE, image + from * MBLOCK_SIZE, MBLOCK_SIZE);
	csum_seal(image + to * MBLOCK_SIZE, to, SALT_NODE);
}

/* Blocks from @begin on as they were in the old pool that the metadata were written over. */
static void put_old_behind(struct io *io, uint64_t begin)
{
	memcpy((uint8_t *)io_mem_data(io) + begin * MBLOCK_SIZE, old_image + begin * MBLOCK_SIZE,
	       sizeof(old_image) - begin * MBLOCK_SIZE);
}

static struct salvage_totals totals_of(struct io *io, struct jobs *jobs)
{
	struct salvage_options opt = { .hint = { .has_data_block_size = true,
						 .has_nr_data_blocks = true,
						 .data_block_size = 128,
						 .nr_data_blocks = NR_DATA } };
	struct salvage_totals totals;
	struct salvage *s = NULL;

	check_eq(salvage_new(io, jobs, &opt, &s, &err), 0);
	salvage_totals(s, &totals);
	salvage_free(s);
	return totals;
}

/* What is found when the superblock of a copy of @io is lost, and the blocks of @list whose bits are set in @lost. */
static struct salvage_totals found_in(struct io *io, struct jobs *jobs, const uint64_t *list, uint32_t lost)
{
	struct io *copy = io_mem_new("metadata", io->size);
	struct salvage_totals totals;

	check(copy);
	memcpy(io_mem_data(copy), io_mem_data(io), io->size);
	memset(io_mem_data(copy), 0, MBLOCK_SIZE);
	for (; lost; lost &= lost - 1)
		memset((uint8_t *)io_mem_data(copy) + list[__builtin_ctz(lost)] * MBLOCK_SIZE, 0xff, MBLOCK_SIZE);
	totals = totals_of(copy, jobs);
	io_free(copy);
	return totals;
}

/* Are all mappings said to be back, when the superblock of a copy of @io is lost? */
static bool is_said_whole(struct io *io, struct jobs *jobs)
{
	return found_in(io, jobs, NULL, 0).mappings_back;
}

/* An empty tree is not what a commit leaves, a leaf of mappings may be. */
static void what_follows(void)
{
	struct jobs *jobs = jobs_new(1);
	struct disk_node *leaf;
	struct superblock sb;
	uint64_t behind;
	struct io *io;

	check(jobs);
	make_old(env("SEED", 1));
	io = anew(old_pool(), jobs);
	check_eq(superblock_open(&sb, io_mem_data(io), 0), SB_OK);
	behind = sb.metadata_sm.nr_allocated;
	check(is_said_whole(io, jobs));
	put_at(io, 1, behind);
	leaf = (struct disk_node *)((uint8_t *)io_mem_data(io) + behind * MBLOCK_SIZE);
	leaf->h.nr_entries = le32_make(0);
	csum_seal(leaf, behind, SALT_NODE);
	check(is_said_whole(io, jobs));
	put_at(io, 1, behind);
	check(!is_said_whole(io, jobs));
	jobs_free(jobs);
	io_free(io);
}

/* Older states behind metadata that were written anew, one of which names a root past the device's end. */
static void impossible_root(void)
{
	struct jobs *jobs = jobs_new(1);
	struct superblock sb, old;
	struct disk_node *top;
	struct io *io;

	check(jobs);
	make_old(env("SEED", 1));
	check_eq(superblock_open(&old, old_image, 0), SB_OK);
	io = anew(old_pool(), jobs);
	check_eq(superblock_open(&sb, io_mem_data(io), 0), SB_OK);
	put_old_behind(io, sb.metadata_sm.nr_allocated);
	check(is_said_whole(io, jobs));
	check(old.mapping_root >= sb.metadata_sm.nr_allocated);
	top = (struct disk_node *)((uint8_t *)io_mem_data(io) + old.mapping_root * MBLOCK_SIZE);
	memset((uint8_t *)&top->keys[le32_get(top->h.max_entries)], 0xff, 5); /* the first value */
	csum_seal(top, old.mapping_root, SALT_NODE);
	check(is_said_whole(io, jobs));
	jobs_free(jobs);
	io_free(io);
}

/*
 * The first commit since the metadata were written anew, over an older pool: the blocks that it wrote.  It makes a snapshot, or only
 * adds a mapping.
 */
static uint32_t commit_since(struct io *io, bool snapshot, uint64_t *list, uint32_t max)
{
	struct superblock sb;
	struct pool_edit *p;
	uint32_t nr = 0;

	check_eq(superblock_open(&sb, io_mem_data(io), 0), SB_OK);
	put_old_behind(io, sb.metadata_sm.nr_allocated);
	check_eq(edit_open(io, true, &p, &err), 0);
	check_eq(snapshot ? edit_create_snap(p, 99, 5, &err) : map_new(p, 5, 6000), 0);
	commit(p);
	edit_free(p);
	for (uint64_t b = sb.metadata_sm.nr_allocated; b < sizeof(old_image) / MBLOCK_SIZE; b++)
		if (memcmp((uint8_t *)io_mem_data(io) + b * MBLOCK_SIZE, old_image + b * MBLOCK_SIZE, MBLOCK_SIZE) && nr < max)
			list[nr++] = b;
	return nr;
}

/* Whichever of its blocks are lost: what is said to be whole has what it made. */
static void first_commit(void)
{
	struct jobs *jobs = jobs_new(1);
	uint64_t list[16];

	check(jobs);
	for (uint64_t seed = env("SEED", 1); seed < env("SEED", 1) + 6; seed++) {
		struct salvage_totals want;
		struct io *io;
		uint32_t nr;

		make_old(seed);
		io = anew(old_pool(), jobs);
		nr = commit_since(io, seed % 2, list, 16);
		check(nr >= 4 && nr < 15);
		list[nr++] = 1; /* a leaf that the commit did not touch */
		want = totals_of(io, jobs);
		check(want.mappings_back && want.nr_devices == 8 + seed % 2);
		for (uint32_t lost = 1; lost < (uint32_t)1 << nr; lost++) {
			const struct salvage_totals found = found_in(io, jobs, list, lost);
			const bool same = found.nr_devices == want.nr_devices && found.nr_mappings == want.nr_mappings;

			if (found.mappings_back && !same)
				printf("# seed %" PRIu64 ": of %u blocks these are lost: %#x\n", seed, nr, lost);
			check(!found.mappings_back || same);
		}
		io_free(io);
	}
	jobs_free(jobs);
}

static void change(struct pool_edit *p, uint32_t *id, uint32_t *nr)
{
	const uint32_t k = *nr ? (uint32_t)rnd(*nr) : 0, new_id = (uint32_t)rnd(1000);

	if (*nr > 1 && !rnd(6)) {
		check_eq(edit_delete(p, id[k], &err), 0);
		id[k] = id[--*nr];
	} else if (*nr < 10 && (!*nr || !rnd(4))) {
		if (*nr && rnd(2) ? edit_create_snap(p, new_id, id[k], &err) : edit_create_thin(p, new_id, &err))
			return; /* there is one with that id */
		id[(*nr)++] = new_id;
	} else {
		const int r = map_new(p, id[k], rnd(900));

		check(!r || r == -EXFULL || r == -EEXIST);
	}
}

/* What is said to be back without a superblock is what the pool had, where each activation takes blocks from the front on. */
static void activated_again(void)
{
	struct jobs *jobs = jobs_new(1);
	uint32_t nr_back = 0;

	check(jobs);
	for (uint64_t seed = env("SEED", 1); seed < env("SEED", 1) + 300; seed++) {
		struct io *io = io_mem_new("metadata", 300 * MBLOCK_SIZE);
		struct pool_edit *p;
		uint32_t id[16], nr = 0;
		struct salvage_totals want, found;
		bool same;

		rnd_begin(seed);
		check(io);
		check_eq(edit_format(io, 128, &p, &err), 0);
		check_eq(edit_grow_data(p, NR_DATA, &err), 0);
		for (uint32_t n = 3 + (uint32_t)rnd(12); n; n--) {
			for (uint32_t k = 1 + (uint32_t)rnd(9); k; k--)
				change(p, id, &nr);
			commit(p);
			if (rnd(3))
				continue;
			edit_free(p);
			check_eq(edit_open(io, true, &p, &err), 0);
		}
		edit_free(p);
		want = totals_of(io, jobs);
		found = found_in(io, jobs, NULL, 0);
		nr_back += found.mappings_back;
		same = found.nr_mappings == want.nr_mappings && found.nr_devices == want.nr_devices;
		if (found.mappings_back && !same)
			printf("# seed %" PRIu64 "\n", seed);
		check(!found.mappings_back || same);
		io_free(io);
	}
	check(nr_back);
	jobs_free(jobs);
}

static void only_mapping(void)
{
	one_mapping(false);
	one_mapping(true);
}

int main(int argc, char **argv)
{
	static const struct test tests[] = {
		{ "with roots that are given, the space map of their state is used", given_roots },
		{ "with roots of an empty pool that are given, no older pool is looked for", given_empty },
		{ "when commits have gone round the device's end, the state of the last one is found", gone_round },
		{ "so it is when the device was extended after that", gone_round_extended },
		{ "so it is, or it is said that it may not be, when the pool was activated again", activated_again },
		{ "an empty tree behind metadata written anew is no later commit, mappings may be", what_follows },
		{ "an older state behind metadata written anew may name a block that is not there", impossible_root },
		{ "whichever blocks of the first commit since are lost, it is not said that nothing is", first_commit },
		{ "a device's only mapping, to data block 0, is not taken for a number of a block", only_mapping },
		{ 0 },
	};

	return tap_main(tests, argc, argv);
}
