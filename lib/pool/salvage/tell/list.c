/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* The roots that a user can choose from. */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "pool/salvage/tell/tell.h"

static void sum_top(const struct graph *g, uint32_t i, struct details_sum *sum, unsigned depth)
{
	const struct snode *n = &g->node[i];

	for (uint32_t k = 0; k < n->nr_edges && depth < BTREE_MAX_DEPTH; k++) {
		const struct edge *e = &g->edge[n->edge + k];
		uint32_t c = n->flags & SN_LEAF ? node_of(g, e->block) : e->node;

		if (n->flags & SN_LEAF)
			sum->devices++;
		if (c == NONE)
			continue;
		if (!(n->flags & SN_LEAF)) {
			sum_top(g, c, sum, depth + 1);
		} else if (g->node[c].tree == TREE_MAPPING) {
			sum->mappings += g->node[c].nr_mappings;
			sum->time = MAX(sum->time, g->node[c].max_time);
		}
	}
}

int tell_roots(struct super *super, struct outbuf *out, struct err *err)
{
	struct graph *g = super->graph;
	CLEANUP(free_ptr) uint8_t *is_child = NULL;
	int r = graph_scan_all(g, err);

	is_child = calloc((size_t)g->nr_nodes + 1, 1);
	if (r == -ENOMEM || !is_child)
		return err_nomem(err, "salvage: roots");
	if (r < 0)
		return r;
	graph_link(g);
	graph_mark_children(g, is_child);
	for (uint32_t b = 0; b < g->nr_blocks; b++) {
		uint32_t i = g->slot[b];
		struct details_sum sum = { 0 };

		if (i == NONE || is_child[i] || g->node[i].flags & SN_VIRTUAL)
			continue;
		if (g->node[i].tree == TREE_TOP)
			sum_top(g, i, &sum, 0);
		else if (g->node[i].tree == TREE_DETAILS)
			(void)details_add(g, i, &sum, NULL);
		else
			continue;
		outbuf_printf(out, "%s root %u: %llu devices, %llu mappings, newest time %u%s%s\n",
			      g->node[i].tree == TREE_TOP ? "mapping" : "details", b,
			      (unsigned long long)sum.devices, (unsigned long long)sum.mappings,
			      sum.time, g->node[i].flags & SN_BROKEN ? ", parts missing" : "",
			      b == super->sb.mapping_root || b == super->sb.details_root ? ", used"
											 : "");
	}
	return g->no_memory ? err_nomem(err, "salvage: roots") : 0;
}
