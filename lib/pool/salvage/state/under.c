/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * An empty pool that may have been formatted over another one.  The kernel does that at activation
 * when block 0 is zero; the older pool's trees are then still there.  They are not used by default,
 * because the devices may have been deleted.  The report names the options that bring them back.
 */
#include "pool/salvage/state/state.h"

int state_look_under(struct state *state, struct err *err)
{
	struct graph *g = state->graph;
	struct super *super = state->super;
	const struct superblock own = super->sb;
	const struct snode *n;
	uint32_t map, details;
	int r = graph_scan_all(g, err);

	n = g->node;
	if (r < 0 || !any_of(i, g->nr_nodes, n[i].tree == TREE_DETAILS && n[i].flags & SN_LEAF && n[i].nr))
		return r;
	state->over.found = true;
	graph_link(g);
	r = state_find_roots(state, own.metadata_sm.bitmap_root, err);
	map = node_of(g, super->sb.mapping_root);
	details = node_of(g, super->sb.details_root);
	if (!r && map != NONE && details != NONE && g->node[map].tree == TREE_TOP &&
	    g->node[details].tree == TREE_DETAILS) {
		state->over.map_root = (uint32_t)super->sb.mapping_root;
		state->over.details_root = (uint32_t)super->sb.details_root;
		r = details_add(g, details, &state->over.sum, err);
	}
	super->sb = own;
	return r;
}
