/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_SALVAGE_GRAPH_LINK_H
#define POOL_SALVAGE_GRAPH_LINK_H
/* Which child fits below which parent? */
#include "pool/salvage/graph/graph.h"

static inline bool tree_fits(uint8_t child, uint8_t tree)
{
	return child == tree || (child == TREE_EMPTY && (tree == TREE_MAPPING || tree == TREE_TOP));
}

static inline bool is_top_leaf(const struct snode *n)
{
	return n->flags & SN_LEAF && n->nr_edges;
}

/*
 * A leaf whose only value can be a block of this device or a mapping to data block 0: it is read as
 * a leaf of the top level, and its position shows when it is a mapping.
 */
static inline bool may_be_mapping(const struct snode *n)
{
	return n->tree == TREE_TOP && is_top_leaf(n) && n->nr == 1;
}

static inline uint64_t last_key_of(const struct graph *g, const struct snode *n, uint32_t i,
				   uint64_t last)
{
	return i + 1 < n->nr_edges ? g->edge[n->edge + i + 1].key - 1 : last;
}

/* The leaf holds one mapping to data block 0. */
void graph_make_mapping(struct graph *g, struct snode *n);
/* Adds the sums of the subtree at @c to those of its parent @n. */
void graph_add_sums(struct snode *n, const struct snode *c);

#endif
