/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * A level of the tree is a queue of references: nodes whose parents have been read and who have not
 * been read themselves, in key order.  Reading some of a level's references appends their children
 * to the queue below; the leaves' queue is kept longer than the next batch by reading from the
 * queues above.  A node that cannot be read travels down in the queues as a reference with a fault,
 * so that damage is reported at its place in key order.
 *
 * How deep the leaves lie is learned from the first sound leaf; until then one reference at a
 * time is read and at most one queue is not empty.
 */
#include "pdata/tree/cursor.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/vec.h"

#define FIRST_WINDOW 4	/* leaves of the first batch */
#define HINT_WINDOW 64	/* from this size on the next batch is announced while this one is used */
#define HINT_GAP 16	/* blocks that an announcement may include needlessly */

struct ref {
	mblock_t block;
	uint64_t first, last; /* the keys that the parents allow, clipped to the range sought */
	enum node_fault fault;
};

struct queue {
	struct ref *ref;
	size_t pos, nr, cap;
};

struct slot_order {
	mblock_t block;
	uint32_t slot;
};

/* Nodes that have been read together. */
struct batch {
	size_t nr, pos, cap;
	struct ref *ref;
	struct node *node;
	uint8_t *data;
	struct slot_order *order;
	mblock_t *list;
};

struct btree_cursor {
	struct stream *s;
	mblock_t nr_blocks;
	uint32_t leaf_value_size;
	int leaf_level; /* -1: not known yet */
	size_t window;
	bool has_damage;
	struct btree_damage damage;
	struct batch leaves, inner;
	struct queue level[BTREE_MAX_DEPTH];
};

int node_fault_errno(enum node_fault f)
{
	switch (f) {
	case NODE_OK:
		return 0;
	case NODE_UNREADABLE:
		return -EIO;
	case NODE_BAD_CSUM:
		return -EBADMSG;
	default:
		return -EUCLEAN;
	}
}

static void batch_fini(struct batch *b)
{
	free(b->ref);
	free(b->node);
	free(b->data);
	free(b->order);
	free(b->list);
	*b = (struct batch){ 0 };
}

/* Room for @nr nodes; what was there is lost. */
static int batch_reserve(struct batch *b, size_t nr)
{
	if (nr <= b->cap)
		return 0;
	batch_fini(b);
	b->ref = calloc(nr, sizeof(*b->ref));
	b->node = calloc(nr, sizeof(*b->node));
	b->data = io_alloc(nr * MBLOCK_SIZE);
	b->order = calloc(nr, sizeof(*b->order));
	b->list = calloc(nr, sizeof(*b->list));
	if (!b->ref || !b->node || !b->data || !b->order || !b->list) {
		batch_fini(b);
		return -ENOMEM;
	}
	b->cap = nr;
	return 0;
}

static size_t pending(const struct queue *q)
{
	return q->nr - q->pos;
}

static int queue_reserve(struct queue *q, size_t more)
{
	if (q->pos) {
		memmove(q->ref, q->ref + q->pos, pending(q) * sizeof(*q->ref));
		q->nr -= q->pos;
		q->pos = 0;
	}
	return vec_reserve(q->ref, q->cap, q->nr + more);
}

struct btree_cursor *btree_cursor_new(struct stream *s, mblock_t root, uint32_t leaf_value_size)
{
	struct btree_cursor *c = calloc(1, sizeof(*c));
	struct queue *q;

	if (!c)
		return NULL;
	c->s = s;
	c->nr_blocks = MIN(s->io->size / MBLOCK_SIZE, MAX_METADATA_BLOCKS);
	c->leaf_value_size = leaf_value_size;
	c->leaf_level = -1;
	c->window = FIRST_WINDOW;
	q = &c->level[0];
	if (queue_reserve(q, 1)) {
		btree_cursor_free(c);
		return NULL;
	}
	q->ref[q->nr++] = (struct ref) { .block = root, .first = 0, .last = UINT64_MAX };
	return c;
}

void btree_cursor_free(struct btree_cursor *c)
{
	if (!c)
		return;
	for (int l = 0; l < BTREE_MAX_DEPTH; l++)
		free(c->level[l].ref);
	batch_fini(&c->leaves);
	batch_fini(&c->inner);
	free(c);
}

static int by_block(const void *va, const void *vb)
{
	const struct slot_order *a = va, *b = vb;

	if (a->block != b->block)
		return a->block < b->block ? -1 : 1;
	return a->slot < b->slot ? -1 : a->slot > b->slot;
}

struct read_ctx {
	struct batch *b;
	uint32_t leaf_value_size;
};

