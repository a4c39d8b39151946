/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Twins: roots in different blocks with the same content.  Programs that write metadata anew give each device a root of its own,
 * also a snapshot that nobody wrote to.  Each of them is right wherever one is.
 */
#include "pool/salvage/assign/impl.h"

#define MAX_LOOKED   256 /* roots that are looked at for the twin of one */
#define MAX_COMPARED 16	 /* with the same numbers, whose content is read */

static bool has_same_edges(const struct graph *g, const struct snode *x, const struct snode *y)
{
	const struct edge *e = &g->edge[x->edge], *f = &g->edge[y->edge];

	return !any_of(k, x->nr_edges, e[k].key != f[k].key || e[k].block != f[k].block);
}

static bool has_same_entries(const struct graph *g, uint32_t x, uint32_t y)
{
	uint8_t buf[2][MBLOCK_SIZE] BLOCK_ALIGNED;
	struct view v, w;

	return graph_view(g, x, buf[0], &v) && graph_view(g, y, buf[1], &w) && v.nr == w.nr && view_nr_common(&v, &w) == v.nr;
}

static bool has_same_numbers(const struct snode *x, const struct snode *y)
{
	return x->last == y->last && x->nr == y->nr && x->nr_edges == y->nr_edges && x->height == y->height &&
	       x->nr_mappings == y->nr_mappings && x->max_data == y->max_data && x->min_time == y->min_time &&
	       x->max_time == y->max_time && !((x->flags ^ y->flags) & (SN_LEAF | SN_BROKEN));
}

/* The twin of @cand that was met last, NONE: it has none so far. */
static uint32_t twin_before(const struct assignment *a, uint32_t cand)
{
	const struct graph *g = a->assign->graph;
	const struct snode *n = assign_node(a, cand);
	uint32_t nr = 0;

	for (uint32_t k = cand; is_counted(a, cand) && k-- > 0 && cand - k <= MAX_LOOKED && nr < MAX_COMPARED;) {
		const struct snode *m = assign_node(a, k);

		if (m->first != n->first)
			break;
		if (!is_counted(a, k) || !has_same_numbers(m, n))
			continue;
		nr++;
		if (n->flags & SN_LEAF ? has_same_entries(g, a->cand[k].node, a->cand[cand].node) : has_same_edges(g, m, n))
			return k;
	}
	return NONE;
}

void twins_find(struct assignment *a)
{
	for (uint32_t c = 0; c < a->nr_cands; c++) {
		const uint32_t k = twin_before(a, c);

		if (k != NONE) {
			a->cand[c].twin = a->cand[k].twin;
			a->cand[k].twin = c;
		}
	}
}

uint32_t twins_refs(const struct assignment *a, uint32_t cand)
{
	uint32_t nr = a->cand[cand].refs;

	for (uint32_t c = a->cand[cand].twin; c != cand; c = a->cand[c].twin)
		nr += a->cand[c].refs;
	return nr;
}
