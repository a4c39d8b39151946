/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Homes for orphans when the metadata space map is lost as well.  Then old copies cannot be told from
 * live ones by their counts.  What remains: the number of mappings that a device must have, older
 * trees of the device, and where a node lies: the kernel writes upwards, so what lies between the
 * last index block but one and the newest was written by the last transaction, and is the newest
 * version of that node.
 *
 * Whether the guess was right the data space map tells, if it is there: its counts must be
 * those of the mappings (salvage_verify.c).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "pool/salvage/impl.h"

#define FRESH 3000 /* written by the last transaction: worth more than any older tree */

#define WAS_HERE 1800 /* kin_score() of a node that an older tree of the device has */

struct guess {
	uint32_t node, score;
};

/* Best first; of equals the newest. */
static int best_first(const void *pa, const void *pb, void *ctx)
{
	const struct guess *a = pa, *b = pb;
	struct salvage *s = ctx;
	uint32_t age_a = block_age(s, s->node[a->node].block);
	uint32_t age_b = block_age(s, s->node[b->node].block);

	if (a->score != b->score)
		return a->score > b->score ? -1 : 1;
	return age_a < age_b ? -1 : age_a > age_b;
}

static bool count_is_unknown(const struct salvage *s, uint32_t block)
{
	return !s->has_counts || s->count[block] == COUNT_UNKNOWN;
}

static bool is_candidate(const struct salvage *s, uint32_t i)
{
	const struct snode *n = &s->node[i];

	return !(n->flags & (SN_VIRTUAL | SN_BROKEN)) &&
	       (n->tree == TREE_MAPPING || n->tree == TREE_EMPTY) && count_is_unknown(s, n->block);
}

/*
 * A node is written whenever one of its children is: children are as old as their parent or older,
 * and those of the same transaction are its newest.  In ages, of the transaction that wrote a block:
 */
struct window {
	uint32_t end, begin; /* blocks younger than @end came later, those from @begin on before */
};

static struct window window_of(const struct salvage *s, uint32_t block)
{
	struct window w = { 0, salvage_last_transaction(s) };
	uint32_t age;

	if (block == NONE)
		return w;
	age = block_age(s, block);
	w.begin = s->nr_blocks;
	for (uint32_t b = 0; b < s->nr_blocks; b++) {
		uint32_t a = block_age(s, b);

		if (s->kind[b] != BLOCK_INDEX)
			continue;
		if (a <= age)
			w.end = MAX(w.end, a);
		else
			w.begin = MIN(w.begin, a);
	}
	return w;
}

static uint32_t score_of(struct salvage *s, uint32_t dev_id, uint32_t node, const struct window *w)
{
	uint32_t kin = kin_score(s, dev_id, node), age = block_age(s, s->node[node].block);

	/* another device's, or newer than its parent: only if it was here before (a round ago) */
	if (age < w->end || s->node[node].flags & SN_LIVE)
		return kin >= WAS_HERE ? kin : 0;
	if (kin && age < w->begin)
		kin += FRESH;
	return kin;
}

/* --- roots --- */

struct match {
	uint32_t dev, node, score, age;
};

static bool is_younger(const struct device_info *a, const struct device_info *b)
{
	if (a->creation_time != b->creation_time)
		return a->creation_time > b->creation_time;
	return a->dev_id > b->dev_id;
}

/*
 * A snapshot and its origin have the same claim to what one of them has become since: the
 * younger is asked first, and the older keeps the tree that both had.
 */
static int best_match(const void *pa, const void *pb, void *ctx)
{
	const struct match *a = pa, *b = pb;
	const struct salvage *s = ctx;

	if (a->score != b->score)
		return a->score > b->score ? -1 : 1;
	if (a->age != b->age)
		return a->age < b->age ? -1 : 1;
	if (a->dev == b->dev)
		return 0;
	return is_younger(&s->dev[a->dev].info, &s->dev[b->dev].info) ? -1 : 1;
}

static bool may_be_root(const struct salvage *s, const struct sdevice *d, uint32_t i)
{
	const struct snode *n = &s->node[i];

	if (!is_candidate(s, i) || n->height < kin_height(s, d->info.dev_id))
		return false;
	return d->source != DETAILS_LIVE || n->nr_mappings == d->info.mapped_blocks;
}

