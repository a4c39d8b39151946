/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "pool/build/size.h"

#include "base/overflow.h"
#include "pool/build/build.h"
#include "pool/format/format.h"

#define LEAF_MAX NODE_MAX_ENTRIES(8)

/*
 * A change to one mapping writes anew: the leaf, the device's root, the leaves of the top
 * level and of the details; the data map's bitmap, index and overflow node, the metadata
 * map's bitmap, index and overflow node.
 */
#define TRANSACTION_BLOCKS 10

/* Nodes of the mapping trees when every device has one leaf that is hardly used. */
static uint64_t mapping_nodes(uint64_t nr_data_blocks, uint64_t nr_thins)
{
	uint64_t full = nr_thins ? nr_data_blocks / LEAF_MAX : 0, leaves = full + nr_thins;
	uint64_t roots = MIN(full, nr_thins);

	return leaves + roots + leaves / INTERNAL_MAX;
}

/* A transaction must fit beside @blocks, and the kernel keeps back a tenth. */
static uint64_t with_reserve(uint64_t blocks)
{
	return div_up((blocks + TRANSACTION_BLOCKS) * 10, 9) + 1;
}

uint64_t size_blocks_wanted(uint64_t nr_data_blocks, uint64_t nr_thins)
{
	uint64_t usual, least;

	nr_thins = MIN(nr_thins, (uint64_t)UINT32_MAX);
	nr_data_blocks = MIN(nr_data_blocks, MAX_NR_DATA_BLOCKS);
	usual = 1 + div_up(nr_data_blocks, LEAF_MAX / 2) + nr_thins;
	least = build_blocks_around(mapping_nodes(nr_data_blocks, nr_thins), nr_thins,
				    nr_data_blocks, 0);
	return MAX(usual, with_reserve(least));
}

uint64_t size_metadata_blocks(uint64_t nr_data_blocks, uint64_t nr_thins)
{
	return MIN(size_blocks_wanted(nr_data_blocks, nr_thins), MAX_METADATA_BLOCKS);
}

uint64_t size_for(const struct build_counts *n)
{
	uint64_t advised = size_metadata_blocks(n->nr_data_blocks, n->nr_devices);

	return MAX(advised, MIN(with_reserve(n->nr_blocks_most), MAX_METADATA_BLOCKS));
}
