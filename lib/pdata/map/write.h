/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef PDATA_SM_WRITE_H
#define PDATA_SM_WRITE_H
/*
 * Writes the two space maps of a pool: bitmaps, their index and the tree of the
 * counts above two.  Every bitmap of the map's size exists; nr_free is 16320 less the
 * used entries, none_free_before the first free one, nr_allocated exact.
 *
 * 0 or a negative errno with a text in @err; *root is the map's.  Threads: one at a time.
 */
#include "pdata/block/writer.h"

/* The data map, an index btree. */
int sm_write_data(struct block_writer *w, const struct refmap *counts, struct sm_root *root,
		  struct err *err);

/*
 * The metadata map of @w's own counts, an index block.  Must be the last to allocate: its own
 * blocks are counted before the first bitmap is filled.
 */
int sm_write_metadata(struct block_writer *w, struct sm_root *root, struct err *err);

/* How many metadata blocks each map takes when no count is above two. */
uint64_t sm_write_data_blocks(uint64_t nr_data_blocks);
uint64_t sm_write_metadata_blocks(uint64_t nr_metadata_blocks);

#endif
