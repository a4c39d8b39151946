/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * The assignment.  A node with only one possible place is placed first.  That takes places from
 * other nodes, some of which then have only one.  When no node is left with only one place, the
 * numbers of mappings and of parents are compared (solve.c).  Of the nodes that are still left, the
 * one whose best place has the largest lead over its second best is next, and its group (chain.c) follows it.
 *
 * Nodes whose count is lost come last: each place takes the best of them that the data map allows.
 */
#include "pool/salvage/assign/impl.h"

#include <errno.h>
#include <stdlib.h>

#include "base/search.h"
#include "base/vec.h"

#define FORCED	  100000 /* margin of a node that lacks as many parents as there are places, and more: its score */
#define MAX_PAIRS ((size_t)24 << 20) /* beyond so many only those with a positive score are kept */
#define MAX_NEAR  64u /* overlapping options that are looked at again */

/* --- all options --- */

/* The strongest evidence of the devices that reach the place. */
static struct voice hear(const struct assignment *a, uint32_t cand, const struct place *p)
{
	struct voice best = { INT32_MIN / 2, 0 };

	for (uint32_t d = 0; d < MIN(p->nr_devs, 4u); d++) {
		struct voice v = evidence_hear(a->assign->ages, &a->assign->trees->dev[p->devs[d]],
					       a->cand[cand].node, p->parent, p->nr_devs > 1,
					       a->cand[cand].refs == COUNT_UNKNOWN);

		if (v.score > best.score)
			best = v;
	}
	return best;
}

/* How well a node would do in a lost one's place; false: not at all. */
static bool fits_gap(const struct assignment *a, uint32_t cand, const struct place *p, struct voice *v)
{
	const struct snode *n = assign_node(a, cand);

	if ((a->cand[cand].refs == COUNT_UNKNOWN && p->leaf) || (p->height >= 0 && n->height >= p->height))
		return false;
	/* a root never becomes a child; but a device whose root nothing names may have this one */
	if (n->flags & SN_ROOT && gap_at(a->assign->trees, p->index)->block != NONE)
		return false;
	if (!n->nr || n->last > p->last) /* add_options() has looked where it begins */
		return false;
	*v = hear(a, cand, p);
	return true;
}

/* And as the root of a device. */
static bool fits_root(const struct assignment *a, uint32_t cand, const struct place *p, struct voice *v)
{
	const struct sdevice *d = &a->assign->trees->dev[p->index];
	const struct snode *n = assign_node(a, cand);
	bool unknown = a->cand[cand].refs == COUNT_UNKNOWN;
	uint64_t room = unknown ? 0 : graph_room(a->assign->graph, a->cand[cand].node, a->room, 0);

	if (d->source == DETAILS_LIVE && (n->nr_mappings > d->info.mapped_blocks ||
					  n->nr_mappings + room < d->info.mapped_blocks))
		return false;
	if (unknown && n->height < old_roots_height(a->assign->ages, d->info.dev_id))
		return false;
	*v = hear(a, cand, p);
	if (d->is_guess && v->score < evidence[EV_ALIKE].points / 5)
		return false;
	if (d->source == DETAILS_LIVE && n->nr_mappings == d->info.mapped_blocks) {
		v->score += evidence[EV_COUNT].points;
		v->says |= 1 << EV_COUNT;
	}
	return true;
}

static int add_options(struct assignment *a, uint32_t i, struct vec *out, bool positive)
{
	const struct place *p = &a->place[i];
	uint32_t k = p->one ? 0 : search_first(x, a->nr_cands, assign_node(a, x)->first >= p->begin);

	for (; p->nr_devs && k < a->nr_cands; k++) {
		struct voice v = { 0 };

		if (!p->one && assign_node(a, k)->first > p->last)
			break;
		if (p->one ? !fits_root(a, k, p, &v) : !fits_gap(a, k, p, &v) || (positive && v.score <= 0))
			continue;
		if (vec_put(out, (struct choice){ .cand = k, .place = i, .score = v.score, .says = v.says }))
			return -ENOMEM;
	}
	return 0;
}

/*
 * A snapshot and its origin often have equal evidence for a tree and for its newer version: the
 * older device keeps the tree, the younger gets the newer version.
 */