/* The block of the top level that should have named the device, NONE when it is not known. */
static uint32_t lost_top(const struct salvage *s, uint32_t id)
{
	for (size_t i = 0; i < s->gaps.nr; i++) {
		const struct gap *g = gap_at(s, i);

		if (g->tree == TREE_TOP && g->begin <= id && id <= g->last && g->block)
			return g->block;
	}
	return NONE;
}

static int list_matches(struct salvage *s, struct vec *out)
{
	uint32_t top = 0;
	struct window w;

	for (size_t k = 0; k < s->nr_devs; k++) {
		const struct sdevice *d = &s->dev[k];

		if (d->root == NONE && (!top || top != lost_top(s, d->info.dev_id))) {
			top = lost_top(s, d->info.dev_id);
			w = window_of(s, top);
		}
		for (uint32_t i = 0; i < s->nr_nodes && d->root == NONE; i++) {
			struct match *m, new = { (uint32_t)k, i, 1, 0 };

			if (!may_be_root(s, d, i))
				continue;
			new.score += score_of(s, d->info.dev_id, i, &w);
			new.age = block_age(s, s->node[i].block);
			if (new.age < w.end && new.score <= WAS_HERE)
				continue;
			if (d->is_guess && new.score <= 300)
				continue;
			m = vec_push(out, sizeof(*m));
			if (!m)
				return -ENOMEM;
			*m = new;
		}
	}
	if (out->nr)
		qsort_r(out->data, out->nr, sizeof(struct match), best_match, s);
	return 0;
}

static int take_root(struct salvage *s, struct sdevice *d, uint32_t root, struct err *err)
{
	d->root = root;
	d->root_found = true;
	s->guessed = true;
	s->node[root].flags |= SN_TAKEN;
	salvage_data_take(s, root);
	return salvage_walk_mapping(s, root, err);
}

/* Could the tree as well be another device's? */
static bool is_tie(const struct salvage *s, const struct vec *matches, size_t i)
{
	const struct match *m = matches->data;

	for (size_t k = i + 1; k < matches->nr && m[k].score == m[i].score; k++)
		if (m[k].node == m[i].node && s->dev[m[k].dev].root == NONE &&
		    s->node[m[i].node].nr_mappings)
			return true;
	return false;
}

/* Best matches first; a tree that one device got is another's only when nothing else is left. */
int salvage_guess_roots(struct salvage *s, struct err *err)
{
	struct vec matches = { 0 };
	bool needed = false;
	int r = 0;

	for (size_t i = 0; i < s->nr_devs; i++)
		needed |= s->dev[i].root == NONE;
	if (!needed || (s->has_counts && !salvage_has_unknown(s)))
		return 0;
	r = salvage_data_begin(s, err);
	if (!r && list_matches(s, &matches))
		r = err_nomem(err, "salvage: orphans");
	for (int again = 0; again < 2; again++)
		for (size_t i = 0; i < matches.nr && !r; i++) {
			const struct match *m = (const struct match *)matches.data + i;

			if (s->dev[m->dev].root != NONE ||
			    (!again && s->node[m->node].flags & SN_TAKEN) ||
			    !salvage_data_allows(s, m->node))
				continue;
			s->uncertain |= is_tie(s, &matches, i);
			r = take_root(s, &s->dev[m->dev], m->node, err);
		}
	free(matches.data);
	return r;
}

/* --- parts of mapping trees, leaf by leaf --- */

struct claim {
	struct salvage *s;
	uint32_t dev; /* index */
	uint64_t need;
	struct window window;
};

static bool fits(const struct salvage *s, const struct gap *g, uint32_t i, uint64_t need)
{
	const struct snode *n = &s->node[i];

	return n->flags & SN_LEAF && n->nr && is_candidate(s, i) && n->first >= g->begin &&
	       n->last <= g->last && n->nr_mappings <= need;
}

static int list_guesses(const struct claim *c, const struct gap *g, struct vec *out)
{
	struct salvage *s = c->s;

	out->nr = 0;
	for (uint32_t i = 0; i < s->nr_nodes; i++) {
		struct guess *e;
		uint32_t score;

		if (!fits(s, g, i, c->need))
			continue;
		score = score_of(s, s->dev[c->dev].info.dev_id, i, &c->window);
		/* another device's, or newer than its parent would be */
		if (!score && (s->node[i].flags & SN_LIVE ||
			       block_age(s, s->node[i].block) < c->window.end))
			continue;
		e = vec_push(out, sizeof(*e));
		if (!e)
			return -ENOMEM;
		*e = (struct guess){ i, score };
	}
	if (out->nr)
		qsort_r(out->data, out->nr, sizeof(struct guess), best_first, s);
	return 0;
}

