/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Extents are counted bottom-up: a node has those of its children, less one wherever the
 * first extent of a child goes on with the last one of the child before it.
 */
#include "pool/query/extents.h"

#include <stdlib.h>

#include "pool/format/format.h"

struct edge {
	vblock_t key;
	dblock_t block;
};

struct leaf {
	struct edge first, last;
	uint64_t nr; /* extents; 0: no mappings, or the node was not read */
};

struct sum {
	uint64_t nr;
	mblock_t first, last; /* leaves that are not empty; with @nr only */
	bool known;
};

struct extents {
	mblock_t nr_blocks;
	struct leaf *leaf; /* both by metadata block */
	struct sum *sum;
};

struct extents *extents_new(mblock_t nr_blocks)
{
	struct extents *x = calloc(1, sizeof(*x));

	if (!x)
		return NULL;
	x->nr_blocks = nr_blocks;
	x->leaf = calloc(nr_blocks + 1, sizeof(*x->leaf));
	x->sum = calloc(nr_blocks + 1, sizeof(*x->sum));
	if (x->leaf && x->sum)
		return x;
	extents_free(x);
	return NULL;
}

void extents_free(struct extents *x)
{
	if (!x)
		return;
	free(x->leaf);
	free(x->sum);
	free(x);
}

static bool goes_on(const struct edge *a, const struct edge *b)
{
	return a->key + 1 == b->key && a->block + 1 == b->block;
}

void extents_take(struct extents *x, mblock_t block, const struct node *n)
{
	struct leaf *l = &x->leaf[block];

	if (block >= x->nr_blocks)
		return;
	for (uint32_t i = 0; i < n->nr; i++) {
		const struct edge e = { node_key(n, i), mapping_block(node_value64(n, i)) };

		if (!i)
			l->first = e;
		if (!i || !goes_on(&l->last, &e))
			l->nr++;
		l->last = e;
	}
}

static void sum_up(struct extents *x, const struct walk *w, mblock_t node)
{
	struct sum *s = &x->sum[node];
	const uint32_t *child;
	uint32_t room[INTERNAL_MAX], nr;

	if (s->known)
		return;
	s->known = true;
	child = walk_children(w, node, room, &nr);
	if (!child) {
		*s = (struct sum){ x->leaf[node].nr, node, node, true };
		return;
	}
	for (uint32_t i = 0; i < nr; i++) {
		const struct sum *c;

		if (child[i] >= x->nr_blocks)
			continue;
		sum_up(x, w, child[i]);
		c = &x->sum[child[i]];
		if (!c->nr)
			continue;
		if (!s->nr)
			s->first = c->first;
		else if (goes_on(&x->leaf[s->last].last, &x->leaf[c->first].first))
			s->nr--;
		s->nr += c->nr;
		s->last = c->last;
	}
}

uint64_t extents_count(struct extents *x, const struct walk *w, mblock_t root)
{
	if (root >= x->nr_blocks)
		return 0;
	sum_up(x, w, root);
	return x->sum[root].nr;
}