static int by_cand(const void *pa, const void *pb, void *ctx)
{
	const struct choice *a = pa, *b = pb;
	const struct assignment *as = ctx;
	const struct place *p = &as->place[a->place], *q = &as->place[b->place];
	bool kept = !(a->says & 1 << EV_ALIKE);

	if (a->cand != b->cand || a->score != b->score)
		return ORDER(a->cand, b->cand) ?: ORDER(b->score, a->score);
	if (p->one && p->index != q->index) {
		const struct device_info *i = &as->assign->trees->dev[p->index].info;
		const struct device_info *k = &as->assign->trees->dev[q->index].info;

		if (i->creation_time != k->creation_time)
			return (i->creation_time < k->creation_time) == kept ? -1 : 1;
	}
	return ORDER(a->place, b->place);
}

/* Gives each candidate and each place its options. */
static int index_options(struct assignment *a)
{
	uint32_t nr = 0;

	a->of_place = malloc(((size_t)a->nr_opts + 1) * sizeof(*a->of_place));
	a->taken = malloc(((size_t)a->nr_opts + 1) * sizeof(*a->taken));
	if (!a->of_place || !a->taken)
		return -ENOMEM;
	for (uint32_t c = 0; c < a->nr_cands; c++)
		a->cand[c].twin = c;
	for (uint32_t i = 0; i < a->nr_opts; i++) {
		struct candidate *c = &a->cand[a->opt[i].cand];

		if (!c->opt)
			c->opt = &a->opt[i];
		c->end = &a->opt[i + 1];
		a->opt[i].rank = a->place[a->opt[i].place].nr_opts++;
	}
	for (uint32_t i = 0; i < a->nr_places; i++) {
		a->place[i].opt = a->of_place + nr;
		a->place[i].taken = a->taken + nr;
		nr += a->place[i].nr_opts;
	}
	for (uint32_t i = 0; i < a->nr_opts; i++)
		a->place[a->opt[i].place].opt[a->opt[i].rank] = i;
	return 0;
}

static int list_options(struct assignment *a)
{
	struct vec out = { 0 };
	bool positive = false;
	int r = 0;

	for (uint32_t i = 0; i < a->nr_places && !r; i++) {
		r = add_options(a, i, &out, positive);
		if (out.nr > MAX_PAIRS && !positive) { /* once more, with a higher limit */
			positive = true;
			out.nr = 0;
			i = UINT32_MAX;
		}
	}
	a->opt = out.data;
	a->nr_opts = (uint32_t)out.nr;
	if (!r && out.nr)
		qsort_r(a->opt, a->nr_opts, sizeof(*a->opt), by_cand, a);
	return r ? r : index_options(a);
}

/* --- nodes with a known count: by margin --- */

/* By how much the worst place that it would take is better than the best that it would not; *nr: places. */
static int32_t margin_of(const struct assignment *a, uint32_t cand, uint32_t *nr)
{
	const uint32_t refs = twins_refs(a, cand);
	int32_t worst = 0;

	*nr = 0;
	for (const struct choice *o = a->cand[cand].opt; o < a->cand[cand].end; o++) {
		if (!chain_may_take(a, o))
			continue;
		if (*nr == refs)
			return worst - o->score;
		worst = o->score;
		++*nr;
	}
	return FORCED + SURE_MARGIN + worst;
}

/* Has another node than @cand just as many mappings as the device of @place? */
static bool has_other(const struct assignment *a, uint32_t place, uint32_t cand)
{
	for (uint32_t k = 0; k < a->place[place].nr_opts; k++) {
		const struct choice *c = &a->opt[a->place[place].opt[k]];

		if (c->cand != cand && a->cand[c->cand].refs && c->score >= evidence[EV_COUNT].points &&
		    assign_may_take(a, c))
			return true;
	}
	return false;
}

/*
 * May the device of the option's place have begun with a root that the older top levels name for another device?  It is younger
 * than they are, or one of them that is of no complete older state names that root for it, too.
 */
static bool may_have_begun_with(const struct assignment *a, const struct choice *o)
{
	return o->says & 1 << EV_ONCE ||
	       old_roots_height(a->assign->ages, a->assign->trees->dev[a->place[o->place].index].info.dev_id) < 0;
}

