/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_USAGE_H
#define POOL_USAGE_H
/*
 * How many blocks each device maps, how many of them no other device maps, and the highest one.
 *
 * Each distinct leaf is read once.  A data block belongs to a device alone when all leaf entries
 * that name it lie in leaves that only this device reaches.
 *
 * Memory: that of the cells (cells.h) of USAGE_WINDOW data blocks (a larger pool is read once for
 * each window); where the data device is large for its metadata, 9 bytes or more a mapping
 * instead; 2 bytes a metadata block; 8 bytes a device and worker.
 */
#include "pool/forest/forest.h"

#define USAGE_WINDOW ((uint64_t)1 << 28) /* data blocks */

struct cells; /* cells.h */

struct usage_row {
	uint64_t mapped, exclusive; /* shared = mapped - exclusive */
	vblock_t highest;	    /* when mapped */
};

/* What is wanted of one reading of all leaves besides the counts of mapped blocks. */
struct usage_want {
	bool exclusive;	      /* count exclusive blocks too; without it they cost no time */
	forest_leaf_fn *leaf; /* takes each sound leaf once, as forest_read_leaves() gives it; or NULL */
	/* takes the owners of all data blocks, window by window, in order; or NULL */
	void (*cells)(void *ctx, const struct cells *c);
	void *ctx;
};

/*
 * Fills a row for each device of f->dev (the caller's array of f->nr_devs).  Damage is told
 * through the forest; the rows are then only what could be read.  0 or -errno.
 */
int usage_count(struct forest *f, uint64_t nr_data_blocks, const struct usage_want *want,
		struct usage_row *row, struct err *err);

#endif
