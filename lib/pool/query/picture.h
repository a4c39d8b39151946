/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_PICTURE_H
#define POOL_PICTURE_H
/*
 * The data device as a picture of at most PICTURE_CELLS cells: which devices have how much of each range.
 * Memory: 88 bytes a cell and 12 bytes a device.  Threads: one at a time.
 */
#include "pool/query/cells.h"
#include "pool/query/usage.h"

#define PICTURE_CELLS 4096
#define PICTURE_OWNERS 4 /* devices of a cell that are named */

struct picture_owner {
	uint32_t device; /* index of its row in the list */
	uint64_t nr;	 /* blocks that it alone maps */
};

struct picture_cell {
	uint64_t nr_alone, nr_shared; /* blocks that one device maps, that several do */
	struct picture_owner owner[PICTURE_OWNERS]; /* those with the most blocks, the most first */
	unsigned nr_owners;
};

struct picture {
	struct picture_cell *cell; /* cell i: blocks from i * cell_blocks on */
	size_t nr_cells;
	uint64_t cell_blocks, nr_blocks;
	/* private */
	uint64_t *count;    /* by device, of the cell that is being filled */
	uint32_t *touched;  /* devices whose count is not 0 */
	size_t nr_touched, at;
};

/* 0 or -ENOMEM. */
int picture_init(struct picture *p, uint64_t nr_data_blocks, size_t nr_devices);
void picture_fini(struct picture *p);

/* Takes the windows in order, as usage_count() gives them. */
void picture_take(struct picture *p, const struct cells *c);
/* After the last one. */
void picture_end(struct picture *p);

#endif
