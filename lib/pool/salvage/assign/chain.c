/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Chains.  A node that was split left a neighbour whose keys begin right behind its own.  Unless
 * there are several such nodes, the two are in the same tree.
 */
#include "pool/salvage/assign/chain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/search.h"

#define MAX_PLACES 64 /* of a node in a chain */

static bool has_same_places(const struct assignment *a, uint32_t x, uint32_t y)
{
	uint32_t nr = a->first_opt[x + 1] - a->first_opt[x], nr_same = 0;

	if (nr > MAX_PLACES || a->first_opt[y + 1] - a->first_opt[y] != nr)
		return false;
	for (uint32_t i = a->first_opt[x]; i < a->first_opt[x + 1]; i++)
		for (uint32_t k = a->first_opt[y]; k < a->first_opt[y + 1]; k++)
			nr_same += a->opt[i].place == a->opt[k].place;
	return nr_same == nr;
}

/* The only candidate that begins right behind @cand, NONE: there is none, or there are several. */
static uint32_t next_in_chain(const struct assignment *a, uint32_t cand)
{
	const struct snode *n = assign_node(a, cand), *next;
	uint32_t at = search_first(x, a->nr_cands, assign_node(a, x)->first > n->last);

	if (at == a->nr_cands || !is_counted(a, cand))
		return NONE;
	next = assign_node(a, at);
	if (next->first != n->last + 1 || next->height != n->height ||
	    (at + 1 < a->nr_cands && assign_node(a, at + 1)->first == next->first))
		return NONE;
	return a->cand[at].refs == a->cand[cand].refs && has_same_places(a, cand, at) ? at : NONE;
}

int chain_find(struct assignment *a)
{
	uint32_t *before = malloc(((size_t)a->nr_cands + 1) * sizeof(*before));

	a->chain = before;
	if (!before)
		return -ENOMEM;
	memset(before, 0xff, a->nr_cands * sizeof(*before));
	for (uint32_t c = 0; c < a->nr_cands; c++) {
		uint32_t next = next_in_chain(a, c);

		if (next != NONE)
			before[next] = before[next] == NONE ? c : next;
	}
	for (uint32_t c = 0; c < a->nr_cands; c++)
		a->chain[c] = before[c] == NONE || before[c] == c ? c : a->chain[before[c]];
	return 0;
}
