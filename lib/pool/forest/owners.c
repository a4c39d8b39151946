/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Nodes are taken parents first.  A node that is not shared gets the set of its parent.  For others each parent
 * writes the number of its set into a place of the child that is reserved for it; such a node is handled when all
 * its parents have done so.
 *
 * A sound tree leads to a node on one path only, so the sets of which a set consists hardly
 * overlap, and expanding a set takes time in proportion to its devices.
 */
#include "pool/forest/owners.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/search.h"
#include "base/vec.h"
#include "pool/forest/sets.h"

#define SPELT_A_NODE 256 /* devices in lists, more for each node */

struct owners {
	uint32_t *of; /* by metadata block */
	mblock_t nr_blocks;
	struct owners_root *root; /* ascending by block; device: the set of its devices */
	size_t nr_roots;
	struct sets sets;
};

/* --- nodes --- */

struct order {
	struct owners *o;
	struct walk *w;
	bool marked;
	uint8_t *seen;	/* by node: it is shared, and was seen */
	uint32_t *node; /* children before their parents; without leaves that are not shared */
	size_t nr, cap;
	uint64_t nr_nodes; /* with those leaves */
	uint32_t *place; /* by shared node: first the pointers to it, then where the next one's set goes */
	uint32_t *at;	 /* the sets of the parents, those of one node beside each other */
	uint64_t nr_pointers;
};

/* Child @i of @node whose owners are wanted, or WALK_NONE. */
static uint32_t child_of(const struct order *t, const uint32_t *child, uint32_t i)
{
	if (child[i] == WALK_NONE || (t->marked && !walk_has_marked(t->w, child[i])))
		return (uint32_t)WALK_NONE;
	return child[i];
}

/* The children of a node whose keys can be believed: NULL when there are none. */
static const uint32_t *children_of(const struct order *t, mblock_t node, uint32_t *room,
				   uint32_t *nr)
{
	const uint32_t *child = walk_children(t->w, node, room, nr);

	return child && walk_fault_of(t->w, node) == NODE_OK ? child : NULL;
}

/* Adds the nodes below @node that were not seen, and then itself.  As deep as the tree. */
static int collect(struct order *t, mblock_t node)
{
	uint32_t room[INTERNAL_MAX], nr = 0, *p;
	const uint32_t *child;

	if (t->seen[node])
		return 0;
	if (walk_shared(t->w, node))
		t->seen[node] = 1;
	t->nr_nodes++;
	child = children_of(t, node, room, &nr);
	for (uint32_t i = child ? nr : 0; i-- > 0;) {
		uint32_t c = child_of(t, child, i);

		if (c == WALK_NONE)
			continue;
		if (t->seen[c] || walk_shared(t->w, c)) {
			t->place[c]++;
			t->nr_pointers++;
		} else if (!walk_height(t->w, c)) {
			t->nr_nodes++;
			continue;
		}
		if (!t->seen[c] && collect(t, c))
			return -ENOMEM;
	}
	p = vec_add(t->node, t->nr, t->cap);
	if (!p)
		return -ENOMEM;
	*p = (uint32_t)node;
	return 0;
}

/* The set of @node, whose parents left theirs at [@begin, @end); 0: no memory. */
static uint32_t set_of(struct order *t, mblock_t node, size_t begin, size_t end)
{
	struct owners *o = t->o;
	size_t nr = end - begin;
	uint32_t *to;

	to = sets_room(&o->sets, nr + 1);
	if (!to)
		return 0;
	if (nr)
		memcpy(to, t->at + begin, nr * sizeof(*to));
	if (o->of[node]) /* its own devices' */
		to[nr++] = o->of[node];
	return sets_get(&o->sets, nr);
}

/* Gives each node its set, parents first. */
static int spread(struct order *t)
{
	size_t place = 0;

	for (size_t k = t->nr; k-- > 0;) {
		mblock_t node = t->node[k];
		uint32_t nr;

		if (!t->seen[node])
			continue;
		nr = t->place[node];
		t->place[node] = (uint32_t)place;
		place += nr;
	}
	place = 0;
	for (size_t k = t->nr; k-- > 0;) {
		mblock_t node = t->node[k];
		uint32_t room[INTERNAL_MAX], nr = 0;
		const uint32_t *child;

		if (t->seen[node]) {
			size_t end = t->place[node];

			t->o->of[node] = set_of(t, node, place, end);
			if (!t->o->of[node])
				return -ENOMEM;
			place = end;
		}
		child = children_of(t, node, room, &nr);
		for (uint32_t i = 0; child && i < nr; i++) {
			uint32_t c = child_of(t, child, i);

			if (c == WALK_NONE)
				continue;
			if (t->seen[c])
				t->at[t->place[c]++] = t->o->of[node];
			else
				t->o->of[c] = t->o->of[node];
		}
	}
	return 0;
}

