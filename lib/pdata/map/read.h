/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef PDATA_SM_READ_H
#define PDATA_SM_READ_H
/*
 * Reading space maps: the index of bitmaps, and the bitmaps.  Counts above two are in a tree, which
 * a walk reads (tree/walk.h).
 */
#include "dev/stream.h"
#include "pdata/block/node.h"
#include "pdata/block/refmap.h"

struct sm_entry {
	mblock_t block; /* of the bitmap */
	uint32_t nr_free, none_free_before;
	bool present;
};

struct sm_index {
	struct sm_entry *entry; /* of bitmap i, which has blocks [i * 16320, ...) */
	uint64_t nr;
};

/* The index of a map of @nr_blocks blocks, no entry present.  0 or -ENOMEM. */
int sm_index_init(struct sm_index *x, uint64_t nr_blocks, struct err *err);
void sm_index_fini(struct sm_index *x);

/* The metadata map's index block, found at @at.  0, -ENOTBLK, -EBADMSG. */
int sm_index_decode(struct sm_index *x, const void *block, mblock_t at);
/* Entries of a leaf of the data map's index tree; returns how many lie beyond the map. */
uint32_t sm_index_take(struct sm_index *x, const struct node *leaf);

/*
 * Calls @fn for each entry present, on the stream's workers, in any order.  @status < 0
 * (@bits NULL): -ENXIO beyond the device, -EIO.., -ENOTBLK, -EBADMSG; -EEXIST: a lower entry
 * names the same block.
 */
typedef int sm_bitmap_fn(void *ctx, unsigned worker, uint64_t index, const struct disk_bitmap *bm,
			 int status);
int sm_read_bitmaps(struct stream *s, const struct sm_index *x, sm_bitmap_fn *fn, void *ctx,
		    struct err *err);

#endif
