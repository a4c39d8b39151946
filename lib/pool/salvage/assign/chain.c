/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Chains.  A node that was split left a neighbour whose keys begin right behind its own.  Unless
 * there are several such nodes, the two are in the same tree.
 */
#include "pool/salvage/assign/impl.h"

#include <errno.h>
#include <stdlib.h>

#define MAX_GROUPS 64 /* that are looked through for the group of a node */

/* Has the place of option @o room for the whole group of its node? */
static bool takes_group(const struct assignment *a, const struct choice *o)
{
	const struct place *p = &a->place[o->place];

	for (uint32_t i = 0; i < p->nr_devs; i++)
		if (a->need[p->devs[i]] < a->group_sum[a->head[o->cand]])
			return false;
	return assign_may_take(a, o);
}

/* Have just as many places room for the whole group of the node as it lacks parents? */
static bool has_places(const struct assignment *a, uint32_t cand)
{
	uint32_t nr = 0;

	for (uint32_t i = a->first_opt[cand]; i < a->first_opt[cand + 1]; i++)
		nr += takes_group(a, &a->opt[i]);
	return nr == a->cand[cand].refs;
}

bool chain_may_take(const struct assignment *a, const struct choice *o)
{
	return assign_may_take(a, o) &&
	       (!a->grouped || !a->grouped[o->cand] || takes_group(a, o) || !has_places(a, o->cand));
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

	if (!a->grouped[cand] && begins_with_another(a, cand))
		return nr;
	for (uint32_t i = 0; i < nr; i++) {
		const struct snode *t = assign_node(a, tail[i]);

		if (t->height != n->height || a->cand[tail[i]].refs != a->cand[cand].refs || t->last >= n->first ||
		    (!a->grouped[cand] && t->last + 1 != n->first))
			continue;
		if (found < nr)
			return nr;
		found = i;
	}
	return found;
}

static void link_groups(struct assignment *a)
{
	uint32_t tail[MAX_GROUPS], nr_tails = 0;

	for (uint32_t c = 0; c < a->nr_cands; c++) {
		uint32_t i;

		a->next[c] = NONE;
		a->head[c] = c;
		a->group_sum[c] = 0;
		if (!a->cand[c].refs || !is_counted(a, c) || a->first_opt[c] == a->first_opt[c + 1])
			continue;
		i = group_of(a, tail, nr_tails, c);
		if (i < nr_tails) {
			a->next[tail[i]] = c;
			a->head[c] = a->head[tail[i]];
		} else if (i == MAX_GROUPS) {
			i = c % MAX_GROUPS;
		} else {
			nr_tails++;
		}
		tail[i] = c;
		a->group_sum[a->head[c]] += assign_node(a, c)->nr_mappings;
	}
}

int chain_find(struct assignment *a)
{
	size_t nr = (size_t)a->nr_cands + 1;

	a->next = malloc(nr * sizeof(*a->next));
	a->head = malloc(nr * sizeof(*a->head));
	a->group_sum = calloc(nr, sizeof(*a->group_sum));
	a->grouped = calloc(nr, 1);
	if (!a->next || !a->head || !a->group_sum || !a->grouped)
		return -ENOMEM;
	link_groups(a);
	return 0;
}

void chain_group(struct assignment *a)
{
	for (uint32_t c = 0; c < a->nr_cands; c++)
		a->grouped[c] = is_counted(a, c) && a->cand[c].refs > 1;
	link_groups(a);
	for (uint32_t c = 0; c < a->nr_cands; c++)
		a->grouped[c] = a->grouped[c] && has_places(a, c);
	link_groups(a);
}
