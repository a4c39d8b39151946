/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Fills the gaps of mapping trees with orphans.  An assignment is searched in which every orphan finds
 * all the parents it lacks and no device gets more mappings than it had; among the places for an
 * orphan the one whose device it is most akin to comes first.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/search.h"
#include "pool/salvage/impl.h"

#define MAX_STEPS 200000 /* of the search */

struct place {
	uint32_t gap;
	uint32_t *devs; /* indices of the devices that reach it */
	uint32_t nr_devs, cap_devs;
	uint32_t *taken; /* orphans */
	uint32_t nr_taken;
};

struct search {
	struct salvage *s;
	struct vec *orphans;
	struct place *place;
	uint32_t nr_places;
	uint64_t *need; /* by device: mappings that are missing; UINT64_MAX: not known */
	struct option {
		uint32_t orphan, place, score;
		bool taken;
	} * option; /* by orphan, then falling score */
	uint32_t nr_options;
};

static int add_dev(struct place *p, uint32_t dev)
{
	if (p->nr_devs && p->devs[p->nr_devs - 1] == dev)
		return 0;
	if (p->nr_devs == p->cap_devs) {
		uint32_t cap = p->cap_devs ? p->cap_devs * 2 : 4;
		uint32_t *devs = reallocarray(p->devs, cap, sizeof(*devs));

		if (!devs)
			return -ENOMEM;
		p->devs = devs;
		p->cap_devs = cap;
	}
	p->devs[p->nr_devs++] = dev;
	return 0;
}

/*
 * Finds the gaps below a node.  @clean[i]: nothing is missing below node i, so that shared
 * subtrees are looked through once.
 */
static int find_places(struct search *q, uint32_t i, uint32_t dev, uint8_t *clean,
		       const uint32_t *place_of, bool *any, unsigned depth)
{
	const struct snode *n = &q->s->node[i];
	bool below = false;
	int r = 0;

	if (clean[i] || n->flags & SN_LEAF || depth > 2 * BTREE_MAX_DEPTH)
		return 0;
	if (place_of[i] != NONE) {
		below = true;
		r = add_dev(&q->place[place_of[i]], dev);
	}
	for (uint32_t k = 0; k < n->nr_edges && !r; k++)
		if (q->s->edge[n->edge + k].node != NONE)
			r = find_places(q, q->s->edge[n->edge + k].node, dev, clean, place_of,
					&below, depth + 1);
	clean[i] = !below;
	*any |= below;
	return r;
}

static int list_places(struct search *q, struct err *err)
{
	struct salvage *s = q->s;
	CLEANUP(free_ptr) uint8_t *clean = calloc(s->nr_nodes + 1, 1);
	CLEANUP(free_ptr) uint32_t *place_of = malloc((s->nr_nodes + 1) * sizeof(*place_of));
	int r = 0;

	q->place = calloc(s->gaps.nr + 1, sizeof(*q->place));
	q->need = malloc((s->nr_devs + 1) * sizeof(*q->need));
	if (!clean || !place_of || !q->place || !q->need)
		return err_nomem(err, "salvage: lost nodes");
	memset(place_of, 0xff, (s->nr_nodes + 1) * sizeof(*place_of));
	for (size_t i = 0; i < s->gaps.nr; i++) {
		if (gap_at(s, i)->tree != TREE_MAPPING)
			continue;
		place_of[gap_at(s, i)->node] = q->nr_places;
		q->place[q->nr_places++].gap = (uint32_t)i;
	}
	salvage_sum_all(s);
	for (size_t i = 0; i < s->nr_devs && !r; i++) {
		const struct sdevice *d = &s->dev[i];
		uint64_t have = d->root == NONE ? 0 : s->node[d->root].nr_mappings;
		bool any = false;

		q->need[i] = UINT64_MAX;
		if (d->source == DETAILS_LIVE)
			q->need[i] =
				d->info.mapped_blocks > have ? d->info.mapped_blocks - have : 0;
		if (d->root != NONE)
			r = find_places(q, d->root, (uint32_t)i, clean, place_of, &any, 0);
	}
	return r < 0 ? err_nomem(err, "salvage: lost nodes") : 0;
}

static int by_orphan_best_first(const void *pa, const void *pb)
{
	const struct option *a = pa, *b = pb;

	if (a->orphan != b->orphan)
		return a->orphan < b->orphan ? -1 : 1;
	if (a->score != b->score)
		return a->score > b->score ? -1 : 1;
	return a->place < b->place ? -1 : a->place > b->place;
}

