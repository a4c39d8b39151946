/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Roots that the user gives belong to a state of the pool, whose space map then counts. */
#include "base/zero.h"
#include "old_pool.h"
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
		{ "a device's only mapping, to data block 0, is not taken for a number of a block", only_mapping },
		{ 0 },
	};

	return tap_main(tests, argc, argv);
}
