/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* One option: can the node go to that place now, and what changes when it does? */
#include <string.h>

#include "base/search.h"
#include "pool/salvage/assign/impl.h"

#define MAX_SWAPS 256u /* nodes that are looked at for one place */
#define MAX_LOOKS 20000000 /* at options, for exchanges */

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

bool assign_may_take(const struct assignment *a, const struct choice *o)
{
	const struct place *p = &a->place[o->place];

	if (o->taken)
		return false;
	if (p->one)
		return !p->nr_taken;
	return has_keys(a, o) && !any_of(i, p->nr_devs, a->need[p->devs[i]] < assign_node(a, o->cand)->nr_mappings);
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

void assign_take_unknown(struct assignment *a, struct choice *o, enum certainty c)
{
	const uint32_t node = a->cand[o->cand].node;

	assign_mark(a, o->cand, c);
	assign_take(a, o, true);
	a->assign->graph->node[node].flags |= SN_TAKEN;
	datamap_take(a->assign->datamap, node);
	a->assign->guessed = true;
}

/*
 * May one of the two devices have begun with the tree of the other?  The older top levels name it for the older one alone, and
 * after the snapshot either may have kept it.
 */
static bool may_inherit(const struct assignment *a, uint32_t place, uint32_t other)
{
	const struct device_info *d = &a->assign->trees->dev[a->place[place].index].info;
	const struct device_info *e = &a->assign->trees->dev[a->place[other].index].info;
	const struct device_info *older = d->creation_time < e->creation_time ? d : e, *younger = older == d ? e : d;

	return older->creation_time < younger->creation_time && older->snap_time >= younger->creation_time &&
	       old_roots_height(a->assign->ages, younger->dev_id) < 0;
}

/* Is @other, the score of what could be instead, as high as @score, or nearly? */
static bool is_near(int64_t score, int64_t other)
{
	return score < other + SURE_MARGIN;
}

/* Is the other option's node free to have its place instead of @o, and its own place free for the node of @o? */
static bool is_as_good(struct assignment *a, const struct choice *o, const struct choice *other)
{
	const struct candidate *c = &a->cand[o->cand], *d = &a->cand[other->cand];

	for (const struct choice *back = c->opt; back < c->end && a->looks < MAX_LOOKS; back++) {
		const struct choice *there;

		a->looks += 1 + (uint32_t)(d->end - d->opt) / 16;
		if (back->place == o->place || a->place[back->place].nr_taken)
			continue;
		there = find_option(a, other->cand, back->place);
		if (there &&
		    (is_near((int64_t)o->score + there->score, (int64_t)other->score + back->score) ||
		     (!((other->says | back->says) & SAYS_DENIED) &&
		      (back->says & 1 << EV_ONCE || may_inherit(a, o->place, back->place)))))
			return true;
	}
	return a->looks >= MAX_LOOKS;
}

bool assign_is_contested(struct assignment *a, const struct choice *o, bool again)
{
	const struct place *p = &a->place[o->place];

	for (uint32_t k = 0; k < MIN(p->nr_opts, MAX_SWAPS); k++) {
		const struct choice *other = &a->opt[p->opt[k]];
		const bool taken = assign_node(a, other->cand)->flags & SN_TAKEN;

		if (other->cand != o->cand && (taken  ? other->score > o->score || (again && is_near(o->score, other->score))
					       : !again && is_as_good(a, o, other)))
			return true;
	}
	return false;
}

/* What its place has taken instead of @o, NULL: nothing with a key in common. */
static struct choice *taken_instead(struct assignment *a, const struct choice *o)
{
	const struct snode *n = assign_node(a, o->cand);
	const struct place *p = &a->place[o->place];

	for (uint32_t k = o->rank - MIN(o->rank, MAX_SWAPS); k < p->nr_opts; k++) {
		struct choice *other = &a->opt[p->opt[k]];

		a->looks++;
		if (assign_node(a, other->cand)->first > n->last)
			break;
		if (other->taken && assign_node(a, other->cand)->last >= n->first)
			return other;
	}
	return NULL;
}

static bool try_exchange(struct assignment *a, struct choice *o, struct choice *other, struct choice *to, struct choice *back)
{
	bool may;

	assign_take(a, o, false);
	assign_take(a, other, false);
	may = assign_may_take(a, to) && assign_may_take(a, back);
	assign_take(a, o, true);
	assign_take(a, other, true);
	return may;
}

bool assign_may_be_exchanged(struct assignment *a, struct choice *o)
{
	const uint64_t nr = assign_node(a, o->cand)->nr_mappings;

	for (struct choice *to = a->cand[o->cand].opt; to < a->cand[o->cand].end && a->looks < MAX_LOOKS; to++) {
		struct choice *other = to->taken ? NULL : taken_instead(a, to);
		struct choice *back = other ? find_option(a, other->cand, o->place) : NULL;

		if (back && !back->taken && assign_node(a, other->cand)->nr_mappings == nr &&
		    is_near((int64_t)o->score + other->score, (int64_t)to->score + back->score) &&
		    try_exchange(a, o, other, to, back))
			return true;
	}
	return a->looks >= MAX_LOOKS;
}
