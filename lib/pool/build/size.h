/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_SIZE_H
#define POOL_SIZE_H
#include "pool/build/build.h"

/*
 * How many metadata blocks to give to a pool of @nr_data_blocks and @nr_thins devices.
 *
 * The well-known estimate has one block for 126 data blocks (leaves half full), one for each device
 * and one for the superblock.  It leaves out what matters in small pools: space maps, inner nodes,
 * the tree of details, the blocks that a transaction writes before it can free the old ones, and
 * the tenth that the kernel keeps back (a pool that reaches it becomes read-only).  Therefore the
 * result is the larger of two numbers: that estimate, and what a pool needs when each data block is
 * mapped once, in full leaves, spread over the devices in the worst way.  It is at most what the
 * format can use.
 */
uint64_t size_metadata_blocks(uint64_t nr_data_blocks, uint64_t nr_thins);
/* The same without the format's limit of MAX_METADATA_BLOCKS. */
uint64_t size_blocks_wanted(uint64_t nr_data_blocks, uint64_t nr_thins);
/* The same for a pool that has content: enough at least for the content and its next changes. */
uint64_t size_for(const struct build_counts *n);

#endif
