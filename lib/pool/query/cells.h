/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_CELLS_H
#define POOL_CELLS_H
/*
 * A cell for each data block of a window, or for each of a list, says which device owns the block:
 * nobody so far, one device, or several.
 *
 * Several workers may fill cells at once; the outcome does not depend on their order.  An owner is
 * an index below the number of owners that cells_init() was given.
 *
 * Memory: 9 bits a data block; 17 for more than 254 owners, 33 for more than 65,534.  Only the parts
 * that are used are ever touched.
 */
#include "pdata/block/node.h"

struct cells {
	dblock_t begin; /* cell i is block begin + i, */
	uint64_t nr;
	const dblock_t *list; /* or, when there is a list, block list[i]; the caller's */
	unsigned width;	      /* bytes of a cell */
	void *cell;
	uint64_t *shared; /* a bit for each cell: a leaf of several owners maps the block */
	uint8_t *owned;	 /* a byte for each page of cells: one of them was given to an owner */
	uint8_t *marked; /* a byte for each page of bits: one of them was set */
	void *memory[2]; /* in which the cells and the bits are */
};

/*
 * @list: NULL, or @nr blocks in ascending order; @begin is then 0.  0 or -ENOMEM.  cells_fini()
 * frees; it may be called after a failure as well.  @many_owned: cells_own() will be called for more
 * than a few of the blocks; this is about speed only.
 */
int cells_init(struct cells *c, dblock_t begin, uint64_t nr, const dblock_t *list, size_t nr_owners,
	       bool many_owned);
void cells_fini(struct cells *c);

/* The blocks that a leaf of several owners maps.  Blocks without a cell are passed over. */
void cells_share(struct cells *c, const struct node *leaf);
/* The blocks that a leaf of one owner maps.  True: one of them was this owner's already. */
bool cells_own(struct cells *c, const struct node *leaf, uint32_t owner);

/* What cell @i says: 0 nobody, CELLS_SEVERAL, or the owner + 1. */
#define CELLS_SEVERAL UINT32_MAX
uint32_t cells_owner(const struct cells *c, uint64_t i);

/* Adds to alone[owner] how many blocks each owner has alone. */
void cells_count(const struct cells *c, uint64_t *alone);
/* How many entries of @leaf name a block that @owner has alone. */
uint64_t cells_count_leaf(const struct cells *c, const struct node *leaf, uint32_t owner);

#endif
