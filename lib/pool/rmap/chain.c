/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * A run at the end of a leaf may go on in the next leaf, and which leaf is next depends on the
 * device.  But neighbours below one inner node are neighbours for all owners of that node.
 * So each inner node joins the runs at the edges of its children and keeps for those above it
 * the first and the last run of all its leaves.  Each node is looked at once, however many devices
 * have it.  Runs outside of all regions do not matter.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/bits.h"
#include "base/cleanup.h"
#include "base/search.h"
#include "base/umap.h"
#include "base/vec.h"
#include "pool/rmap/impl.h"

/* The edges of all leaves below a node. */
struct span {
	struct rmap_edge first, last; /* only the first when @single */
	bool single;
};

struct chain {
	struct rmap *m;
	uint64_t *seen;	   /* a bit a metadata block: an internal node that was visited */
	struct span *span; /* of internal nodes, if sound */
	size_t nr, cap;
	struct umap place; /* of an internal node in span[], + 1 */
	rmap_record_fn *fn;
	void *ctx;
};

/* The edges of a node while its children are gone through. */
struct joint {
	struct span span;
	struct rmap_edge cur;
	bool any, more; /* is there a cur; does something stand before it */
	uint32_t set;
};

static int tell(struct chain *c, const struct rmap_edge *e, uint32_t set)
{
	const struct rmap_record rec = { e->d, e->v, e->len, set };

	return e->len && set ? rmap_clip(c->m, &rec, c->fn, c->ctx) : 0;
}

static int add_edge(struct chain *c, struct joint *j, const struct rmap_edge *e)
{
	struct rmap_edge *cur = &j->cur;
	int r = 0;

	/* what two leaves have in common may have been kept as one edge of both */
	if (e->len && cur->len && e->v >= cur->v && e->v - cur->v <= cur->len &&
	    e->v - cur->v == e->d - cur->d) {
		cur->len = MAX(cur->len, (uint32_t)(e->v - cur->v) + e->len);
		return 0;
	}
	if (j->more)
		r = tell(c, cur, j->set);
	else if (j->any)
		j->span.first = *cur;
	j->more = j->any;
	j->any = true;
	*cur = *e;
	return r;
}

static struct rmap_edge kept_edge(const struct rmap_kept_edge *e)
{
	return (struct rmap_edge) { e->v, e->d, e->len };
}

/* The edges of a node that was visited: none where it is damaged. */
static struct span span_of(const struct chain *c, mblock_t node)
{
	const uint64_t place = walk_height(c->m->f->walk, node) ? umap_get(&c->place, node) : 0;
	const struct rmap_kept_edge *e;
	struct span s = { 0 };
	uint32_t note;

	if (place)
		return c->span[place - 1];
	if (!walk_get_note(c->m->f->walk, node, &note))
		return s;
	e = c->m->store[note >> RMAP_NOTE_WORKER].edge +
	    (note & ((1u << RMAP_NOTE_WORKER) - 1)) / (1u << RMAP_NOTE_AT);
	s.first = kept_edge(e);
	s.single = !(note & RMAP_NOTE_TWO);
	if (!s.single)
		s.last = kept_edge(e + 1);
	return s;
}

static int keep_span(struct chain *c, mblock_t node, const struct joint *j)
{
	struct span *s = vec_add(c->span, c->nr, c->cap);

	if (!s)
		return -ENOMEM;
	*s = j->span;
	s->single = !j->more;
	*(j->more ? &s->last : &s->first) = j->cur;
	return umap_put(&c->place, node, c->nr);
}

/* Finds the edges of @node; the runs that lie inside of it are told.  As deep as the tree. */
static int visit(struct chain *c, mblock_t node)
{
	struct walk *w = c->m->f->walk;
	struct joint j = { .set = owners_of(c->m->owners, node) };
	const uint32_t *child;
	uint32_t room[INTERNAL_MAX], nr;
	int r = 0;

	if (!walk_height(w, node) || bits_get(c->seen, node))
		return 0;
	bits_set_word(c->seen, node, 1);
	child = walk_children(w, node, room, &nr);
	if (!child || walk_fault_of(w, node) != NODE_OK)
		return 0; /* damage, which is reported elsewhere */
	for (uint32_t i = 0; i < nr && !r; i++) {
		struct span s;

		if (child[i] == WALK_NONE)
			continue;
		r = visit(c, child[i]);
		if (r)
			break;
		s = span_of(c, child[i]);
		r = add_edge(c, &j, &s.first);
		if (!r && !s.single)
			r = add_edge(c, &j, &s.last);
	}
	return r ? r : keep_span(c, node, &j);
}

int rmap_chains(struct rmap *m, rmap_record_fn *fn, void *ctx)
{
	CLEANUP(free_ptr) uint64_t *seen = calloc(m->f->nr_blocks / 64 + 1, sizeof(*seen));
	CLEANUP(free_ptr) uint64_t *told = calloc(m->f->nr_blocks / 64 + 1, sizeof(*told));
	struct chain c = { .m = m, .seen = seen, .fn = fn, .ctx = ctx };
	int r = seen && told ? 0 : -ENOMEM;

	for (size_t i = 0; !r && i < m->f->nr_devs; i++) {
		mblock_t root = m->f->dev[i]->root;
		uint32_t set;
		struct span s;

		if (root >= m->f->nr_blocks || bits_get(told, root))
			continue;
		bits_set_word(told, root, 1);
		r = visit(&c, root);
		if (r)
			break;
		set = owners_of_root(m->owners, root);
		s = span_of(&c, root);
		r = tell(&c, &s.first, set);
		if (!r && !s.single)
			r = tell(&c, &s.last, set);
	}
	free(c.span);
	umap_fini(&c.place);
	return r;
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
