/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fills the gaps of mapping trees with orphans.  An assignment is searched in which every orphan finds
 * all the parents it lacks and no device gets more mappings than it had; among the places for an
 * orphan the one whose device it is most akin to comes first.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
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
	} *option; /* by orphan, then falling score */
	uint32_t nr_options;
	uint64_t steps;
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
		q->place[q->nr_places].taken = calloc(q->orphans->nr + 1, sizeof(uint32_t));
		if (!q->place[q->nr_places].taken)
			return err_nomem(err, "salvage: lost nodes");
		q->place[q->nr_places++].gap = (uint32_t)i;
	}
	salvage_sum_all(s);
	for (size_t i = 0; i < s->nr_devs && !r; i++) {
		const struct sdevice *d = &s->dev[i];
		uint64_t have = d->root == NONE ? 0 : s->node[d->root].nr_mappings;
		bool any = false;

		q->need[i] = UINT64_MAX;
		if (d->source == DETAILS_LIVE)
			q->need[i] = d->info.mapped_blocks > have ? d->info.mapped_blocks - have : 0;
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

static int list_options(struct search *q, struct err *err)
{
	struct salvage *s = q->s;
	struct vec options = { 0 };

	for (uint32_t k = 0; k < q->orphans->nr; k++) {
		uint32_t node = orphan_at(q->orphans, k)->node, first = (uint32_t)options.nr;

		for (uint32_t i = 0; i < q->nr_places; i++) {
			const struct place *p = &q->place[i];
			struct option *o;

			if (!p->nr_devs || !gap_takes(&s->node[node], gap_at(s, p->gap)))
				continue;
			o = vec_push(&options, sizeof(*o));
			if (!o) {
				free(options.data);
				return err_nomem(err, "salvage: orphans");
			}
			*o = (struct option){ k, i, 0 };
		}
		/* only where there is a choice are kin asked */
		for (uint32_t i = first; options.nr - first > 1 && i < options.nr; i++) {
			struct option *o = (struct option *)options.data + i;
			const struct place *p = &q->place[o->place];

			for (uint32_t d = 0; d < MIN(p->nr_devs, 4u); d++)
				o->score = MAX(o->score, kin_score(s, s->dev[p->devs[d]].info.dev_id,
								   node));
		}
	}
	q->option = options.data;
	q->nr_options = (uint32_t)options.nr;
	if (options.nr)
		qsort(options.data, options.nr, sizeof(struct option), by_orphan_best_first);
	return 0;
}

static bool overlaps(const struct snode *a, const struct snode *b)
{
	return a->first <= b->last && b->first <= a->last;
}

static bool may_take(const struct search *q, const struct place *p, uint32_t k, bool counts)
{
	const struct salvage *s = q->s;
	const struct snode *n = &s->node[orphan_at(q->orphans, k)->node];

	for (uint32_t i = 0; i < p->nr_taken; i++)
		if (overlaps(n, &s->node[orphan_at(q->orphans, p->taken[i])->node]))
			return false;
	for (uint32_t i = 0; counts && i < p->nr_devs; i++)
		if (q->need[p->devs[i]] != UINT64_MAX && q->need[p->devs[i]] < n->nr_mappings)
			return false;
	return true;
}

static void take(struct search *q, struct place *p, uint32_t k, bool back)
{
	uint64_t nr = q->s->node[orphan_at(q->orphans, k)->node].nr_mappings;

	if (back)
		p->nr_taken--;
	else
		p->taken[p->nr_taken++] = k;
	for (uint32_t i = 0; i < p->nr_devs; i++) {
		uint64_t *need = &q->need[p->devs[i]];

		if (*need != UINT64_MAX)
			*need = back ? *need + nr : *need - nr;
	}
}

/* An assignment in which every orphan finds all parents and no device gets more than it had. */
static bool search_all(struct search *q, uint32_t o, uint32_t refs)
{
	uint32_t k;

	if (o == q->nr_options)
		return true;
	if (++q->steps > MAX_STEPS)
		return false;
	k = q->option[o].orphan;
	if (refs == UINT32_MAX)
		refs = orphan_at(q->orphans, k)->refs;
	if (!refs) { /* the next orphan */
		while (o < q->nr_options && q->option[o].orphan == k)
			o++;
		return search_all(q, o, UINT32_MAX);
	}
	for (; o < q->nr_options && q->option[o].orphan == k; o++) {
		struct place *p = &q->place[q->option[o].place];

		if (!may_take(q, p, k, true))
			continue;
		take(q, p, k, false);
		if (o + 1 < q->nr_options && q->option[o + 1].orphan == k) {
			if (search_all(q, o + 1, refs - 1))
				return true;
		} else if (refs == 1 && search_all(q, o + 1, UINT32_MAX)) {
			return true;
		}
		take(q, p, k, true);
	}
	return false;
}

static void take_greedily(struct search *q)
{
	for (uint32_t i = 0; i < q->nr_places; i++)
		q->place[i].nr_taken = 0;
	for (uint32_t o = 0; o < q->nr_options; o++) {
		struct orphan *orphan = orphan_at(q->orphans, q->option[o].orphan);
		struct place *p = &q->place[q->option[o].place];

		if (!orphan->refs || !may_take(q, p, q->option[o].orphan, true))
			continue;
		take(q, p, q->option[o].orphan, false);
		orphan->refs--;
	}
}

static int by_first(const void *pa, const void *pb, void *ctx)
{
	const struct snode *n = ctx;
	const uint32_t *a = pa, *b = pb;

	return n[*a].first < n[*b].first ? -1 : n[*a].first > n[*b].first;
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
	if (!r && !search_all(&q, 0, UINT32_MAX))
		take_greedily(&q);
	if (!r)
		r = put_in_place(&q, err);
	for (uint32_t i = 0; q.place && i < q.nr_places; i++) {
		free(q.place[i].devs);
		free(q.place[i].taken);
	}
	free(q.place);
	free(q.need);
	free(q.option);
	return r;
}