static int take_node(void *ctx, unsigned worker, size_t i, mblock_t block, const void *data,
		     int status)
{
	struct read_ctx *rc = ctx;
	uint32_t slot = rc->b->order[i].slot;
	struct ref *r = &rc->b->ref[slot];
	struct node *n = &rc->b->node[slot];
	uint8_t *copy = rc->b->data + (size_t)slot * MBLOCK_SIZE;

	(void)worker;
	if (status < 0) {
		r->fault = node_read_fault(status);
		return 0;
	}
	memcpy(copy, data, MBLOCK_SIZE);
	r->fault = node_open(n, copy, block, rc->leaf_value_size);
	if (r->fault == NODE_OK)
		r->fault = node_check_range(n, r->first, r->last);
	return 0;
}

/* Reads the next @nr references of @q, at most as many as there are, into @b. */
static int batch_read(struct btree_cursor *c, struct batch *b, struct queue *q, size_t nr,
		      struct err *err)
{
	struct read_ctx rc = { .b = b, .leaf_value_size = c->leaf_value_size };
	size_t nr_read = 0, nr_sorted = 0;
	int r;

	nr = MIN(nr, pending(q));
	if (batch_reserve(b, nr))
		return err_nomem(err, "reading ahead in a btree");
	memcpy(b->ref, q->ref + q->pos, nr * sizeof(*b->ref));
	for (size_t i = 0; i < nr; i++) {
		if (b->ref[i].fault == NODE_OK && b->ref[i].block >= c->nr_blocks)
			b->ref[i].fault = NODE_OUTSIDE;
		if (b->ref[i].fault == NODE_OK)
			b->order[nr_sorted++] = (struct slot_order){ b->ref[i].block, (uint32_t)i };
	}
	qsort(b->order, nr_sorted, sizeof(*b->order), by_block);
	for (size_t i = 0; i < nr_sorted; i++) {
		if (nr_read && b->list[nr_read - 1] == b->order[i].block) {
			b->ref[b->order[i].slot].fault = NODE_LOOP;
			continue;
		}
		b->list[nr_read] = b->order[i].block;
		b->order[nr_read++] = b->order[i];
	}
	r = nr_read ? stream_read(c->s, b->list, nr_read, take_node, &rc, err) : 0;
	if (r < 0)
		return r;
	q->pos += nr;
	b->nr = nr;
	b->pos = 0;
	return 0;
}

/* Appends the children of an internal node, or a reference with a fault as it is, to @q. */
static void push_below(struct queue *q, const struct ref *r, const struct node *n)
{
	if (r->fault != NODE_OK) {
		q->ref[q->nr++] = *r;
		return;
	}
	for (uint32_t i = 0; i < n->nr; i++)
		q->ref[q->nr++] = (struct ref) {
			.block = node_value64(n, i),
			.first = node_key(n, i),
			.last = i + 1 < n->nr ? node_key(n, i + 1) - 1 : r->last,
		};
}

static bool all_faulty(const struct batch *b)
{
	for (size_t i = 0; i < b->nr; i++)
		if (b->ref[i].fault == NODE_OK)
			return false;
	return true;
}

/* Nodes of the wrong kind for level @l. */
static void judge_depth(struct batch *b, int l, int leaf_level)
{
	for (size_t i = 0; i < b->nr; i++) {
		if (b->ref[i].fault != NODE_OK)
			continue;
		if (b->node[i].leaf != (l == leaf_level) ||
		    (!b->node[i].leaf && l == BTREE_MAX_DEPTH - 1))
			b->ref[i].fault = NODE_BAD_DEPTH;
	}
}

/* Reads up to @nr nodes of level @l, above the leaves, and queues their children. */
static int expand(struct btree_cursor *c, int l, size_t nr, struct err *err)
{
	struct batch *b = &c->inner;
	int r = queue_reserve(&c->level[l + 1], MIN(nr, pending(&c->level[l])) * INTERNAL_MAX);

	if (r)
		return err_nomem(err, "reading ahead in a btree");
	r = batch_read(c, b, &c->level[l], nr, err);
	if (r)
		return r;
	judge_depth(b, l, c->leaf_level);
	for (size_t i = 0; i < b->nr; i++)
		push_below(&c->level[l + 1], &b->ref[i], &b->node[i]);
	return 0;
}

/* Tries to have @want references waiting at level @l. */
static int ensure(struct btree_cursor *c, int l, size_t want, struct err *err)
{
	while (l && pending(&c->level[l]) < want) {
		size_t lack = want - pending(&c->level[l]);
		size_t nr = MIN(lack / (INTERNAL_MAX / 2) + 1, (size_t)CURSOR_INNER);
		int r = ensure(c, l - 1, nr, err);

		if (r)
			return r;
		if (!pending(&c->level[l - 1]))
			return 0;
		r = expand(c, l - 1, nr, err);
		if (r)
			return r;
	}
	return 0;
}

/*
 * Goes down until the first sound leaf, which tells how deep the leaves lie.  Fills
 * c->leaves with it, or with damage met on the way; fills nothing at the end of the tree.
 */
