/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Both trees are walked as one forest, so that the leaves they share are known from the internal
 * nodes.  Then two sides step through their leaves in key order.  A shared leaf stands in
 * both lists and between the same neighbours in the sense of keys, so when one side has come
 * to a shared leaf the other side first finishes its own leaves before it; then both take
 * the shared leaf at once.
 */
#include "pool/query/delta.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "pool/forest/forest.h"

#define SIDE_BATCH 512 /* leaves */
#define RUNS 1024

struct side_leaf {
	enum node_fault fault;
	uint32_t nr;
	bool plain;	/* contiguous keys from @first on, its entries were not kept */
	uint64_t first;
	struct node node;
};

struct side {
	uint32_t *leaf; /* all of the tree, in key order */
	size_t nr, cap;
	size_t begin, end; /* those that are loaded */
	size_t pos;	   /* the current one */
	uint32_t entry;	   /* in it */
	uint8_t *data;
	struct side_leaf *slot;
	const char *name;
};

struct load {
	mblock_t block;
	uint8_t side;
	uint32_t slot;
};

struct delta {
	struct stream *s;
	struct walk *walk;
	const struct delta_options *opt;
	struct side side[2];
	struct load *load;
	mblock_t *list;
	delta_fn *fn;
	void *ctx;
	struct delta_range run[RUNS];
	size_t nr_runs;
	bool io_error, damage;
};

static void tell(struct delta *d, const char *who, mblock_t block, enum node_fault fault,
		 uint64_t first, uint64_t last)
{
	char text[300];

	forest_fault_text(text, sizeof(text), who, block, fault, first, last);
	d->damage |= fault != NODE_UNREADABLE;
	d->io_error |= fault == NODE_UNREADABLE;
	if (d->opt->problem)
		d->opt->problem(d->opt->problem_ctx, text);
}

static int verdict(const struct delta *d, struct err *err)
{
	if (!d->damage && !d->io_error)
		return 0;
	return err_set(err, d->damage ? -EUCLEAN : -EIO,
		       "metadata contains errors (run thin_check for details: 'thin_check POOL')");
}

static int add_leaf(void *ctx, const struct walk_part *part)
{
	struct side *s = ctx;
	uint32_t *leaf;

	if (part->fault)
		return -ENOMEM; /* there was none for the list of faults, which is judged before */
	leaf = vec_add(s->leaf, s->nr, s->cap);
	if (!leaf)
		return -ENOMEM;
	*leaf = (uint32_t)part->block;
	return 0;
}

/* Reads the internal nodes of both trees and lists their leaves. */
static int walk_trees(struct delta *d, const struct metadata *md, mblock_t left, mblock_t right,
		      struct err *err)
{
	struct walk_setup setup = {
		.stream = d->s,
		.nr_blocks = md->nr_blocks,
		.leaf_value_size = sizeof(le64),
	};
	struct walk_root roots[] = { { left, 0 }, { right, 0 } };
	const struct walk_fault *f;
	size_t nr;
	int r;

	d->walk = walk_new(&setup, err);
	r = d->walk ? walk_add(d->walk, roots, 2, err) : -ENOMEM;
	if (r)
		return r;
	f = walk_faults(d->walk, &nr);
	for (size_t i = 0; i < nr; i++)
		tell(d,
		     f[i].block == left	 ? "the left tree" :
		     f[i].block == right ? "the right tree" :
					   "one of the two trees",
		     f[i].block, f[i].fault, f[i].begin, f[i].last);
	r = verdict(d, err);
	for (unsigned i = 0; !r && i < 2; i++)
		if (walk_each(d->walk, roots[i].block, add_leaf, &d->side[i]))
			r = err_nomem(err, "list of leaves");
	return r;
}

static bool is_shared(const struct delta *d, const struct side *s)
{
	return walk_shared(d->walk, s->leaf[s->pos]);
}

static int by_block(const void *va, const void *vb)
{
	const struct load *a = va, *b = vb;

	return a->block < b->block ? -1 : a->block > b->block;
}

