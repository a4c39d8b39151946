/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Questions about a walked forest, answered from memory.
 *
 * Heights strictly decrease from parent to child, so recursion is at most BTREE_MAX_DEPTH
 * deep whatever the trees hold.  It does not enter a node that has keys its parents do not
 * allow: a node with two places in one tree is always such a node, as the places differ in their
 * keys, so no traversal of one tree takes more steps than the tree has nodes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/order.h"
#include "base/search.h"
#include "pdata/tree/record.h"

void walk_forget(struct walk *w)
{
	if (w->tainted)
		for (uint64_t b = w->min; b <= w->max; b++)
			w->height[b] &= HEIGHT_MASK;
	w->sorted = w->summed = w->tainted = false;
}

static int by_block(const void *a, const void *b)
{
	const struct walk_fault *x = a, *y = b;

	if (x->block != y->block)
		return x->block < y->block ? -1 : 1;
	if (x->parent != y->parent)
		return x->parent < y->parent ? -1 : 1;
	return x->begin < y->begin ? -1 : x->begin > y->begin;
}

/* Joins the workers' faults.  Only now is it known which keys a lost node should have had. */
static void sort_faults(struct walk *w)
{
	size_t nr = 0;

	for (unsigned i = 0; i < w->nr_workers; i++)
		nr += w->worker[i].nr_faults;
	free(w->fault);
	w->nr_faults = 0;
	w->fault = nr ? malloc(nr * sizeof(*w->fault)) : NULL;
	for (unsigned i = 0; w->fault && i < w->nr_workers; i++) {
		for (size_t k = 0; k < w->worker[i].nr_faults; k++) {
			struct walk_fault f = w->worker[i].fault[k];

			if (f.parent == WALK_NONE && f.block < w->s.nr_blocks &&
			    (w->flag[f.block] & WALK_LOST))
				keys_get(w, f.block, &f.begin, &f.last);
			w->fault[w->nr_faults++] = f;
		}
	}
	if (w->fault)
		qsort(w->fault, nr, sizeof(*w->fault), by_block);
	w->sorted = true;
}

const struct walk_fault *walk_faults(struct walk *w, size_t *nr)
{
	if (!w->sorted)
		sort_faults(w);
	*nr = w->nr_faults;
	return w->fault;
}

enum node_fault walk_fault_of(struct walk *w, mblock_t block)
{
	size_t at, nr;
	const struct walk_fault *f;

	if (block >= w->s.nr_blocks)
		return NODE_OUTSIDE;
	if (!(w->flag[block] & (WALK_LOST | WALK_RANGED)))
		return NODE_OK;
	f = walk_faults(w, &nr);
	for (at = search_first(i, nr, f[i].block >= block); at < nr && f[at].block == block; at++)
		if (f[at].parent == WALK_NONE)
			return f[at].fault;
	return NODE_UNREADABLE; /* happens only when memory for the list ran out */
}

int walk_height(const struct walk *w, mblock_t block)
{
	int h = block < w->s.nr_blocks ? w->height[block] & HEIGHT_MASK : 0;

	return h == HEIGHT_UNKNOWN ? -1 : h - 1;
}

bool walk_shared(const struct walk *w, mblock_t block)
{
	return block < w->s.nr_blocks && (w->flag[block] & (WALK_MULTI | WALK_INHERIT));
}

uint32_t walk_attr(const struct walk *w, mblock_t block)
{
	return ~w->nattr[block];
}

static inline bool has_note(const struct walk *w, mblock_t b)
{
	return w->noted && __atomic_load_n(&w->noted[b / 8], __ATOMIC_RELAXED) >> b % 8 & 1;
}

void walk_range(const struct walk *w, mblock_t block, uint64_t *first, uint64_t *last)
{
	*first = 0;
	*last = UINT64_MAX;
	if (block < w->s.nr_blocks)
		keys_get(w, block, first, last);
	if (block < w->s.nr_blocks && has_note(w, block))
		*last = UINT64_MAX;
}

int walk_begin_notes(struct walk *w)
{
	w->noted = calloc((size_t)w->s.nr_blocks / 8 + 1, 1);
	return w->noted ? 0 : -ENOMEM;
}

