/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Takes orphans home.  An orphan is a node that lacks a parent: its count in the metadata space map is
 * higher than the number of parents that can be read.  The lost nodes are its parents, and
 * its keys must lie in what the lost node was for.  Where more than one lost node could have
 * had it, the device's number of mapped blocks decides, then kinship (salvage_kin.c).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "pool/salvage_int.h"

#define MIN_KIN 300 /* so much kinship is enough for a device that nothing else speaks of */
#define MAX_STEPS 200000 /* of the search for an assignment in which all counts are right */

struct orphan {
	uint32_t node;
	uint32_t refs; /* parents that it lacks */
};

static struct orphan *orphan_at(const struct vec *v, size_t i)
{
	return (struct orphan *)v->data + i;
}

static bool of_tree(const struct snode *n, uint8_t tree)
{
	return n->tree == tree || (n->tree == TREE_EMPTY && tree != TREE_DETAILS);
}

static int by_first_key(const void *pa, const void *pb, void *ctx)
{
	const struct orphan *a = pa, *b = pb;
	const struct snode *na = (const struct snode *)ctx + a->node;
	const struct snode *nb = (const struct snode *)ctx + b->node;

	if (na->first != nb->first)
		return na->first < nb->first ? -1 : 1;
	return na->block < nb->block ? -1 : na->block > nb->block;
}

/* The nodes of @tree that the space map knows to lack parents. */
static int list_orphans(struct salvage *s, uint8_t tree, struct vec *out, struct err *err)
{
	out->nr = 0;
	for (uint32_t i = 0; i < s->nr_nodes; i++) {
		const struct snode *n = &s->node[i];
		struct orphan *o;
		uint32_t refs;

		if (n->flags & SN_VIRTUAL || !of_tree(n, tree))
			continue;
		refs = salvage_missing_refs(s, n->block);
		if (!refs || refs == COUNT_UNKNOWN)
			continue;
		o = vec_push(out, sizeof(*o));
		if (!o)
			return err_nomem(err, "salvage: orphans");
		*o = (struct orphan){ i, refs };
	}
	if (out->nr)
		qsort_r(out->data, out->nr, sizeof(struct orphan), by_first_key, s->node);
	return 0;
}

static bool in_range(const struct snode *n, const struct gap *g)
{
	if (g->height >= 0 && n->height >= g->height + g->astray)
		return false;
	return n->nr && n->first >= g->begin && n->last <= g->last;
}

/* Then its roots look like orphans too, and nothing tells them from the live ones. */
static bool held_is_lost(const struct salvage *s)
{
	return s->sb.held_root && (s->sb.held_root >= s->nr_blocks ||
				   s->kind[s->sb.held_root] != BLOCK_SUPER);
}

/* --- top level and details: one tree each, so what fits belongs there --- */

static int fill_tree(struct salvage *s, uint8_t tree, bool *any, struct err *err)
{
	struct vec orphans = { 0 };
	uint32_t *child;
	int r = list_orphans(s, tree, &orphans, err);

	child = malloc((orphans.nr + 1) * sizeof(*child));
	if (!r && !child)
		r = err_nomem(err, "salvage: orphans");
	for (size_t i = 0; i < s->gaps.nr && !r; i++) {
		struct gap g = *gap_at(s, i);
		uint64_t next = g.begin;
		uint32_t nr = 0;

		if (g.tree != tree || (g.height < 0 && held_is_lost(s)))
			continue;
		for (size_t k = 0; k < orphans.nr; k++) {
			struct orphan *o = orphan_at(&orphans, k);
			const struct snode *n = &s->node[o->node];

			if (!o->refs || !in_range(n, &g) || n->first < next)
				continue;
			child[nr++] = o->node;
			o->refs--;
			if (n->last == UINT64_MAX)
				break;
			next = n->last + 1;
		}
		if (!nr)
			continue;
		*any = true;
		r = salvage_add_edges(s, g.node, child, nr, err);
	}
	free(child);
	free(orphans.data);
	return r;
}

/* --- roots of devices that the top level lost --- */

struct pair {
	uint32_t dev, orphan;
	uint32_t score;
};

