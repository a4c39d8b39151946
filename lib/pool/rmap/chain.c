/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * A run at the end of a leaf may go on in the next leaf, and which leaf is next depends on the
 * device.  So the edges of leaves are followed for each device by itself, in key order, but only
 * where an edge lies in a region: parts of a longer run outside of all regions do not matter.
 */
#include <stdlib.h>

#include "base/search.h"
#include "pool/rmap/impl.h"

struct chain {
	struct rmap *m;
	struct rmap_record cur; /* len 0: none */
	rmap_record_fn *fn;
	void *ctx;
};

static int end_chain(struct chain *c)
{
	int r = c->cur.len ? rmap_clip(c->m, &c->cur, c->fn, c->ctx) : 0;

	c->cur.len = 0;
	return r;
}

static int add_edge(struct chain *c, const struct rmap_edge *e)
{
	struct rmap_record *cur = &c->cur;
	int r;

	if (e->len && cur->len && cur->v + cur->len == e->v && cur->d + cur->len == e->d) {
		cur->len += e->len;
		return 0;
	}
	r = end_chain(c);
	cur->v = e->v;
	cur->d = e->d;
	cur->len = e->len;
	return r;
}

static int visit_leaf(void *ctx, mblock_t block)
{
	struct chain *c = ctx;
	const struct rmap_edges *e = &c->m->edges[block];
	int r;

	if (walk_height(c->m->f->walk, block) != 0)
		return 0; /* damage, told elsewhere */
	r = add_edge(c, &e->first);
	if (!e->single && !r)
		r = add_edge(c, &e->last);
	return r;
}

int rmap_chains(struct rmap *m, rmap_record_fn *fn, void *ctx)
{
	int r = 0;

	for (size_t i = 0; !r && i < m->f->nr_devs; i++) {
		struct chain c = { .m = m, .fn = fn, .ctx = ctx, .cur.set = (uint32_t)i + 1 };

		r = walk_marked(m->f->walk, m->f->dev[i]->root, visit_leaf, &c);
		if (!r)
			r = end_chain(&c);
	}
	return r;
}

void rmap_mark_edges(struct rmap *m, const mblock_t *leaf, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (m->edges[leaf[i]].first.len || m->edges[leaf[i]].last.len)
			walk_mark(m->f->walk, leaf[i]);
}

/* The first region that ends after @d. */
static size_t region_after(const struct runs *regions, dblock_t d)
{
	return search_first(i, regions->nr, regions->run[i].end > d);
}

bool rmap_wanted(const struct rmap *m, dblock_t d, uint64_t len)
{
	size_t i = region_after(m->regions, d);

	return i < m->regions->nr && m->regions->run[i].begin < d + len;
}

int rmap_clip(struct rmap *m, const struct rmap_record *rec, rmap_record_fn *fn, void *ctx)
{
	dblock_t end = rec->d + rec->len;
	int r = 0;

	for (size_t i = region_after(m->regions, rec->d);
	     !r && i < m->regions->nr && m->regions->run[i].begin < end; i++) {
		dblock_t from = MAX(rec->d, m->regions->run[i].begin);
		dblock_t to = MIN(end, m->regions->run[i].end);
		struct rmap_record part = { from, rec->v + (from - rec->d), (uint32_t)(to - from),
					    rec->set };

		r = fn(m, ctx, &part);
	}
	return r;
}
