/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Chains.  A node that was split left a neighbour whose keys begin right behind its own.  Unless
 * there are several such nodes, the two are in the same tree.
 */
#include "pool/salvage/assign/impl.h"

#define MAX_GROUPS 64 /* that are looked through for the group of a node */

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
