/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Shrinking a tree.
 *
 * A removal walks down like an insertion.  A child with no more than a third of its
 * maximum is merged with its neighbours or filled up from them before it is entered, so that it
 * can lose entries; a root with a single child takes that child's contents.  Two
 * neighbours become one when they have fewer than 2 * (max / 3 + 1) entries together, three
 * become two below 4 * (max / 3) + 1; otherwise they share evenly.
 *
 * Merging frees nodes, but the values of their entries keep their references: the entries moved.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "pdata/tree/shadow.h"
#include "pdata/block/node_edit.h"

static uint32_t third(const struct disk_node *n)
{
	return ne_max(n) / 3;
}

/* The @nr children of @parent from @first on lose those behind the first @keep. */
static int drop_empty(const struct btree *t, struct disk_node *parent, uint32_t first, unsigned nr,
		      unsigned keep, struct err *err)
{
	uint32_t left;

	for (unsigned k = keep; k < nr; k++) {
		int r = tm_dec(t->tm, ne_child(parent, first + keep), &left, err);

		if (r)
			return r;
		ne_remove(parent, first + keep, 1);
	}
	return 0;
}

/* Gives child @i of @parent, which has too few entries to lose one, more entries. */
static int fill_up(const struct btree *t, struct disk_node *parent, uint32_t i, struct err *err)
{
	struct disk_node *n[3];
	uint32_t total, first = i > 0 ? i - 1 : 0;
	unsigned nr = i > 0 && i + 1 < ne_nr(parent) ? 3 : 2;
	unsigned keep = nr;
	int r = btree_shadow_children(t, parent, first, nr, n, &total, err);

	if (r)
		return r;
	if (nr == 3 && total < 4 * third(n[0]) + 1)
		keep = 2;
	if (keep == 2 && total < 2 * (third(n[0]) + 1))
		keep = 1;
	btree_spread(parent, first, nr, keep, n, total);
	return drop_empty(t, parent, first, nr, keep, err);
}

/* The root takes over its only child's contents. */
static int pull_up(const struct btree *t, struct disk_node *root, struct err *err)
{
	struct disk_node *child;
	mblock_t b;
	uint32_t left;
	int r = btree_shadow_child(t, root, 0, &child, err);

	if (r)
		return r;
	b = ne_child(root, 0);
	ne_copy(root, child);
	return tm_dec(t->tm, b, &left, err);
}

/* The leaf that holds @key, ready to lose at least one entry; *is_root: any number. */
static int walk_down(struct btree *t, uint64_t key, struct disk_node **leaf, bool *is_root,
		     struct err *err)
{
	struct disk_node *n, *child;
	int r = btree_shadow_root(t, &n, err);

	*is_root = true;
	for (int depth = 0; !r && depth < BTREE_MAX_DEPTH; depth++) {
		uint32_t i;

		while (!r && *is_root && !ne_is_leaf(n) && ne_nr(n) == 1)
			r = pull_up(t, n, err);
		if (r)
			return r;
		*leaf = n;
		if (ne_is_leaf(n))
			return 0;
		i = (uint32_t)MAX(ne_search(n, key), 0);
		r = btree_shadow_child(t, n, i, &child, err);
		if (!r && ne_nr(n) > 1 && ne_nr(child) <= third(child)) {
			r = fill_up(t, n, i, err);
			if (!r && *is_root && ne_nr(n) == 1)
				continue; /* the root's children became one */
			if (!r)
				r = btree_shadow_child(t, n, (uint32_t)MAX(ne_search(n, key), 0),
						       &child, err);
		}
		n = child;
		*is_root = false;
	}
	return r ? r : err_set(err, -EUCLEAN, "%s is too deep", t->type->name);
}

/* Removes some of the keys in [begin, end), beginning with @begin, which exists. */
static int remove_some(struct btree *t, uint64_t begin, uint64_t end, uint64_t *nr,
		       struct err *err)
{
	uint8_t values[MBLOCK_SIZE];
	struct disk_node *n;
	uint32_t i, k, most;
	bool is_root;
	int r = walk_down(t, begin, &n, &is_root, err), at;

	if (r)
		return r;
	at = ne_search(n, begin);
	if (at < 0 || ne_key(n, (uint32_t)at) != begin)
		return err_set(err, -EUCLEAN, "%s: keys outside of their parent's range",
			       t->type->name);
	i = (uint32_t)at;
	most = is_root ? ne_nr(n) : MAX(ne_nr(n), third(n) + 1) - third(n);
	for (k = 0; k < most && i + k < ne_nr(n) && ne_key(n, i + k) < end; k++)
		;
	memcpy(values, ne_value(n, i), (size_t)k * t->type->value_size);
	ne_remove(n, i, k);
	*nr += k;
	return t->type->dec ? t->type->dec(t->type->ctx, values, k, err) : 0;
}

int btree_remove_range(struct btree *t, uint64_t begin, uint64_t end, uint64_t *nr,
		       struct err *err)
{
	uint8_t value[MBLOCK_SIZE];
	int r;

	*nr = 0;
	for (;;) {
		r = btree_lookup_next(t, begin, &begin, value, err);
		if (r == -ENOENT || (!r && begin >= end))
			return 0;
		if (!r)
			r = remove_some(t, begin, end, nr, err);
		if (r)
			return r;
	}
}

int btree_remove(struct btree *t, uint64_t key, struct err *err)
{
	uint8_t value[MBLOCK_SIZE];
	uint64_t nr = 0;
	int r = btree_lookup(t, key, value, err);

	return r ? r : remove_some(t, key, key + 1, &nr, err);
}

/*
 * Gives up one reference to the node @b, and when that was the last one, one to each of its
 * children.  Each block can reach zero once, so damage cannot make this run forever.
 */
static int release(const struct btree *t, mblock_t b, int depth, struct err *err)
{
	CLEANUP(free_ptr) struct disk_node *copy = NULL;
	const struct disk_node *n;
	uint32_t left;
	int r = tm_count(t->tm, b, &left, err);

	if (!r && left == 1)
		r = tm_read_node(t->tm, b, t->type->value_size, &n, err);
	if (r)
		return err_prefix(err, r, "%s", t->type->name);
	if (left == 1) {
		if (depth == BTREE_MAX_DEPTH)
			return err_set(err, -EUCLEAN, "%s is too deep", t->type->name);
		copy = malloc(sizeof(*copy));
		if (!copy)
			return err_nomem(err, "releasing a tree");
		memcpy(copy, n, sizeof(*copy));
	}
	r = tm_dec(t->tm, b, &left, err);
	if (!r)
		r = tm_trim(t->tm, err);
	if (r || !copy)
		return r;
	if (ne_is_leaf(copy))
		return t->type->dec ? t->type->dec(t->type->ctx, ne_value(copy, 0), ne_nr(copy), err) :
				      0;
	for (uint32_t i = 0; !r && i < ne_nr(copy); i++)
		r = release(t, ne_child(copy, i), depth + 1, err);
	return r;
}

int btree_release(const struct btree *t, struct err *err)
{
	return release(t, t->root, 0, err);
}