static int by_score(const void *pa, const void *pb)
{
	const struct pair *a = pa, *b = pb;

	if (a->score != b->score)
		return a->score > b->score ? -1 : 1;
	if (a->dev != b->dev)
		return a->dev < b->dev ? -1 : 1;
	return a->orphan < b->orphan ? -1 : a->orphan > b->orphan;
}

int salvage_insert_device(struct salvage *s, const struct sdevice *device, struct err *err)
{
	size_t i = s->nr_devs;

	if (s->nr_devs == s->cap_devs) {
		size_t cap = s->cap_devs ? s->cap_devs * 2 : 64;
		struct sdevice *dev = reallocarray(s->dev, cap, sizeof(*dev));

		if (!dev)
			return err_nomem(err, "salvage: list of devices");
		s->dev = dev;
		s->cap_devs = cap;
	}
	while (i && s->dev[i - 1].info.dev_id > device->info.dev_id)
		i--;
	memmove(&s->dev[i + 1], &s->dev[i], (s->nr_devs - i) * sizeof(*s->dev));
	s->dev[i] = *device;
	s->nr_devs++;
	return 0;
}

static bool in_lost_top(const struct salvage *s, uint32_t id)
{
	for (size_t i = 0; i < s->gaps.nr; i++)
		if (gap_at(s, i)->tree == TREE_TOP && gap_at(s, i)->begin <= id &&
		    gap_at(s, i)->last >= id)
			return true;
	return false;
}

static int youngest_first(const void *pa, const void *pb, void *ctx)
{
	const struct salvage *s = ctx;
	uint32_t a = block_age(s, s->node[*(const uint32_t *)pa].block);
	uint32_t b = block_age(s, s->node[*(const uint32_t *)pb].block);

	return a < b ? -1 : a > b;
}

static bool has_key(const struct salvage *s, const struct snode *n, uint64_t key)
{
	uint32_t lo = n->edge, hi = n->edge + n->nr_edges;

	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;

		if (s->edge[mid].key < key)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < n->edge + n->nr_edges && s->edge[lo].key == key;
}

/* Older copies of top-level leaves, the youngest first. */
static int list_old_tops(struct salvage *s, struct vec *tops)
{
	for (uint32_t i = 0; i < s->nr_nodes; i++) {
		const struct snode *n = &s->node[i];
		uint32_t *p;

		if (n->tree != TREE_TOP || !(n->flags & SN_LEAF))
			continue;
		p = vec_push(tops, sizeof(*p));
		if (!p)
			return -ENOMEM;
		*p = i;
	}
	if (tops->nr)
		qsort_r(tops->data, tops->nr, sizeof(uint32_t), youngest_first, s);
	return 0;
}

/* Did the youngest of the older top levels that has a place for the device name it? */
static bool was_there_last(const struct salvage *s, const struct vec *tops,
			   const uint8_t *is_child, uint32_t id)
{
	const uint32_t *top = tops->data;

	for (size_t i = 0; i < tops->nr; i++) {
		const struct snode *n = &s->node[top[i]];

		if (has_key(s, n, id))
			return true;
		if (!is_child[top[i]] || (n->first <= id && id <= n->last))
			return false;
	}
	return false;
}

/* Top level and details are lost: devices that an older top level names may be there yet. */
static int add_guesses(struct salvage *s, struct err *err)
{
	CLEANUP(free_ptr) uint8_t *is_child = calloc((size_t)s->nr_nodes + 1, 1);
	struct vec tops = { 0 };
	const struct old_root *o;
	int r = kin_read(s, err);

	if (!r && (!is_child || list_old_tops(s, &tops)))
		r = err_nomem(err, "salvage: older top levels");
	if (!r)
		salvage_mark_children(s, is_child);
	o = s->old_roots.data;
	for (size_t i = 0; i < s->old_roots.nr && !r; i++) {
		const struct sdevice d = { .info = { .dev_id = o[i].dev_id }, .root_block = NONE,
					   .root = NONE, .source = DETAILS_INVENTED,
					   .is_guess = true };

		if ((!i || o[i - 1].dev_id != o[i].dev_id) && in_lost_top(s, o[i].dev_id) &&
		    !salvage_find_device(s, o[i].dev_id) &&
		    was_there_last(s, &tops, is_child, o[i].dev_id))
			r = salvage_insert_device(s, &d, err);
	}
	free(tops.data);
	return r;
}

