/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Places leaves that alone account for a data block.  Where the metadata map is lost the data map
 * still counts the mappings of each data block.  A leaf is needed when it maps a block for which no
 * more leaves are left than mappings are missing.  Once it is placed, older copies of it are
 * excluded, because no mapping is missing for their blocks; so other leaves become the only ones.  Of two with only
 * one and the same place the younger one is tried first: an older copy may seem needed because a leaf is lost.
 */
#include "pool/salvage/assign/impl.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "pdata/block/refmap.h"

#define MAX_ROUNDS 32

struct cover {
	struct assignment *a;
	struct refmap *nr;  /* by data block: number of remaining candidates that map it */
	uint32_t *order;    /* the candidates: those with one place, youngest first; the others by keys */
	uint8_t buf[MBLOCK_SIZE] BLOCK_ALIGNED;
};

/* The best option that the candidate still has, or NULL. */
static struct choice *best_option(const struct assignment *a, uint32_t cand)
{
	for (struct choice *o = a->cand[cand].opt; o < a->cand[cand].end; o++)
		if (!a->place[o->place].one && assign_may_take(a, o))
			return o;
	return NULL;
}

/*
 * Is a mapping missing for each block that the leaf maps?  *needed: for one of them no more leaves
 * are left than mappings are missing.
 */
static bool is_allowed(const struct cover *c, const struct view *v, bool *needed)
{
	*needed = false;
	for (uint32_t i = 0; i < v->nr; i++) {
		uint64_t b = mapping_block(view_value(v, i));
		uint32_t nr = datamap_missing(c->a->assign->datamap, b);

		if (!nr)
			return false;
		*needed |= nr < COUNT_MANY && refmap_get(c->nr, b) <= nr;
	}
	return true;
}

static void enter(struct cover *c, uint32_t cand)
{
	struct view v;
	bool needed;

	if (c->a->cand[cand].refs != COUNT_UNKNOWN || !(assign_node(c->a, cand)->flags & SN_LEAF) ||
	    !best_option(c->a, cand) || !graph_view(c->a->assign->graph, c->a->cand[cand].node, c->buf, &v) || !is_allowed(c, &v, &needed))
		return;
	for (uint32_t i = 0; i < v.nr; i++)
		refmap_inc(c->nr, mapping_block(view_value(&v, i)));
	c->a->cand[cand].may_cover = true;
}

/* Takes the needed leaves, and drops the impossible ones.  Was any taken? */
static bool run_round(struct cover *c)
{
	bool any = false;

	for (uint32_t k = 0; k < c->a->nr_cands; k++) {
		const uint32_t i = c->order[k];
		struct choice *o;
		struct view v;
		bool needed;

		if (!c->a->cand[i].may_cover || !graph_view(c->a->assign->graph, c->a->cand[i].node, c->buf, &v))
			continue;
		o = best_option(c->a, i);
		if (o && is_allowed(c, &v, &needed)) {
			if (!needed)
				continue;
			assign_take_unknown(c->a, o, CERTAINTY_LIKELY);
			any = true;
		}
		for (uint32_t m = 0; m < v.nr; m++)
			datamap_take_block(c->nr, mapping_block(view_value(&v, m)));
		c->a->cand[i].may_cover = false;
	}
	return any;
}

static int by_place_and_age(const void *pa, const void *pb, void *ctx)
{
	const struct assignment *a = ctx;
	const uint32_t x = *(const uint32_t *)pa, y = *(const uint32_t *)pb;
	const bool one_x = a->cand[x].end - a->cand[x].opt == 1, one_y = a->cand[y].end - a->cand[y].opt == 1;
	const uint32_t age_x = block_age(a->assign->super, assign_node(a, x)->block);
	const uint32_t age_y = block_age(a->assign->super, assign_node(a, y)->block);

	return ORDER(one_y, one_x) ?: (one_x ? ORDER(age_x, age_y) : 0) ?: ORDER(x, y);
}

int assign_cover(struct assignment *a)
{
	CLEANUP(free_ptr) uint32_t *order = malloc(((size_t)a->nr_cands + 1) * sizeof(*order));
	struct cover c = { .a = a, .order = order };
	int round = 0;

	if (!a->assign->datamap->missing)
		return 0;
	c.nr = refmap_new(refmap_nr_blocks(a->assign->datamap->missing), false);
	if (c.nr && order) {
		for (uint32_t i = 0; i < a->nr_cands; i++) {
			order[i] = i;
			enter(&c, i);
		}
		qsort_r(order, a->nr_cands, sizeof(*order), by_place_and_age, a);
		while (run_round(&c) && ++round < MAX_ROUNDS)
			;
	}
	refmap_free(c.nr);
	return c.nr && order ? 0 : -ENOMEM;
}

/* Is there a node with three parents that the place, which takes several, could have had? */
static bool another_may_fit(const struct assignment *a, const struct place *p)
{
	return !p->one && any_of(k, p->nr_opts, !a->opt[p->opt[k]].taken && !(a->opt[p->opt[k]].says & SAYS_DENIED) &&
							a->cand[a->opt[p->opt[k]].cand].refs == COUNT_MANY);
}

void assign_doubt(struct assignment *a)
{
	for (uint32_t i = 0; i < a->nr_opts; i++) {
		struct choice *o = &a->opt[i];

		if (o->taken && !a->place[o->place].one && a->cand[o->cand].refs == COUNT_UNKNOWN &&
		    assign_node(a, o->cand)->nr_mappings && assign_may_be_exchanged(a, o))
			assign_mark(a, o->cand, CERTAINTY_OPEN);
	}
	for (uint32_t i = 0; i < a->nr_places; i++) {
		const struct place *p = &a->place[i];
		const bool other = another_may_fit(a, p);

		for (uint32_t k = 0; k < p->nr_opts && other; k++) {
			const struct choice *o = &a->opt[p->opt[k]];

			if (o->taken && a->cand[o->cand].refs == COUNT_MANY)
				assign_mark(a, o->cand, CERTAINTY_OPEN);
		}
	}
}