static int by_first(const void *pa, const void *pb, void *ctx)
{
	const struct snode *n = ctx;
	const uint32_t *a = pa, *b = pb;

	return n[*a].first < n[*b].first ? -1 : n[*a].first > n[*b].first;
}

static uint32_t choose(const struct claim *c, const struct vec *guesses, uint32_t *taken)
{
	const struct snode *node = c->s->node;
	const struct guess *g = guesses->data;
	uint64_t need = c->need;
	uint32_t nr = 0;

	for (size_t i = 0; i < guesses->nr && need; i++) {
		const struct snode *n = &node[g[i].node];
		bool free_there = n->nr_mappings <= need;

		for (uint32_t k = 0; k < nr && free_there; k++)
			free_there = n->first > node[taken[k]].last || node[taken[k]].first > n->last;
		if (!free_there || !salvage_data_allows(c->s, g[i].node))
			continue;
		salvage_data_take(c->s, g[i].node);
		taken[nr++] = g[i].node;
		need -= n->nr_mappings;
	}
	if (nr)
		qsort_r(taken, nr, sizeof(*taken), by_first, c->s->node);
	return nr;
}

static int fill_gap(const struct claim *c, const struct gap *g, struct err *err)
{
	struct vec guesses = { 0 };
	CLEANUP(free_ptr) uint32_t *taken = NULL;
	int r = list_guesses(c, g, &guesses);
	uint32_t nr = 0;

	taken = malloc((guesses.nr + 1) * sizeof(*taken));
	if (r || !taken)
		r = err_nomem(err, "salvage: orphans");
	else
		nr = choose(c, &guesses, taken);
	free(guesses.data);
	if (r || !nr)
		return r;
	c->s->guessed = true;
	r = salvage_add_edges(c->s, g->node, taken, nr, err);
	for (uint32_t i = 0; i < nr && !r; i++)
		r = salvage_walk_mapping(c->s, taken[i], err);
	return r;
}

/* The first device that reaches @node. */
static bool reaches(const struct salvage *s, uint32_t from, uint32_t node, unsigned depth)
{
	const struct snode *n = &s->node[from];

	if (from == node)
		return true;
	for (uint32_t k = 0; !(n->flags & SN_LEAF) && k < n->nr_edges && depth < BTREE_MAX_DEPTH; k++)
		if (s->edge[n->edge + k].node != NONE &&
		    !(s->node[s->edge[n->edge + k].node].flags & SN_LEAF) &&
		    reaches(s, s->edge[n->edge + k].node, node, depth + 1))
			return true;
	return false;
}

static bool find_claim(struct claim *c, const struct gap *g)
{
	struct salvage *s = c->s;

	for (size_t i = 0; i < s->nr_devs; i++) {
		const struct sdevice *d = &s->dev[i];

		if (d->root == NONE || !reaches(s, d->root, g->node, 0))
			continue;
		c->dev = (uint32_t)i;
		c->need = UINT64_MAX;
		if (d->source == DETAILS_LIVE) {
			uint64_t have = s->node[d->root].nr_mappings;

			c->need = d->info.mapped_blocks > have ? d->info.mapped_blocks - have : 0;
		}
		return true;
	}
	return false;
}

/* A lost root that was a leaf has no children that could be found. */
static bool was_a_leaf(const struct claim *c, const struct gap *g)
{
	const struct sdevice *d = &c->s->dev[c->dev];

	return g->height < 0 && c->need <= INTERNAL_MAX && kin_height(c->s, d->info.dev_id) <= 0;
}

int salvage_guess_mappings(struct salvage *s, struct err *err)
{
	struct claim c = { .s = s };
	int r = 0;

	for (size_t i = 0; i < s->gaps.nr && !r; i++) {
		const struct gap g = *gap_at(s, i);

		if (g.tree != TREE_MAPPING || s->node[g.node].nr_edges || g.height == 0)
			continue;
		if (g.block != NONE && !count_is_unknown(s, g.block))
			continue;
		salvage_sum_all(s);
		if (!find_claim(&c, &g) || !c.need || was_a_leaf(&c, &g))
			continue;
		c.window = window_of(s, g.block);
		r = salvage_data_begin(s, err);
		if (!r)
			r = fill_gap(&c, &g, err);
	}
	if (s->guessed && !salvage_data_settled(s))
		s->uncertain = true;
	return r;
}