static int find_depth(struct btree_cursor *c, struct err *err)
{
	int l = BTREE_MAX_DEPTH - 1;

	for (;;) {
		struct batch *b = &c->leaves;
		int r;

		for (l = BTREE_MAX_DEPTH - 1; l && !pending(&c->level[l]); l--)
			;
		if (!pending(&c->level[l]))
			return 0;
		r = batch_read(c, b, &c->level[l], 1, err);
		if (r || all_faulty(b))
			return r;
		if (b->node[0].leaf) {
			c->leaf_level = l;
			return 0;
		}
		if (l == BTREE_MAX_DEPTH - 1) {
			b->ref[0].fault = NODE_BAD_DEPTH;
			return 0;
		}
		if (queue_reserve(&c->level[l + 1], INTERNAL_MAX)) {
			c->level[l].pos--; /* again next time */
			b->nr = 0;
			return err_nomem(err, "reading ahead in a btree");
		}
		push_below(&c->level[l + 1], &b->ref[0], &b->node[0]);
		b->nr = 0;
	}
}

/* Announces the leaves of the next batch, while the caller works on this one. */
static void hint_next(struct btree_cursor *c)
{
	const struct queue *q = &c->level[c->leaf_level];
	struct slot_order *o = c->leaves.order;
	struct io *io = c->s->io;
	size_t nr = MIN(pending(q), MIN(c->window, c->leaves.cap)), from = 0;

	if (!io->ops->will_need || c->window < HINT_WINDOW)
		return;
	for (size_t i = 0; i < nr; i++)
		o[i] = (struct slot_order){ q->ref[q->pos + i].block, 0 };
	qsort(o, nr, sizeof(*o), by_block);
	while (nr && o[nr - 1].block >= c->nr_blocks)
		nr--;
	for (size_t i = 1; i <= nr; i++) {
		if (i < nr && o[i].block - o[i - 1].block <= HINT_GAP)
			continue;
		io->ops->will_need(io, o[from].block * MBLOCK_SIZE,
				   (o[i - 1].block + 1 - o[from].block) * MBLOCK_SIZE);
		from = i;
	}
}

/* Fills c->leaves; empty at the end of the tree. */
static int refill(struct btree_cursor *c, struct err *err)
{
	int r;

	c->leaves.nr = c->leaves.pos = 0;
	if (c->leaf_level < 0)
		return find_depth(c, err);
	/* Twice the window, so that the next batch can be announced. */
	r = ensure(c, c->leaf_level, c->window >= HINT_WINDOW ? 2 * c->window : c->window, err);
	if (r || !pending(&c->level[c->leaf_level]))
		return r;
	r = batch_read(c, &c->leaves, &c->level[c->leaf_level], c->window, err);
	if (r)
		return r;
	judge_depth(&c->leaves, c->leaf_level, c->leaf_level);
	hint_next(c);
	c->window = MIN(c->window * 2, (size_t)CURSOR_BATCH);
	return 0;
}

static int tell_damage(struct btree_cursor *c, const struct ref *r, struct err *err)
{
	struct btree_damage *d = &c->damage;
	char keys[64];

	*d = (struct btree_damage){
		.fault = r->fault,
		.block = r->block,
		.first = r->first,
		.last = r->last,
	};
	c->has_damage = true;
	if (d->last == UINT64_MAX && !d->first)
		snprintf(keys, sizeof(keys), "all keys");
	else if (d->last == UINT64_MAX)
		snprintf(keys, sizeof(keys), "keys from %" PRIu64 " on", d->first);
	else
		snprintf(keys, sizeof(keys), "keys %" PRIu64 "-%" PRIu64, d->first, d->last);
	return err_set(err, node_fault_errno(r->fault),
		       "node at block %" PRIu64 " %s: %s cannot be read", r->block,
		       node_fault_text(r->fault), keys);
}

/* False: the leaf is empty. */
static bool give(const struct ref *r, const struct node *n, struct btree_entries *out)
{
	if (!n->nr)
		return false;
	*out = (struct btree_entries){
		.block = r->block,
		.keys = n->raw->keys,
		.values = node_value(n, 0),
		.value_size = n->value_size,
		.nr = n->nr,
	};
	return true;
}

int btree_cursor_next(struct btree_cursor *c, struct btree_entries *out, struct err *err)
{
	c->has_damage = false;
	for (;;) {
		int r;

		while (c->leaves.pos < c->leaves.nr) {
			size_t i = c->leaves.pos++;

			if (c->leaves.ref[i].fault != NODE_OK)
				return tell_damage(c, &c->leaves.ref[i], err);
			if (give(&c->leaves.ref[i], &c->leaves.node[i], out))
				return 1;
		}
		r = refill(c, err);
		if (r || !c->leaves.nr)
			return r;
	}
}

const struct btree_damage *btree_cursor_damage(const struct btree_cursor *c)
{
	return c->has_damage ? &c->damage : NULL;
}
