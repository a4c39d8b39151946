/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* The roots that a user can choose from. */
#include "pool/salvage/tell/tell.h"

struct top_sum {
	const struct graph *g;
	struct details_sum *sum;
};

static int sum_device(void *ctx, uint64_t id, uint32_t root)
{
	const struct top_sum *t = ctx;
	uint32_t c = node_of(t->g, root);

	(void)id;
	t->sum->devices++;
	if (c != NONE && t->g->node[c].tree == TREE_MAPPING) {
		t->sum->mappings += t->g->node[c].nr_mappings;
		t->sum->time = MAX(t->sum->time, t->g->node[c].max_time);
	}
	return 0;
}

int tell_roots(struct super *super, struct outbuf *out, struct err *err)
{
	struct graph *g = super->graph;
	int r = graph_scan_all(g, err);

	if (r < 0)
		return r;
	graph_link(g);
	graph_mark_children(g, 0);
	for (uint32_t b = 0; b < g->nr_blocks; b++) {
		uint32_t i = g->slot[b];
		struct details_sum sum = { 0 };

		if (i == NONE || g->node[i].flags & (SN_CHILD | SN_VIRTUAL))
			continue;
		if (g->node[i].tree == TREE_TOP)
			(void)graph_each_device(g, i, sum_device, &(struct top_sum){ g, &sum });
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