/* The first orphan whose keys do not begin before @key; they are sorted. */
static uint32_t first_orphan(const struct search *q, uint64_t key)
{
	uint32_t lo = 0, hi = (uint32_t)q->orphans->nr;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (q->s->node[orphan_at(q->orphans, mid)->node].first < key)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* All places for all orphans.  A place has room for as many as there are options for it. */
static int list_pairs(struct search *q, struct vec *options)
{
	struct salvage *s = q->s;

	for (uint32_t i = 0; i < q->nr_places; i++) {
		struct place *p = &q->place[i];
		const struct gap *g = gap_at(s, p->gap);
		size_t begin = options->nr;

		for (uint32_t k = first_orphan(q, g->begin); p->nr_devs && k < q->orphans->nr;
		     k++) {
			const struct snode *n = &s->node[orphan_at(q->orphans, k)->node];
			struct option *o;

			if (n->first > g->last)
				break;
			if (!gap_takes(n, g))
				continue;
			o = vec_push(options, sizeof(*o));
			if (!o)
				return -ENOMEM;
			*o = (struct option) { k, i, 0, false };
		}
		p->taken = malloc((options->nr - begin + 1) * sizeof(*p->taken));
		if (!p->taken)
			return -ENOMEM;
	}
	return 0;
}

/* Whose kin an orphan is, is asked only where there is a choice. */
static void score_options(struct search *q)
{
	struct salvage *s = q->s;

	for (uint32_t i = 0; i < q->nr_options; i++) {
		struct option *o = &q->option[i];
		const struct place *p = &q->place[o->place];

		if (!(i && o[-1].orphan == o->orphan) &&
		    !(i + 1 < q->nr_options && o[1].orphan == o->orphan))
			continue;
		for (uint32_t d = 0; d < MIN(p->nr_devs, 4u); d++)
			o->score = MAX(o->score, kin_score(s, s->dev[p->devs[d]].info.dev_id,
							   orphan_at(q->orphans, o->orphan)->node));
	}
}

static int list_options(struct search *q, struct err *err)
{
	struct vec options = { 0 };
	int r = list_pairs(q, &options);

	if (options.nr >= UINT32_MAX)
		r = -ENOMEM;
	q->option = options.data;
	if (r < 0)
		return err_nomem(err, "salvage: orphans");
	q->nr_options = (uint32_t)options.nr;
	if (!options.nr)
		return 0;
	qsort(options.data, options.nr, sizeof(struct option), by_orphan_best_first);
	score_options(q);
	qsort(options.data, options.nr, sizeof(struct option), by_orphan_best_first);
	return 0;
}

static const struct snode *node_at(const struct search *q, uint32_t orphan)
{
	return &q->s->node[orphan_at(q->orphans, orphan)->node];
}

/* Orphans come in key order: only the last one that a place took can be in the way. */
static bool may_take(const struct search *q, const struct option *o)
{
	const struct place *p = &q->place[o->place];
	const struct snode *n = node_at(q, o->orphan);

	if (p->nr_taken && node_at(q, p->taken[p->nr_taken - 1])->last >= n->first)
		return false;
	for (uint32_t i = 0; i < p->nr_devs; i++)
		if (q->need[p->devs[i]] != UINT64_MAX && q->need[p->devs[i]] < n->nr_mappings)
			return false;
	return true;
}

static void take(struct search *q, struct option *o, bool back)
{
	struct place *p = &q->place[o->place];
	uint64_t nr = node_at(q, o->orphan)->nr_mappings;

	o->taken = !back;
	if (back)
		p->nr_taken--;
	else
		p->taken[p->nr_taken++] = o->orphan;
	for (uint32_t i = 0; i < p->nr_devs; i++) {
		uint64_t *need = &q->need[p->devs[i]];

		if (*need != UINT64_MAX)
			*need = back ? *need + nr : *need - nr;
	}
}

/* The first option of the next orphan. */
static uint32_t next_orphan(const struct search *q, uint32_t o)
{
	uint32_t k = q->option[o].orphan;

	while (o < q->nr_options && q->option[o].orphan == k)
		o++;
	return o;
}

/* Takes the first option from @o on that can be taken for this orphan; its index, or NONE. */
static uint32_t take_next(struct search *q, uint32_t o, uint32_t orphan)
{
	for (; o < q->nr_options && q->option[o].orphan == orphan; o++)
		if (may_take(q, &q->option[o])) {
			take(q, &q->option[o], false);
			return o;
		}
	return NONE;
}

struct step {
	uint32_t option, refs; /* refs: parents that the orphan lacked before */
};

/*
 * An assignment in which every orphan finds all parents and no device gets more than it had.  @done: room for
 * a step an option.  When there is none, or the search takes too long, nothing is taken.
 */
static bool search_all(struct search *q, struct step *done)
{
	uint32_t nr = 0, o = 0, refs = 0;
	uint64_t steps = 0, max = MAX_STEPS + 2 * (uint64_t)q->nr_options;

	while (o < q->nr_options) {
		uint32_t k = q->option[o].orphan, at = o;

		for (refs = orphan_at(q->orphans, k)->refs; refs; refs--) {
			uint32_t found = take_next(q, at, k);

			while (found == NONE) { /* take the last step back, and go on behind it */
				if (!nr || ++steps > max)
					goto failed;
				nr--;
				take(q, &q->option[done[nr].option], true);
				k = q->option[done[nr].option].orphan;
				refs = done[nr].refs;
				found = take_next(q, done[nr].option + 1, k);
			}
			done[nr++] = (struct step) { found, refs };
			o = found;
			at = found + 1;
		}
		o = next_orphan(q, o);
	}
	return true;
failed:
	while (nr)
		take(q, &q->option[done[--nr].option], true);
	return false;
}

static void take_greedily(struct search *q)
{
	for (uint32_t o = 0; o < q->nr_options; o++) {
		struct orphan *orphan = orphan_at(q->orphans, q->option[o].orphan);

		if (!orphan->refs || !may_take(q, &q->option[o]))
			continue;
		take(q, &q->option[o], false);
		orphan->refs--;
	}
}

/* Could an orphan as well have gone to another place, whose devices are others? */
static bool is_tie(const struct search *q)
{
	uint32_t o = 0;

	while (o < q->nr_options) {
		uint32_t end = next_orphan(q, o), lost = 0, won = UINT32_MAX;

		for (; o < end; o++) {
			if (q->option[o].taken)
				won = MIN(won, q->option[o].score);
			else
				lost = MAX(lost, q->option[o].score + 1);
		}
		if (won < lost)
			return true;
	}
	return false;
}

static int assign(struct search *q, struct err *err)
{
	struct step *done = malloc(((size_t)q->nr_options + 1) * sizeof(*done));

	if (!done)
		return err_nomem(err, "salvage: orphans");
	if (!search_all(q, done))
		take_greedily(q);
	free(done);
	return 0;
}

static int by_first(const void *pa, const void *pb, void *ctx)
{
	const struct snode *n = ctx;
	const uint32_t *a = pa, *b = pb;

	return n[*a].first < n[*b].first ? -1 : n[*a].first > n[*b].first;
}

#define WAS_HERE 1800 /* kin_score() of a node that an older tree of the device has */

/*
 * Is there an orphan that could as well stand elsewhere?  Not when an older tree of its device has it and
 * none of another place's devices does.
 */
static bool has_choice(const struct search *q)
{
	for (uint32_t i = 0; i < q->nr_places; i++)
		for (uint32_t k = 0; k < q->place[i].nr_taken; k++) {
			uint32_t orphan = q->place[i].taken[k], mine = 0, other = 0;
			uint32_t o = search_first(x, q->nr_options, q->option[x].orphan >= orphan);

			if (!q->s->node[orphan_at(q->orphans, orphan)->node].nr_mappings)
				continue;
			for (; o < q->nr_options && q->option[o].orphan == orphan; o++) {
				uint32_t *best = q->option[o].place == i ? &mine : &other;

				*best = MAX(*best, q->option[o].score + 1);
			}
			if (other && (mine <= WAS_HERE || other > WAS_HERE))
				return true;
		}
	return false;
}

static int put_in_place(struct search *q, struct err *err)
{
	struct salvage *s = q->s;

	for (uint32_t i = 0; i < q->nr_places; i++) {
		struct place *p = &q->place[i];
		int r;

		for (uint32_t k = 0; k < p->nr_taken; k++)
			p->taken[k] = orphan_at(q->orphans, p->taken[k])->node;
		if (!p->nr_taken)
			continue;
		qsort_r(p->taken, p->nr_taken, sizeof(*p->taken), by_first, s->node);
		r = salvage_add_edges(s, gap_at(s, p->gap)->node, p->taken, p->nr_taken, err);
		for (uint32_t k = 0; k < p->nr_taken && !r; k++)
			r = salvage_walk_mapping(s, p->taken[k], err);
		if (r < 0)
			return r;
	}
	return 0;
}

int salvage_fill_mappings(struct salvage *s, struct vec *orphans, struct err *err)
{
	struct search q = { .s = s, .orphans = orphans };
	int r = kin_read(s, err);

	if (!r)
		r = list_places(&q, err);
	if (!r)
		r = list_options(&q, err);
	if (!r)
		r = assign(&q, err);
	if (!r) {
		s->uncertain |= is_tie(&q) || has_choice(&q);
		r = put_in_place(&q, err);
	}
	for (uint32_t i = 0; q.place && i < q.nr_places; i++) {
		free(q.place[i].devs);
		free(q.place[i].taken);
	}
	free(q.place);
	free(q.need);
	free(q.option);
	return r;
}