void walk_put_note(struct walk *w, mblock_t leaf, uint32_t note)
{
	__atomic_fetch_or(&w->noted[leaf / 8], (uint8_t)(1u << leaf % 8), __ATOMIC_RELAXED);
	w->key[leaf].nlast = note;
}

bool walk_get_note(const struct walk *w, mblock_t block, uint32_t *note)
{
	if (block >= w->s.nr_blocks || !has_note(w, block))
		return false;
	*note = w->key[block].nlast;
	return true;
}

/* The children that the record @in stands for, there or in @room. */
static const uint32_t *children_of(const struct walk *w, const uint32_t *in, uint32_t *room)
{
	const uint32_t *other = in + INNER_CHILDREN;

	if (!in[INNER_LIKE])
		return other;
	memcpy(room, walk_record(w, in[INNER_LIKE]) + INNER_CHILDREN, in[INNER_NR] * sizeof(*room));
	for (uint32_t i = 0; i < in[INNER_PICK]; i++, other += 2)
		room[other[0]] = other[1];
	return room;
}

const uint32_t *walk_children(const struct walk *w, mblock_t block, uint32_t room[INTERNAL_MAX],
			      uint32_t *nr)
{
	const uint32_t *in = block < w->s.nr_blocks ? walk_inner(w, block) : NULL;

	if (!in || (w->flag[block] & WALK_LOST))
		return NULL;
	*nr = in[INNER_NR];
	return children_of(w, in, room);
}

int walk_each(struct walk *w, mblock_t block, walk_part_fn *fn, void *ctx)
{
	struct walk_part part = { .block = block };
	uint32_t room[INTERNAL_MAX], nr = 0;
	const uint32_t *child;
	int r = 0;

	if (block < w->s.nr_blocks)
		part.shared = walk_shared(w, block);
	else
		part.block = WALK_NONE;
	part.fault = walk_fault_of(w, block);
	child = walk_children(w, block, room, &nr);
	if (!child || part.fault) {
		r = fn(ctx, &part);
		return r < 0 ? r : 0;
	}
	for (uint32_t i = 0; i < nr && r >= 0; i++)
		r = walk_each(w, child[i], fn, ctx);
	return r < 0 ? r : 0;
}

static inline uint64_t next_leaf(const struct walk *w, uint64_t from)
{
	return walk_next(w, from, w->max, 1, WALK_LOST);
}

int walk_leaves(struct walk *w, mblock_t **list, size_t *nr, struct err *err)
{
	/* a place that is not filled is not touched either */
	mblock_t *to = malloc(((size_t)w->s.nr_blocks + 1) * sizeof(*to));

	*list = to;
	if (!to)
		return err_nomem(err, "list of leaves");
	for (uint64_t b = w->min; (b = next_leaf(w, b)) <= w->max; b++)
		*to++ = b;
	*nr = (size_t)(to - *list);
	return 0;
}

size_t walk_leaves_from(const struct walk *w, mblock_t *from, mblock_t *list, size_t nr)
{
	uint64_t b = MAX(*from, (mblock_t)w->min);
	size_t k = 0;

	for (; k < nr && (b = next_leaf(w, b)) <= w->max; b++)
		list[k++] = b;
	*from = b;
	return k;
}

int walk_underfull(struct walk *w, mblock_t **list, size_t *nr, struct err *err)
{
	size_t n = 0, k = 0;

	for (unsigned i = 0; i < w->nr_workers; i++)
		n += w->worker[i].nr_underfull;
	*list = malloc((n + 1) * sizeof(**list));
	if (!*list)
		return err_nomem(err, "list of nodes");
	for (unsigned i = 0; i < w->nr_workers; i++)
		for (size_t j = 0; j < w->worker[i].nr_underfull; j++)
			(*list)[k++] = w->worker[i].underfull[j];
	if (n)
		qsort(*list, n, sizeof(**list), order_u64);
	*nr = n;
	return 0;
}

static uint64_t inner_sum(const uint32_t *in)
{
	return in[INNER_SUM_LOW] | (uint64_t)in[INNER_SUM_HIGH] << 32;
}