/*
 * A device that is younger than the older top levels began with the root of its origin, which these may name for
 * another device.  When that one has another root to go to, or the root of one of the two is lost, the older name does
 * not decide between them.
 */
static bool may_be_inherited(const struct assignment *a, uint32_t cand)
{
	const struct choice *best = NULL;
	const uint32_t refs = twins_refs(a, cand);
	uint32_t nr = 0;
	bool rival = false;

	for (const struct choice *c = a->cand[cand].opt; c < a->cand[cand].end; c++) {
		if (!a->place[c->place].one || !assign_may_take(a, c))
			continue;
		if (nr++ < refs)
			best = best ? best : c;
		else
			rival |= !(c->says & SAYS_DENIED) &&
				 may_have_begun_with(a, c) &&
				 c->score + evidence[EV_NAMED].points + SURE_MARGIN > best->score &&
				 (has_other(a, best->place, cand) || !has_other(a, c->place, cand));
	}
	return rival;
}

/*
 * Is this choice reliable?  Similarity is not enough, because a snapshot is similar to its origin.
 * A choice is sure when an older tree of the same device has the node, or when all other places are
 * ruled out.
 */
static bool is_sure(const struct assignment *a, uint32_t cand, int32_t margin)
{
	const uint32_t refs = twins_refs(a, cand);
	uint32_t nr = 0;
	bool has = true, others_denied = true;

	for (const struct choice *o = a->cand[cand].opt; o < a->cand[cand].end; o++) {
		if (!chain_may_take(a, o))
			continue;
		if (nr++ < refs)
			has &= (o->says & SAYS_CERTAIN) != 0;
		else
			others_denied &= (o->says & SAYS_DENIED) != 0;
	}
	return margin >= FORCED || (margin >= SURE_MARGIN && (others_denied || (has && !may_be_inherited(a, cand))));
}

/* Nodes that overlap the node just placed have one option less. */
static int push_near(struct assignment *a, struct heap *h, const struct choice *o)
{
	const struct place *p = &a->place[o->place];
	const struct snode *n = assign_node(a, o->cand);
	uint32_t nr;

	for (uint32_t i = o->rank - MIN(o->rank, MAX_NEAR); i < p->nr_opts; i++) {
		uint32_t c = a->opt[p->opt[i]].cand;

		if (!p->one && assign_node(a, c)->first > n->last)
			break;
		if (i == o->rank || !a->cand[c].refs || !is_counted(a, c) || assign_node(a, c)->last < n->first)
			continue;
		if (heap_push(h, (struct heap_entry){ margin_of(a, c, &nr), c }))
			return -ENOMEM;
	}
	return 0;
}

/* Takes the best options of @cand that there are; those of a group only where its @leader, unless NONE, went. */
static int take_options(struct assignment *a, struct heap *h, uint32_t cand, uint32_t leader)
{
	const struct candidate *c = &a->cand[cand];

	for (struct choice *o = c->opt; o < c->end && c->refs; o++) {
		if (leader == NONE ? !chain_may_take(a, o) : !has_taken(a, leader, o->place) || !assign_may_take(a, o))
			continue;
		assign_take(a, o, true);
		if (push_near(a, h, o))
			return -ENOMEM;
	}
	return 0;
}

static int place_one(struct assignment *a, struct heap *h, uint32_t cand, int32_t margin)
{
	if (assign_node(a, cand)->nr_mappings && !is_sure(a, cand, margin))
		assign_mark(a, cand, CERTAINTY_OPEN);
	else
		assign_mark(a, cand, a->need && margin >= FORCED && !a->held_short ? CERTAINTY_PROVED : CERTAINTY_LIKELY);
	return take_options(a, h, cand, NONE);
}

/* The rest of the candidate's group goes where it went. */
static int place_group(struct assignment *a, struct heap *h, uint32_t cand)
{
	int r = 0;

	for (uint32_t c = a->cand[cand].head; c != NONE && !r; c = a->cand[c].next) {
		if (!a->cand[c].refs)
			continue;
		assign_mark(a, c, assign_node(a, cand)->certainty);
		r = take_options(a, h, c, cand);
	}
	return r;
}