static int take_leaf(void *ctx, unsigned worker, size_t i, mblock_t block, const void *data,
		     int status)
{
	struct delta *d = ctx;
	const struct load *l = &d->load[i];
	struct side_leaf *slot = &d->side[l->side].slot[l->slot];
	uint8_t *copy = d->side[l->side].data + (size_t)l->slot * MBLOCK_SIZE;
	struct node *n = &slot->node;
	uint64_t first, last;

	(void)worker;
	if (status < 0) {
		slot->fault = node_read_fault(status);
		return 0;
	}
	slot->fault = node_open(n, data, block, sizeof(le64));
	if (slot->fault)
		return 0;
	walk_range(d->walk, block, &first, &last);
	slot->nr = n->nr;
	slot->first = n->nr ? node_key(n, 0) : 0;
	if (!n->leaf)
		slot->fault = NODE_BAD_DEPTH;
	else
		slot->fault = node_check_range(n, first, last);
	slot->plain = n->nr && walk_shared(d->walk, block) && d->opt->same_by_block &&
		      node_key(n, n->nr - 1) - slot->first == n->nr - 1;
	if (slot->plain || slot->fault)
		return 0;
	memcpy(copy, data, MBLOCK_SIZE);
	n->values = copy + (n->values - (const uint8_t *)n->raw);
	n->raw = (const struct disk_node *)copy;
	return 0;
}

/* Adds the next leaves of a side to what is to be read; shared ones are read for the left. */
static size_t plan_side(struct delta *d, unsigned which, size_t nr)
{
	struct side *s = &d->side[which];

	s->begin = s->end;
	s->end = MIN(s->nr, s->begin + SIDE_BATCH);
	for (size_t i = s->begin; i < s->end; i++) {
		if (walk_shared(d->walk, s->leaf[i]) && (which || d->opt->skip_same))
			continue;
		s->slot[i - s->begin] = (struct side_leaf){ 0 };
		d->load[nr++] = (struct load){ s->leaf[i], (uint8_t)which,
					       (uint32_t)(i - s->begin) };
	}
	return nr;
}

/* Loads what the sides need next: both at once when both have come to their end. */
static int load_more(struct delta *d, struct err *err)
{
	size_t nr = 0;
	int r;

	for (unsigned i = 0; i < 2; i++)
		if (d->side[i].pos == d->side[i].end && d->side[i].end < d->side[i].nr)
			nr = plan_side(d, i, nr);
	if (!nr)
		return 0;
	qsort(d->load, nr, sizeof(*d->load), by_block);
	for (size_t i = 0; i < nr; i++)
		d->list[i] = d->load[i].block;
	r = stream_read(d->s, d->list, nr, take_leaf, d, err);
	for (size_t i = 0; !r && i < nr; i++) {
		const struct load *l = &d->load[i];
		const struct side *s = &d->side[l->side];
		enum node_fault fault = s->slot[l->slot].fault;
		uint64_t first, last;

		if (!fault)
			continue;
		walk_range(d->walk, l->block, &first, &last);
		tell(d, walk_shared(d->walk, l->block) ? "both trees" : s->name, l->block, fault,
		     first, last);
	}
	return r ? r : verdict(d, err);
}

static int flush_runs(struct delta *d, struct err *err)
{
	size_t nr = d->nr_runs;

	d->nr_runs = 0;
	return nr ? d->fn(d->ctx, d->run, nr, err) : 0;
}

static int add_run(struct delta *d, const struct delta_range *new, struct err *err)
{
	struct delta_range *last = d->nr_runs ? &d->run[d->nr_runs - 1] : NULL;
	bool any_data = new->kind == DELTA_SAME && d->opt->same_by_block;

	if (last && last->kind == new->kind && last->begin + last->len == new->begin &&
	    (any_data || ((new->kind == DELTA_RIGHT_ONLY || last->left + last->len == new->left) &&
			  (new->kind == DELTA_LEFT_ONLY || last->right + last->len == new->right)))) {
		last->len += new->len;
		return 0;
	}
	if (d->nr_runs == RUNS) {
		int r = flush_runs(d, err);

		if (r)
			return r;
	}
	d->run[d->nr_runs++] = *new;
	return 0;
}

static int tell_shared(struct delta *d, struct err *err)
{
	struct side *s = &d->side[0];
	const struct side_leaf *l = &s->slot[s->pos - s->begin];
	int r = 0;

	if (d->opt->skip_same)
		return 0;
	if (l->plain)
		return add_run(d, &(struct delta_range){ DELTA_SAME, l->first, l->nr, 0, 0 }, err);
	for (uint32_t i = 0; !r && i < l->nr; i++) {
		dblock_t b = mapping_block(node_value64(&l->node, i));
		struct delta_range run = { DELTA_SAME, node_key(&l->node, i), 1, b, b };

		r = add_run(d, &run, err);
	}
	return r;
}