static void drop_guesses(struct salvage *s)
{
	size_t nr = 0;

	for (size_t i = 0; i < s->nr_devs; i++)
		if (!s->dev[i].is_guess || s->dev[i].root != NONE)
			s->dev[nr++] = s->dev[i];
	s->nr_devs = nr;
}

/* Trees that nobody can be found for, when device ids are lost: rather under a new id than not at all. */
static int invent_ids(struct salvage *s, struct vec *orphans, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < orphans->nr && !r; i++) {
		struct orphan *o = orphan_at(orphans, i);
		uint32_t id = s->nr_devs ? s->dev[s->nr_devs - 1].info.dev_id + 1 : 0;
		const struct sdevice d = { .info = { .dev_id = id }, .root_block = NONE,
					   .root = o->node, .source = DETAILS_INVENTED,
					   .id_invented = true, .root_found = true };

		if (!o->refs || !s->node[o->node].nr_mappings || id > MAX_DEV_ID)
			continue;
		o->refs--;
		r = salvage_insert_device(s, &d, err);
		if (!r)
			r = salvage_walk_mapping(s, o->node, err);
	}
	return r;
}

/* The device without details whose tree has @nr mappings, when there is just one. */
static struct sdevice *only_bare(struct salvage *s, uint64_t nr)
{
	struct sdevice *found = NULL;

	for (size_t i = 0; i < s->nr_devs; i++) {
		struct sdevice *d = &s->dev[i];

		if (d->source != DETAILS_INVENTED || d->root == NONE ||
		    s->node[d->root].nr_mappings != nr)
			continue;
		if (found)
			return NULL;
		found = d;
	}
	return found;
}

/*
 * One id differs between the two trees: a device without details and details without a device, of
 * the same number of mappings.  The top level's id is kept.
 */
static void pair_details(struct salvage *s)
{
	size_t nr = 0;

	salvage_sum_all(s);
	for (size_t i = 0; i < s->nr_devs; i++) {
		struct sdevice *d = &s->dev[i], *bare;

		if (d->root != NONE || d->source != DETAILS_LIVE || !d->info.mapped_blocks)
			continue;
		bare = only_bare(s, d->info.mapped_blocks);
		if (!bare)
			continue;
		bare->has_other_id = true;
		bare->other_id = d->info.dev_id;
		d->info.dev_id = bare->info.dev_id;
		bare->info = d->info;
		bare->source = DETAILS_LIVE;
		d->is_guess = true; /* forgotten below */
	}
	for (size_t i = 0; i < s->nr_devs; i++)
		if (!s->dev[i].is_guess || s->dev[i].root != NONE)
			s->dev[nr++] = s->dev[i];
	s->nr_devs = nr;
}

static bool needs_root(const struct sdevice *d)
{
	return d->root == NONE;
}

/* How well @node would do as the root of @d; 0: not at all. */
static uint32_t root_score(struct salvage *s, const struct sdevice *d, uint32_t node)
{
	const struct snode *n = &s->node[node];
	uint32_t score = 1;

	if (d->source == DETAILS_LIVE) {
		if (n->nr_mappings > d->info.mapped_blocks)
			return 0;
		if (n->nr_mappings < d->info.mapped_blocks && !(n->flags & SN_BROKEN))
			return 0;
		if (n->nr_mappings == d->info.mapped_blocks)
			score += 5000;
		/* a snapshot may have older mappings than itself, a new device not */
		if (n->nr_mappings && n->min_time >= d->info.creation_time)
			score += 10;
	}
	if (d->is_guess) {
		score = kin_score(s, d->info.dev_id, node);
		return score >= MIN_KIN ? score : 0;
	}
	return score + kin_score(s, d->info.dev_id, node);
}

/* Could the same tree as well be another device's, or the device have another tree? */
static bool is_tie(const struct salvage *s, const struct vec *pairs, size_t i,
		   const struct vec *orphans)
{
	const struct pair *p = (const struct pair *)pairs->data;
	const struct pair *me = &p[i];

	if (!s->node[orphan_at(orphans, me->orphan)->node].nr_mappings)
		return false;
	for (size_t k = i + 1; k < pairs->nr && p[k].score == me->score; k++) {
		if (p[k].orphan == me->orphan && s->dev[p[k].dev].root == NONE &&
		    !orphan_at(orphans, me->orphan)->refs)
			return true;
		if (p[k].dev == me->dev && orphan_at(orphans, p[k].orphan)->refs)
			return true;
	}
	return false;
}

