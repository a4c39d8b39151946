/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Candidates that belong together.  Chains: a node that was split left a neighbour whose keys begin right behind its own.  Unless
 * there are several such nodes, the two are in the same tree.
 * Twins: roots in different blocks with the same content.  Programs that write metadata anew give each device a root of its own,
 * also a snapshot that nobody wrote to.  Each of them is right wherever one is.
 */
#include "pool/salvage/assign/impl.h"

#define MAX_GROUPS   64	 /* that are looked through for the group of a node */
#define MAX_LOOKED   256 /* roots that are looked at for the twin of one */
#define MAX_COMPARED 16	 /* with the same numbers, whose content is read */

/* Has the place of option @o room for the whole group of its node? */
static bool takes_group(const struct assignment *a, const struct choice *o)
{
	const struct place *p = &a->place[o->place];
	const uint64_t sum = a->cand[a->cand[o->cand].head].group_sum;

	return !any_of(i, p->nr_devs, a->need[p->devs[i]] < sum) && assign_may_take(a, o);
}

/* Have just as many places room for the whole group of the node as it lacks parents? */
static bool has_places(const struct assignment *a, const struct candidate *c)
{
	return count_of(i, c->end - c->opt, takes_group(a, &c->opt[i])) == c->refs;
}

bool chain_may_take(const struct assignment *a, const struct choice *o)
{
	const struct candidate *c = &a->cand[o->cand];

	return assign_may_take(a, o) && (!c->grouped || takes_group(a, o) || !has_places(a, c));
}

/* Has a neighbour in the list the same first key? */
static bool begins_with_another(const struct assignment *a, uint32_t cand)
{
	const uint64_t first = assign_node(a, cand)->first;

	return (cand && assign_node(a, cand - 1)->first == first) ||
	       (cand + 1 < a->nr_cands && assign_node(a, cand + 1)->first == first);
}

/* The one group of which @cand is the next member, @nr: there is none, or there are several. */
static uint32_t group_of(const struct assignment *a, const uint32_t *tail, uint32_t nr, uint32_t cand)
{
	const struct snode *n = assign_node(a, cand);
	uint32_t found = nr;

	if (!a->cand[cand].grouped && begins_with_another(a, cand))
		return nr;
	for (uint32_t i = 0; i < nr; i++) {
		const struct snode *t = assign_node(a, tail[i]);

		if (t->height != n->height || a->cand[tail[i]].refs != a->cand[cand].refs || t->last >= n->first ||
		    (!a->cand[cand].grouped && t->last + 1 != n->first))
			continue;
		if (found < nr)
			return nr;
		found = i;
	}
	return found;
}

void chain_link(struct assignment *a)
{
	uint32_t tail[MAX_GROUPS], nr_tails = 0;

	for (uint32_t k = 0; k < a->nr_cands; k++) {
		struct candidate *c = &a->cand[k];
		uint32_t i;

		c->next = NONE;
		c->head = k;
		c->group_sum = 0;
		if (!c->refs || !is_counted(a, k) || c->opt == c->end)
			continue;
		i = group_of(a, tail, nr_tails, k);
		if (i < nr_tails) {
			a->cand[tail[i]].next = k;
			c->head = a->cand[tail[i]].head;
		} else if (i == MAX_GROUPS) {
			i = k % MAX_GROUPS;
		} else {
			nr_tails++;
		}
		tail[i] = k;
		a->cand[c->head].group_sum += assign_node(a, k)->nr_mappings;
	}
}

void chain_group(struct assignment *a)
{
	for (uint32_t c = 0; c < a->nr_cands; c++)
		a->cand[c].grouped = is_counted(a, c) && a->cand[c].refs > 1;
	chain_link(a);
	for (uint32_t c = 0; c < a->nr_cands; c++)
		a->cand[c].grouped = a->cand[c].grouped && has_places(a, &a->cand[c]);
	chain_link(a);
}

/* --- twins --- */

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
