/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* One option: can the node go to that place now, and what changes when it does? */
#include <string.h>

#include "base/overflow.h"
#include "base/search.h"
#include "pool/salvage/assign/impl.h"

#define MAX_SWAPS 256 /* nodes that are looked at for one place */

/* How many of the nodes that the place has taken begin before @key, or there. */
static uint32_t nr_up_to(const struct assignment *a, const struct place *p, uint64_t key)
{
	return search_first(x, p->nr_taken, a->assign->graph->node[p->taken[x]].first > key);
}

/* Do none of the nodes that its place has taken overlap the option's? */
static bool has_keys(const struct assignment *a, const struct choice *o)
{
	const struct place *p = &a->place[o->place];
	const struct snode *n = assign_node(a, o->cand);
	uint32_t at = nr_up_to(a, p, n->last);

	return !at || a->assign->graph->node[p->taken[at - 1]].last < n->first;
}

static bool has_need(const struct assignment *a, const struct choice *o)
{
	const struct place *p = &a->place[o->place];
	uint64_t nr = assign_node(a, o->cand)->nr_mappings;

	for (uint32_t i = 0; i < p->nr_devs; i++)
		if (a->need[p->devs[i]] != UINT64_MAX && a->need[p->devs[i]] < nr)
			return false;
	return true;
}

bool assign_may_take(const struct assignment *a, const struct choice *o)
{
	const struct place *p = &a->place[o->place];

	if (o->taken)
		return false;
	if (p->one)
		return !p->nr_taken;
	return has_keys(a, o) && has_need(a, o);
}

void assign_take(struct assignment *a, struct choice *o, bool on)
{
	struct place *p = &a->place[o->place];
	uint64_t nr = assign_node(a, o->cand)->nr_mappings;
	uint32_t at = nr_up_to(a, p, assign_node(a, o->cand)->first) - !on;
	uint32_t *here = &p->taken[at], behind = p->nr_taken - at - !on;

	memmove(here + on, here + !on, behind * sizeof(*here));
	if (on)
		*here = a->cand[o->cand].node;
	o->taken = on;
	p->nr_taken += on ? 1 : -1u;
	if (is_counted(a, o->cand))
		a->cand[o->cand].refs += on ? -1u : 1;
	for (uint32_t i = 0; i < p->nr_devs && !p->one; i++) {
		uint64_t *need = &a->need[p->devs[i]];

		if (*need != UINT64_MAX)
			*need += on ? -nr : nr; /* below zero it wraps, and comes back */
	}
}

/* Is the other option's node free to have its place instead of @o, and its own place free for the node of @o? */
static bool is_as_good(const struct assignment *a, const struct choice *o, const struct choice *other, int32_t margin)
{
	for (uint32_t i = a->first_opt[o->cand]; i < a->first_opt[o->cand + 1]; i++) {
		const struct choice *back = &a->opt[i];

		if (back->place == o->place || a->place[back->place].nr_taken)
			continue;
		for (uint32_t k = a->first_opt[other->cand]; k < a->first_opt[other->cand + 1]; k++)
			if (a->opt[k].place == back->place &&
			    (int64_t)o->score + a->opt[k].score < (int64_t)other->score + back->score + margin)
				return true;
	}
	return false;
}

bool assign_has_rival(const struct assignment *a, const struct choice *o, int32_t margin)
{
	uint32_t end = MIN(a->first_of[o->place + 1], a->first_of[o->place] + MAX_SWAPS);

	for (uint32_t k = a->first_of[o->place]; k < end; k++) {
		const struct choice *other = &a->opt[a->of_place[k]];

		if (other->cand != o->cand && assign_node(a, other->cand)->flags & SN_TAKEN && other->score > o->score - margin)
			return true;
	}
	return false;
}

bool assign_may_be_swapped(const struct assignment *a, const struct choice *o, int32_t margin)
{
	uint32_t end = MIN(a->first_of[o->place + 1], a->first_of[o->place] + MAX_SWAPS);

	for (uint32_t k = a->first_of[o->place]; k < end; k++) {
		const struct choice *other = &a->opt[a->of_place[k]];

		if (other->cand != o->cand && !(assign_node(a, other->cand)->flags & SN_TAKEN) &&
		    is_as_good(a, o, other, margin))
			return true;
	}
	return false;
}