static int match_roots(struct salvage *s, struct vec *orphans, struct err *err)
{
	struct vec pairs = { 0 };
	int r = kin_read(s, err);

	for (size_t i = 0; i < s->nr_devs && !r; i++) {
		if (!needs_root(&s->dev[i]))
			continue;
		for (size_t k = 0; k < orphans->nr; k++) {
			uint32_t score = root_score(s, &s->dev[i], orphan_at(orphans, k)->node);
			struct pair *p;

			if (!score)
				continue;
			p = vec_push(&pairs, sizeof(*p));
			if (!p) {
				r = err_nomem(err, "salvage: orphans");
				break;
			}
			*p = (struct pair){ (uint32_t)i, (uint32_t)k, score };
		}
	}
	if (pairs.nr)
		qsort(pairs.data, pairs.nr, sizeof(struct pair), by_score);
	for (size_t i = 0; i < pairs.nr && !r; i++) {
		const struct pair *p = (const struct pair *)pairs.data + i;
		struct orphan *o = orphan_at(orphans, p->orphan);
		struct sdevice *d = &s->dev[p->dev];

		if (!o->refs || d->root != NONE)
			continue;
		o->refs--;
		d->root = o->node;
		d->root_found = true;
		s->uncertain |= is_tie(s, &pairs, i, orphans);
		r = salvage_walk_mapping(s, o->node, err);
	}
	free(pairs.data);
	return r;
}

/* A device whose root is lost too: a gap over all keys. */
static int add_root_gaps(struct salvage *s, struct err *err)
{
	for (size_t i = 0; i < s->nr_devs; i++) {
		struct sdevice *d = &s->dev[i];
		struct gap *g;

		if (!needs_root(d))
			continue;
		d->root = salvage_add_virtual(s, TREE_MAPPING, -1, err);
		g = d->root == NONE ? NULL : vec_push(&s->gaps, sizeof(*g));
		if (!g)
			return err_nomem(err, "salvage: list of lost nodes");
		*g = (struct gap){ .last = UINT64_MAX, .node = d->root, .block = NONE, .height = -1,
				   .tree = TREE_MAPPING, .why = BLOCK_JUNK };
		s->node[d->root].last = UINT64_MAX;
	}
	return 0;
}

/* --- parts of mapping trees --- */

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

			if (!p->nr_devs || !in_range(&s->node[node], gap_at(s, p->gap)))
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

static int fill_mappings(struct salvage *s, struct vec *orphans, struct err *err)
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

static bool has_gap(const struct salvage *s, uint8_t tree)
{
	for (size_t i = 0; i < s->gaps.nr; i++)
		if (gap_at(s, i)->tree == tree && !s->node[gap_at(s, i)->node].nr_edges)
			return true;
	return false;
}

int salvage_fill_gaps(struct salvage *s, struct err *err)
{
	struct vec orphans = { 0 };
	bool any = false;
	int r = fill_tree(s, TREE_DETAILS, &any, err);

	if (!r)
		r = fill_tree(s, TREE_TOP, &any, err);
	if (!r && any) {
		r = salvage_walk_devices(s, err);
		if (!r)
			r = salvage_join_details(s, err);
		salvage_count_edges(s);
	}
	s->details_lost = has_gap(s, TREE_DETAILS);
	s->top_lost = has_gap(s, TREE_TOP);
	if (!r)
		r = list_orphans(s, TREE_MAPPING, &orphans, err);
	if (!r && s->top_lost && s->details_lost)
		r = add_guesses(s, err);
	if (!r)
		r = match_roots(s, &orphans, err);
	if (!r)
		r = salvage_guess_roots(s, err);
	drop_guesses(s);
	if (!r && s->top_lost && s->details_lost)
		r = invent_ids(s, &orphans, err);
	if (!r)
		pair_details(s);
	if (!r)
		r = add_root_gaps(s, err);
	if (!r) {
		salvage_count_edges(s);
		r = list_orphans(s, TREE_MAPPING, &orphans, err);
	}
	if (!r)
		r = fill_mappings(s, &orphans, err);
	if (!r)
		r = salvage_guess_mappings(s, err);
	free(orphans.data);
	return r;
}