static int fill(struct owners *o, struct walk *w, bool marked)
{
	struct order t = { .o = o, .w = w, .marked = marked };
	int r = 0;

	t.seen = calloc(o->nr_blocks + 1, 1);
	t.place = calloc(o->nr_blocks + 1, sizeof(*t.place));
	if (!t.seen || !t.place)
		r = -ENOMEM;
	for (size_t i = o->nr_roots; !r && i-- > 0;) {
		mblock_t root = o->root[i].block;

		if (root >= o->nr_blocks)
			continue;
		o->of[root] = o->root[i].device;
		if (!marked || walk_has_marked(w, root))
			r = collect(&t, root);
	}
	o->sets.to_spell = OWNERS_SPELT + SPELT_A_NODE * t.nr_nodes;
	t.at = malloc((t.nr_pointers + 1) * sizeof(*t.at));
	if (!t.at)
		r = -ENOMEM;
	if (!r)
		r = spread(&t);
	free(t.seen);
	free(t.place);
	free(t.node);
	free(t.at);
	return r;
}

static int by_root(const void *va, const void *vb)
{
	const struct owners_root *a = va, *b = vb;

	if (a->block != b->block)
		return a->block < b->block ? -1 : 1;
	return a->device < b->device ? -1 : a->device > b->device;
}

/* The distinct roots, each with the set of its devices in place of a device. */
static int own_roots(struct owners *o, struct owners_root *root, size_t nr)
{
	size_t end;

	if (nr)
		qsort(root, nr, sizeof(*root), by_root);
	o->root = malloc((nr + 1) * sizeof(*o->root));
	if (!o->root)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i = end) {
		uint32_t *to, set;

		for (end = i; end < nr && root[end].block == root[i].block; end++)
			;
		to = sets_room(&o->sets, end - i);
		if (!to)
			return -ENOMEM;
		for (size_t k = i; k < end; k++)
			to[k - i] = root[k].device;
		set = sets_get(&o->sets, end - i);
		if (!set)
			return -ENOMEM;
		o->root[o->nr_roots++] = (struct owners_root) { root[i].block, set };
	}
	return 0;
}

struct owners *owners_new(struct walk *w, struct owners_root *roots, size_t nr, uint32_t nr_devices,
			  mblock_t nr_blocks, bool marked, struct err *err)
{
	struct owners *o = calloc(1, sizeof(*o));
	int r = -ENOMEM;

	if (o) {
		o->nr_blocks = nr_blocks;
		o->of = calloc(nr_blocks + 1, sizeof(*o->of));
		r = o->of ? sets_init(&o->sets, nr_devices) : -ENOMEM;
	}
	if (!r)
		r = own_roots(o, roots, nr);
	if (!r)
		r = fill(o, w, marked);
	if (r) {
		owners_free(o);
		err_nomem(err, "owners of nodes");
		return NULL;
	}
	return o;
}

void owners_free(struct owners *o)
{
	if (!o)
		return;
	free(o->of);
	free(o->root);
	sets_fini(&o->sets);
	free(o);
}

uint32_t owners_of_root(const struct owners *o, mblock_t root)
{
	size_t at = search_first(i, o->nr_roots, o->root[i].block >= root);

	return at < o->nr_roots && o->root[at].block == root ? o->root[at].device : 0;
}

uint32_t owners_of(const struct owners *o, mblock_t node)
{
	return node < o->nr_blocks ? o->of[node] : owners_of_root(o, node);
}

uint32_t owners_nr_sets(const struct owners *o)
{
	return (uint32_t)o->sets.nr_sets;
}

uint64_t owners_count(const struct owners *o, uint32_t set)
{
	return o->sets.set[set].count;
}

int owners_devices(const struct owners *o, uint32_t set, struct owners_list *list)
{
	return sets_devices(&o->sets, set, list);
}

void owners_list_fini(struct owners_list *list)
{
	free(list->own);
	*list = (struct owners_list) { 0 };
}
