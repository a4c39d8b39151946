/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Metadata that a program wrote anew, as thin_restore does, and that the kernel has not written to since.  They hold no older
 * node, which could tell what belongs where.  But that is how they are known: the kernel leaves older nodes with its first commit.  And
 * each tree was written leaves first, its root last, then the next tree.
 */
#include <stdlib.h>

#include "base/search.h"
#include "pool/salvage/witness/ages.h"

/* Are all blocks that were ever written in use, and at the front? */
static bool fill_the_front(const struct counts *counts)
{
	const struct graph *g = counts->graph;
	uint32_t end = g->nr_blocks;

	while (end && !counts->count[end - 1] && g->kind[end - 1] < BLOCK_NODE)
		end--;
	return !any_of(b, end, !counts->count[b]) && counts_are_whole(counts);
}

/* Where the root of the device is, or was; NONE: not known. */
static uint32_t root_of(const struct ages *ages, const struct sdevice *d)
{
	return d->root_block != NONE || d->root == NONE ? d->root_block : ages->graph->node[d->root].block;
}

int anew_read(struct ages *ages, struct err *err)
{
	const struct trees *trees = ages->trees;
	uint32_t *root;

	ages->rows.nr = 0;
	if (!fill_the_front(ages->counts))
		return 0;
	for (size_t i = 0; i < trees->nr_devs; i++)
		if (vec_put(&ages->rows, root_of(ages, &trees->dev[i])))
			return err_nomem(err, "salvage: devices");
	root = ages->rows.data;
	vec_sort(&ages->rows, sizeof(*root), order_u32);
	/* where a root is not known, or two devices have the same one, there are no rows; the space maps come last */
	for (size_t i = 0; i < ages->rows.nr; i++)
		if (root[i] >= ages->super->sb.metadata_sm.bitmap_root || (i && root[i] == root[i - 1]))
			ages->rows.nr = 0;
	return 0;
}

bool anew_is_below(const struct ages *ages, const struct sdevice *d, const struct snode *n)
{
	const uint32_t *root = ages->rows.data;
	const size_t at = search_first(i, ages->rows.nr, root[i] >= n->block); /* the tree whose root is the first behind it */

	return at < ages->rows.nr && counts_know(ages->counts, n->block) && ages->counts->count[n->block] == 1 &&
	       root[at] == root_of(ages, d);
}