static int place_known(struct assignment *a)
{
	/* before the first choice, and the first one that is not sure, the numbers are asked; before all if a node may have no place */
	int32_t ask = !a->need ? INT32_MIN : a->held_short ? INT32_MAX : FORCED;
	struct heap h = { 0 };
	int r = 0;
	uint32_t nr;

	for (uint32_t c = 0; c < a->nr_cands && !r; c++)
		if (is_counted(a, c) && a->cand[c].opt < a->cand[c].end)
			r = heap_push(&h, (struct heap_entry){ margin_of(a, c, &nr), c });
	while (h.nr && !r) {
		struct heap_entry e = heap_pop(&h);
		int32_t margin = a->cand[e.cand].refs ? margin_of(a, e.cand, &nr) : 0;

		if (!a->cand[e.cand].refs || !nr)
			continue;
		if (margin < ask) {
			ask = margin >= FORCED ? FORCED : margin >= SURE_MARGIN ? SURE_MARGIN : INT32_MIN;
			r = assign_solve(a);
			chain_group(a);
			r = r ? r : heap_push(&h, e);
		} else if (margin < e.margin)
			r = heap_push(&h, (struct heap_entry){ margin, e.cand });
		else
			r = place_one(a, &h, e.cand, margin);
		if (!r && a->need && ask < FORCED && margin >= e.margin && (margin < FORCED || a->cand[e.cand].grouped))
			r = place_group(a, &h, e.cand);
	}
	if (!r && ask >= FORCED)
		r = assign_solve(a);
	free(h.e);
	return r;
}

/* --- nodes whose count is lost: the best first --- */

static int best_first(const void *pa, const void *pb, void *ctx)
{
	const struct assignment *a = ctx;
	const struct choice *x = &a->opt[*(const uint32_t *)pa], *y = &a->opt[*(const uint32_t *)pb];
	uint32_t age_x = block_age(a->assign->super, assign_node(a, x->cand)->block);
	uint32_t age_y = block_age(a->assign->super, assign_node(a, y->cand)->block);

	return ORDER(y->score, x->score) ?: ORDER(age_x, age_y) ?: ORDER(x->cand, y->cand) ?: ORDER(y->place, x->place);
}

static int place_unknown(struct assignment *a)
{
	uint32_t *list = malloc(((size_t)a->nr_opts + 1) * sizeof(*list)), nr = 0;

	if (!list)
		return -ENOMEM;
	for (uint32_t i = 0; i < a->nr_opts; i++)
		if (!is_counted(a, a->opt[i].cand) && a->opt[i].score >= 0)
			list[nr++] = i;
	qsort_r(list, nr, sizeof(*list), best_first, a);
	for (int again = 0; again < 2; again++)
		for (uint32_t i = 0; i < nr; i++) {
			struct choice *o = &a->opt[list[i]];
			const struct snode *n = assign_node(a, o->cand);
			bool open;

			/* a tree of one device is given to another only if nothing else is left */
			if ((a->place[o->place].one && !again && n->flags & SN_TAKEN) ||
			    (again && !a->place[o->place].one) || !assign_may_take(a, o) ||
			    !datamap_allows(a->assign->datamap, a->cand[o->cand].node))
				continue;
			open = a->place[o->place].one && n->nr_mappings && assign_is_contested(a, o, again);
			assign_take_unknown(a, o, open ? CERTAINTY_OPEN : CERTAINTY_LIKELY);
		}
	free(list);
	assign_doubt(a);
	return 0;
}

int assign(struct assignment *a)
{
	int r = list_options(a);

	if (a->need && a->assign->super->sb.held_root) {
		bool any;

		super_mark_held(a->assign->super);
		a->held_short = super_held_is_short(a->assign->super, &any) || super_held_is_lost(a->assign->super);
	}
	if (a->need)
		chain_link(a);
	else if (a->nr_opts)
		twins_find(a);
	r = r ?: place_known(a) ?: assign_cover(a) ?: place_unknown(a);
	if (!r && a->assign->super->opt.explain)
		explain_assignment(a);
	return r;
}

void assign_fini(struct assignment *a)
{
	a->assign->work += a->looks;
	for (uint32_t i = 0; a->place && i < a->nr_places; i++)
		free(a->place[i].devs);
	free(a->cand);
	free(a->place);
	free(a->need);
	free(a->room);
	free(a->opt);
	free(a->of_place);
	free(a->taken);
}