/* The current entry of a side that stands in a leaf of its own; false at a shared one or the end. */
static bool current(const struct delta *d, unsigned which, uint64_t *key, dblock_t *block)
{
	const struct side *s = &d->side[which];
	const struct side_leaf *l;

	if (s->pos == s->nr || is_shared(d, s))
		return false;
	l = &s->slot[s->pos - s->begin];
	*key = node_key(&l->node, s->entry);
	*block = mapping_block(node_value64(&l->node, s->entry));
	return true;
}

/* Steps over leaves that are done or empty; loads when a side's batch is used up. */
static int settle(struct delta *d, struct err *err)
{
	for (unsigned i = 0; i < 2; i++) {
		struct side *s = &d->side[i];

		while (s->pos < s->nr) {
			if (s->pos == s->end) {
				int r = load_more(d, err);

				if (r)
					return r;
			}
			if (is_shared(d, s) || s->entry < s->slot[s->pos - s->begin].nr)
				break;
			s->pos++;
			s->entry = 0;
		}
	}
	return 0;
}

static int compare_entry(struct delta *d, bool has_left, bool has_right, const uint64_t *key,
			 const dblock_t *block, struct err *err)
{
	struct delta_range run = { .len = 1 };
	bool left = has_left && (!has_right || key[0] <= key[1]);
	bool right = has_right && (!has_left || key[1] <= key[0]);

	run.begin = left ? key[0] : key[1];
	run.left = left ? block[0] : 0;
	run.right = right ? block[1] : 0;
	if (left && right)
		run.kind = block[0] == block[1] ? DELTA_SAME : DELTA_DIFFERENT;
	else
		run.kind = left ? DELTA_LEFT_ONLY : DELTA_RIGHT_ONLY;
	d->side[0].entry += left;
	d->side[1].entry += right;
	return run.kind == DELTA_SAME && d->opt->skip_same ? 0 : add_run(d, &run, err);
}

static int compare(struct delta *d, struct err *err)
{
	struct side *l = &d->side[0], *r = &d->side[1];
	uint64_t key[2] = { 0 };
	dblock_t block[2] = { 0 };

	for (;;) {
		int ret = settle(d, err);
		bool has_left, has_right;

		if (ret)
			return ret;
		has_left = current(d, 0, &key[0], &block[0]);
		has_right = current(d, 1, &key[1], &block[1]);
		if (has_left || has_right) {
			ret = compare_entry(d, has_left, has_right, key, block, err);
		} else {
			if (l->pos == l->nr && r->pos == r->nr)
				return 0;
			if (l->pos == l->nr || r->pos == r->nr || l->leaf[l->pos] != r->leaf[r->pos])
				return err_set(err, -EUCLEAN,
					       "the two trees share leaves in different orders "
					       "(run thin_check for details: 'thin_check POOL')");
			ret = tell_shared(d, err);
			l->pos++;
			r->pos++;
		}
		if (ret)
			return ret;
	}
}

static int make_room(struct delta *d, struct err *err)
{
	for (unsigned i = 0; i < 2; i++) {
		size_t nr = MIN(d->side[i].nr, (size_t)SIDE_BATCH) + 1;

		d->side[i].data = io_alloc(nr * MBLOCK_SIZE);
		d->side[i].slot = calloc(nr, sizeof(*d->side[i].slot));
		if (!d->side[i].data || !d->side[i].slot)
			return err_nomem(err, "leaves");
	}
	d->load = calloc(2 * SIDE_BATCH, sizeof(*d->load));
	d->list = calloc(2 * SIDE_BATCH, sizeof(*d->list));
	return d->load && d->list ? 0 : err_nomem(err, "leaves");
}

int delta_compare(const struct metadata *md, struct stream *s, mblock_t left, mblock_t right,
	      const struct delta_options *opt, delta_fn *fn, void *ctx, struct err *err)
{
	CLEANUP(free_ptr) struct delta *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return err_nomem(err, "comparison");
	*d = (struct delta){ .s = s, .opt = opt, .fn = fn, .ctx = ctx };
	d->side[0].name = "the left tree";
	d->side[1].name = "the right tree";
	r = walk_trees(d, md, left, right, err);
	if (!r)
		r = make_room(d, err);
	if (!r)
		r = compare(d, err);
	if (!r)
		r = flush_runs(d, err);
	for (unsigned i = 0; i < 2; i++) {
		free(d->side[i].leaf);
		free(d->side[i].data);
		free(d->side[i].slot);
	}
	free(d->load);
	free(d->list);
	walk_free(d->walk);
	return r;
}
