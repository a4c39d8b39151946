/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * What is left of lost nodes.  A block with a bad checksum that carries its own number is not believed.  But where it
 * names an intact node whose keys fit there, that is no chance: most of a torn or overwritten block is as it was.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/search.h"
#include "pool/salvage/witness/ages.h"

#define MAX_CLAIMS ((size_t)1 << 22) /* only a disk made to cost memory has more */

/* Block @parent seems to name block @child, for keys from @key to @last; of a top level: for device @key. */
struct claim {
	uint64_t key, last;
	uint32_t parent, child;
	bool top;
};

static int by_child(const void *pa, const void *pb)
{
	const struct claim *a = pa, *b = pb;

	return ORDER(a->child, b->child);
}

static int read_claims(struct ages *ages, uint32_t block)
{
	const struct graph *g = ages->graph;
	struct disk_node raw BLOCK_ALIGNED;
	struct view v;

	if (graph_get(g, block, &raw, NULL) < 0 || le64_get(raw.h.blocknr) != block || !view_open(&v, &raw) ||
	    v.value_size != 8)
		return 0;
	for (uint32_t i = 0; i < v.nr; i++) {
		const uint64_t key = view_key(&v, i), last = i + 1 < v.nr ? view_key(&v, i + 1) - 1 : UINT64_MAX;

		if (node_of(g, view_value(&v, i)) != NONE &&
		    vec_put(&ages->claims, (struct claim){ key, last, block, (uint32_t)view_value(&v, i), v.leaf }))
			return -ENOMEM;
	}
	return 0;
}

int claims_read(struct ages *ages, struct err *err)
{
	const struct trees *trees = ages->trees;
	int r = 0;

	ages->claims.nr = 0;
	for (size_t i = 0; i < trees->gaps.nr && !r && ages->claims.nr < MAX_CLAIMS; i++) {
		const struct gap *gap = gap_at(trees, i);

		if (gap->block != NONE && gap->why == BLOCK_JUNK && (gap->tree == TREE_TOP || gap->height))
			r = read_claims(ages, gap->block);
	}
	if (ages->claims.nr)
		qsort(ages->claims.data, ages->claims.nr, sizeof(struct claim), by_child);
	return r ? err_nomem(err, "salvage: lost nodes") : 0;
}

bool claims_have(const struct ages *ages, uint32_t parent, uint32_t dev_id, const struct snode *n)
{
	const struct claim *c = ages->claims.data;

	for (size_t i = search_first(x, ages->claims.nr, c[x].child >= n->block);
	     i < ages->claims.nr && c[i].child == n->block; i++)
		if (c[i].top ? parent == NONE && c[i].key == dev_id
			     : c[i].parent == parent && c[i].key <= n->first && n->last <= c[i].last)
			return true;
	return false;
}
