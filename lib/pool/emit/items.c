/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* The order of things: defs and devices from the internal nodes in memory. */
#include <stdlib.h>

#include "base/order.h"
#include "base/vec.h"
#include "pool/emit/impl.h"

static struct emit_item *add(struct emit_items *it, enum emit_kind kind, size_t dev)
{
	struct emit_item *item = vec_add(it->item, it->nr, it->cap);

	if (item)
		*item = (struct emit_item){ .kind = kind, .dev = dev };
	return item;
}

static int add_node(struct emit_items *it, enum emit_kind kind, size_t dev, mblock_t node)
{
	struct emit_item *item = add(it, kind, dev);

	if (!item)
		return -1;
	item->node = node;
	return 0;
}

static int add_leaf(struct emit_items *it, size_t dev, mblock_t leaf)
{
	it->nr_leaves++;
	return add_node(it, EMIT_LEAF, dev, leaf);
}

static int next_of_defs(struct emitter *e, struct emit_items *it)
{
	struct emit_place *p = &e->place;
	int r;

	if (!p->leaf) {
		p->def = sharing_next_def(e->sharing, p->def);
		if (!p->def) {
			p->over = true;
			return 0;
		}
		p->leaf = p->def;
		if (add_node(it, EMIT_BEGIN_DEF, 0, p->def))
			return -1;
	}
	r = add_leaf(it, 0, p->leaf);
	p->leaf = sharing_next(e->sharing, p->leaf);
	if (!r && !p->leaf)
		r = add_node(it, EMIT_END_DEF, 0, p->def);
	return r;
}

static int take_leaf(struct emitter *e, struct emit_items *it, mblock_t leaf)
{
	enum share sh = e->sharing ? sharing_of(e->sharing, leaf) : SHARE_NONE;

	if (sh == SHARE_NONE)
		return add_leaf(it, e->place.dev, leaf);
	if (sh == SHARE_FIRST && !sharing_empty(e->sharing, leaf))
		return add_node(it, EMIT_REF, e->place.dev, leaf);
	return 0;
}

/* Parts that cannot be read are reported at the end, with all devices that lack them. */
static int skip(struct emitter *e)
{
	e->skipped = true;
	return 0;
}

/* Goes to a node: adds a leaf to the items, enters an internal node. */
static int enter(struct emitter *e, struct emit_items *it, mblock_t node)
{
	struct emit_place *p = &e->place;
	const struct tree_nodes *n = &e->src->nodes;
	struct emit_frame *f;
	int height;

	if (!node || !n->sound(n->ctx, node) || p->depth == EMIT_DEPTH)
		return skip(e);
	height = n->height(n->ctx, node);
	if (height < 0)
		return skip(e);
	if (height == 0)
		return take_leaf(e, it, node);
	if (e->sharing && sharing_quiet(e->sharing, node))
		return 0;
	f = &p->frame[p->depth++];
	f->node = node;
	f->nr = f->i = 0;
	f->child = n->children(n->ctx, node, f->room, &f->nr);
	return f->child ? 0 : skip(e);
}

static int next_of_device(struct emitter *e, struct emit_items *it)
{
	struct emit_place *p = &e->place;
	const struct tree_nodes *n = &e->src->nodes;
	struct emit_frame *f;
	mblock_t c;

	if (p->dev == e->src->nr_devs) {
		p->over = true;
		return 0;
	}
	if (!p->in_device) {
		p->in_device = true;
		if (!add(it, EMIT_BEGIN_DEVICE, p->dev))
			return -1;
		return e->opt->skip_mappings ? 0 : enter(e, it, e->src->root(e->src->ctx, p->dev));
	}
	if (!p->depth) {
		p->in_device = false;
		return add(it, EMIT_END_DEVICE, p->dev++) ? 0 : -1;
	}
	f = &p->frame[p->depth - 1];
	if (f->i == f->nr) {
		p->depth--;
		return 0;
	}
	c = n->child(n->ctx, f->node, f->child, f->i++);
	return c ? enter(e, it, c) : skip(e);
}

/* Sorts the list of leaves, takes out what is in it twice, and finds the place of each item's leaf. */
static void sort_list(struct emit_items *it)
{
	mblock_t *list = it->list;
	const size_t n = it->nr_list;

	qsort(list, n, sizeof(*list), order_u64);
	it->nr_list = 0;
	for (size_t i = 0; i < n; i++)
		if (!i || list[i] != list[i - 1])
			list[it->nr_list++] = list[i];
	for (size_t i = 0; i < it->nr; i++) {
		const mblock_t *at;

		if (it->item[i].kind != EMIT_LEAF)
			continue;
		at = bsearch(&it->item[i].node, list, it->nr_list, sizeof(*list), order_u64);
		it->item[i].slot = (uint32_t)(at - list);
	}
}

/* The leaves of the items, ascending, as they mostly are already. */
static int make_list(struct emit_items *it)
{
	bool ascending = true;
	size_t n = 0;

	if (vec_reserve(it->list, it->cap_list, it->nr_leaves + 1))
		return -1;
	for (size_t i = 0; i < it->nr; i++) {
		if (it->item[i].kind != EMIT_LEAF)
			continue;
		ascending &= !n || it->list[n - 1] < it->item[i].node;
		it->item[i].slot = (uint32_t)n;
		it->list[n++] = it->item[i].node;
	}
	it->nr_list = n;
	if (!ascending)
		sort_list(it);
	return 0;
}

int emit_items_fill(struct emitter *e, struct emit_items *it, struct err *err)
{
	const struct emit_place *p = &e->place;
	int r = 0;

	it->nr = it->nr_leaves = it->nr_list = 0;
	while (!r && !p->over && it->nr_leaves < e->batch_leaves && it->nr < EMIT_BATCH_ITEMS)
		r = p->in_defs ? next_of_defs(e, it) : next_of_device(e, it);
	if (!r)
		r = make_list(it);
	return r ? err_nomem(err, "the order of leaves") : 0;
}

void emit_items_fini(struct emit_items *it)
{
	free(it->item);
	free(it->list);
	*it = (struct emit_items){ 0 };
}