static uint64_t sum_of(const struct walk *w, uint32_t b, const uint16_t *leaf_count)
{
	const uint32_t *in;

	if (b == EDGE_NONE || (w->flag[b] & WALK_LOST))
		return 0;
	if ((w->height[b] & HEIGHT_MASK) == 1)
		return leaf_count[b];
	in = walk_inner(w, b);
	return in ? inner_sum(in) : 0;
}

/*
 * The sum over the children of @in, a node of height @h - 1: that of the record that it is like, but for what
 * differs.  Above leaves, a lost one counts 0.
 */
static uint64_t sum_children(const struct walk *w, const uint32_t *in, uint8_t h,
			     const uint16_t *leaf_count)
{
	const uint32_t *like = in[INNER_LIKE] ? walk_record(w, in[INNER_LIKE]) : NULL;
	const uint32_t *child = in + INNER_CHILDREN;
	uint64_t sum = like ? inner_sum(like) : 0;

	for (uint32_t i = 0; like && i < in[INNER_PICK]; i++, child += 2)
		sum += sum_of(w, child[1], leaf_count) -
		       sum_of(w, like[INNER_CHILDREN + child[0]], leaf_count);
	for (uint32_t i = 0; !like && i < in[INNER_NR]; i++) {
		if (h > 2)
			sum += sum_of(w, child[i], leaf_count);
		else if (child[i] != EDGE_NONE)
			sum += leaf_count[child[i]];
	}
	return sum;
}

/* Adds up the nodes of height @h - 1 that are like others, or those that are not.  Are there the others, too? */
static bool sum_height(struct walk *w, uint8_t h, bool like, const uint16_t *leaf_count)
{
	bool others = false;
	uint64_t b, sum;

	for (b = w->min; (b = walk_next(w, b, w->max, h, WALK_LOST)) <= w->max; b++) {
		uint32_t *in = walk_inner(w, b);

		if (!in || !in[INNER_LIKE] == like) {
			others |= in != NULL;
			continue;
		}
		sum = sum_children(w, in, h, leaf_count);
		in[INNER_SUM_LOW] = (uint32_t)sum;
		in[INNER_SUM_HIGH] = (uint32_t)(sum >> 32);
	}
	return others;
}

static void sum_up(struct walk *w, const uint16_t *leaf_count)
{
	for (uint8_t h = 2; h <= w->top; h++)
		if (sum_height(w, h, false, leaf_count))
			sum_height(w, h, true, leaf_count);
	w->summed = true;
}

uint64_t walk_sum(struct walk *w, mblock_t block, const uint16_t *leaf_count)
{
	if (!w->summed)
		sum_up(w, leaf_count);
	return block < w->s.nr_blocks ? sum_of(w, (uint32_t)block, leaf_count) : 0;
}

void walk_mark(struct walk *w, mblock_t block)
{
	if (w->tainted)
		walk_forget(w);
	w->flag[block] |= WALK_MARK;
}

/* Has the internal node a bad pointer, or a child that is tainted? */
static void taint_inner(struct walk *w, uint64_t b)
{
	uint32_t room[INTERNAL_MAX];
	const uint32_t *in = walk_inner(w, b), *child = in ? children_of(w, in, room) : NULL;

	for (uint32_t i = 0; in && i < in[INNER_NR]; i++) {
		uint32_t c = child[i];

		if (c == EDGE_NONE || (w->flag[c] & WALK_BAD) || (w->height[c] & HEIGHT_TAINT)) {
			w->height[b] |= HEIGHT_TAINT;
			return;
		}
	}
}

static void taint(struct walk *w)
{
	uint64_t b;

	for (uint8_t h = 2; h <= w->top; h++)
		for (b = w->min; (b = walk_next(w, b, w->max, h, WALK_LOST)) <= w->max; b++)
			taint_inner(w, b);
	w->tainted = true;
}

bool walk_has_marked(struct walk *w, mblock_t block)
{
	if (!w->tainted)
		taint(w);
	return (w->flag[block] & WALK_BAD) || (w->height[block] & HEIGHT_TAINT);
}
