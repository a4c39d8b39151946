/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* What two states say of each other: by where they were written, by their details, and by what they name. */
#include "base/bits.h"
#include "pool/salvage/state/order.h"

enum { NOT_ASKED, IS_BEFORE, IS_NOT };

bool order_is_before(const struct order *o, const struct pool_state *a, const struct pool_state *b)
{
	uint8_t *known;

	if (!o->known || !a->dated || !b->dated || a == b)
		return false;
	if (a->row && !a->sum.devices)
		return true;
	known = &o->known[(size_t)(a - o->st) * o->nr + (size_t)(b - o->st)];
	if (*known == NOT_ASKED)
		*known = details_precede(o->g, o->g->slot[a->details_root], o->g->slot[b->details_root]) ? IS_BEFORE : IS_NOT;
	return *known == IS_BEFORE;
}

bool order_follows(const struct order *o, const struct pool_state *a, const struct pool_state *b, uint32_t behind)
{
	const bool in_front = b->index < a->index;

	for (uint32_t w = 0; w <= (o->g->nr_blocks - 1) / 64; w++)
		for (uint64_t only = b->live[w] & ~a->live[w]; only; only &= only - 1) {
			const uint32_t at = w * 64 + (uint32_t)__builtin_ctzll(only);

			if (at > b->index + behind && !(in_front && at > a->index))
				return false;
		}
	return !order_is_before(o, b, a);
}

bool order_is_newer(const struct order *o, const struct pool_state *a, const struct pool_state *b)
{
	return order_follows(o, a, b, 0) && !order_follows(o, b, a, BEHIND_INDEX);
}

static bool is_part_of_tree(const struct graph *g, uint32_t b)
{
	const uint32_t i = node_of(g, b);

	return i != NONE && tree_fits(g->node[i].tree, TREE_MAPPING);
}

bool order_names_part(const struct graph *g, const struct snode *n, uint32_t k)
{
	const struct edge *e = &g->edge[n->edge + k];

	return n->flags & SN_LEAF ? is_part_of_tree(g, e->block) : e->node != NONE && e->node == node_of(g, e->block);
}
