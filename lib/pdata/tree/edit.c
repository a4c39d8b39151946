/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Looking up, and growing a tree.
 *
 * An insertion walks down with one node and its parent in hand, both this transaction's own.  A
 * full node gets room before it is entered: from a neighbour with at least eight free slots
 * that is not shared, else by splitting: one into two where entries arrive in order (at
 * either end of the parent) or a neighbour is shared, else two into three.  The root splits
 * beneath itself and stays where it is.
 */
#include "pdata/tree/edit.h"

#include <errno.h>

#include "pdata/tree/shadow.h"
#include "pdata/block/node_edit.h"

#define SPACE_WORTH_MOVING 8

static int too_deep(const struct btree *t, struct err *err)
{
	return err_set(err, -EUCLEAN, "%s is more than %d levels deep", t->type->name,
		       BTREE_MAX_DEPTH);
}

static int read_node(const struct btree *t, mblock_t b, const struct disk_node **n,
		     struct err *err)
{
	int r = tm_read_node(t->tm, b, t->type->value_size, n, err);

	return r ? err_prefix(err, r, "%s", t->type->name) : 0;
}

int btree_make(struct btree *t, struct err *err)
{
	void *data;
	int r = tm_new(t->tm, SALT_NODE, &t->root, &data, err);

	if (!r)
		node_init(data, true, t->type->value_size);
	return r;
}

/*
 * The leaf where @key would be, and in *next a lower bound of the keys behind that leaf
 * (*more: there may be some).
 */
static int find_leaf(const struct btree *t, uint64_t key, const struct disk_node **leaf,
		     uint64_t *next, bool *more, struct err *err)
{
	const struct disk_node *n;
	mblock_t b = t->root;

	*more = false;
	for (int depth = 0; depth < BTREE_MAX_DEPTH; depth++) {
		int r = read_node(t, b, &n, err), i;

		if (r)
			return r;
		*leaf = n;
		if (ne_is_leaf(n))
			return 0;
		i = MAX(ne_search(n, key), 0);
		if ((uint32_t)i + 1 < ne_nr(n)) {
			*next = ne_key(n, (uint32_t)i + 1);
			*more = true;
		}
		b = ne_child(n, (uint32_t)i);
	}
	return too_deep(t, err);
}

int btree_lookup(const struct btree *t, uint64_t key, void *value, struct err *err)
{
	const struct disk_node *n;
	uint64_t next;
	bool more;
	int r = find_leaf(t, key, &n, &next, &more, err), i;

	if (r)
		return r;
	i = ne_search(n, key);
	if (i < 0 || ne_key(n, (uint32_t)i) != key)
		return -ENOENT;
	memcpy(value, ne_value(n, (uint32_t)i), t->type->value_size);
	return 0;
}

int btree_last_key(const struct btree *t, uint64_t *key, struct err *err)
{
	const struct disk_node *n;
	uint64_t next;
	bool more;
	int r = find_leaf(t, UINT64_MAX, &n, &next, &more, err);

	if (r)
		return r;
	if (!ne_nr(n))
		return -ENOENT;
	*key = ne_key(n, ne_nr(n) - 1);
	return 0;
}

struct first {
	uint64_t key;
	void *value;
	uint32_t size;
};

static int take_first(void *ctx, uint64_t key, const void *value)
{
	struct first *f = ctx;

	f->key = key;
	memcpy(f->value, value, f->size);
	return 1;
}

int btree_lookup_next(const struct btree *t, uint64_t key, uint64_t *found, void *value,
		      struct err *err)
{
	struct first f = { .value = value, .size = t->type->value_size };
	int r = btree_each(t, key, UINT64_MAX, take_first, &f, err);

	if (r < 0)
		return r;
	if (!r)
		return -ENOENT;
	*found = f.key;
	return 0;
}

int btree_each(const struct btree *t, uint64_t begin, uint64_t end, btree_each_fn *fn, void *ctx,
	       struct err *err)
{
	const struct disk_node *n;
	uint64_t next = 0;
	bool more = true;
	int r;

	for (; more && begin < end; begin = next) {
		uint32_t i;

		r = find_leaf(t, begin, &n, &next, &more, err);
		if (r)
			return r;
		i = (uint32_t)(ne_search(n, begin) + 1);
		if (i && ne_key(n, i - 1) == begin)
			i--;
		for (; i < ne_nr(n) && ne_key(n, i) < end; i++) {
			r = fn(ctx, ne_key(n, i), ne_value(n, i));
			if (r)
				return r;
		}
	}
	return 0;
}

/* Adds one reference to everything that the shadowed node @n points at. */
static int inc_children(const struct btree *t, const struct disk_node *n, struct err *err)
{
	int r = 0;

	if (ne_is_leaf(n))
		return t->type->inc ? t->type->inc(t->type->ctx, ne_value(n, 0), ne_nr(n), err) : 0;
	for (uint32_t i = 0; !r && i < ne_nr(n); i++)
		r = tm_inc(t->tm, ne_child(n, i), err);
	return r;
}

static int shadow(const struct btree *t, mblock_t *b, struct disk_node **n, struct err *err)
{
	bool shared;
	int r = tm_shadow(t->tm, b, t->type->value_size, n, &shared, err);

	if (!r && shared)
		r = inc_children(t, *n, err);
	return r ? err_prefix(err, r, "%s", t->type->name) : 0;
}

int btree_shadow_root(struct btree *t, struct disk_node **n, struct err *err)
{
	return shadow(t, &t->root, n, err);
}

int btree_shadow_child(const struct btree *t, struct disk_node *parent, uint32_t i,
		       struct disk_node **child, struct err *err)
{
	mblock_t b = ne_child(parent, i);
	int r = shadow(t, &b, child, err);

	if (!r)
		ne_set_child(parent, i, b);
	return r;
}

/* A new node like @n, without entries. */
static int new_like(const struct btree *t, const struct disk_node *n, mblock_t *b,
		    struct disk_node **out, struct err *err)
{
	void *data;
	int r = tm_new(t->tm, SALT_NODE, b, &data, err);

	if (r)
		return r;
	node_init(data, ne_is_leaf(n), ne_value_size(n));
	*out = data;
	return 0;
}

static void link_child(struct disk_node *parent, uint32_t i, const struct disk_node *child,
		       mblock_t b)
{
	le64 v = le64_make(b);

	ne_insert(parent, i, ne_key(child, 0), &v);
}

/* The full root becomes the parent of two nodes with half of its entries each. */
static int split_beneath(const struct btree *t, struct disk_node *root, struct err *err)
{
	struct disk_node *left, *right;
	uint32_t nr = ne_nr(root), want[2] = { nr / 2, nr - nr / 2 };
	mblock_t left_b, right_b;
	int r = new_like(t, root, &left_b, &left, err);

	if (!r)
		r = new_like(t, root, &right_b, &right, err);
	if (r)
		return r;
	ne_copy(left, root);
	ne_spread((struct disk_node *[]){ left, right }, 2, want);
	node_init(root, false, 8);
	link_child(root, 0, left, left_b);
	link_child(root, 1, right, right_b);
	return 0;
}

int btree_shadow_children(const struct btree *t, struct disk_node *parent, uint32_t first, unsigned nr,
			  struct disk_node **n, uint32_t *total, struct err *err)
{
	*total = 0;
	for (unsigned k = 0; k < nr; k++) {
		int r = btree_shadow_child(t, parent, first + k, &n[k], err);

		if (r)
			return r;
		if (!ne_alike(n[0], n[k]))
			return err_set(err, -EUCLEAN, "%s: leaves at different depths",
				       t->type->name);
		*total += ne_nr(n[k]);
	}
	return 0;
}

void btree_spread(struct disk_node *parent, uint32_t first, unsigned nr, unsigned keep,
		  struct disk_node **n, uint32_t total)
{
	uint32_t want[3] = { 0 };

	for (unsigned k = 0; k < keep; k++) {
		want[k] = total / (keep - k);
		total -= want[k];
	}
	ne_spread(n, nr, want);
	for (unsigned k = 1; k < keep; k++)
		parent->keys[first + k] = le64_make(ne_key(n[k], 0));
}

/* The @nr children of @parent from @i on share their entries evenly. */
static int even_out(const struct btree *t, struct disk_node *parent, uint32_t i, unsigned nr,
		    struct err *err)
{
	struct disk_node *n[3];
	uint32_t total;
	int r = btree_shadow_children(t, parent, i, nr, n, &total, err);

	if (!r)
		btree_spread(parent, i, nr, nr, n, total);
	return r;
}

/* A new node after child @at of @parent; children [first, first + nr) then share evenly. */
static int split(const struct btree *t, struct disk_node *parent, uint32_t first, unsigned nr,
		 uint32_t at, struct err *err)
{
	struct disk_node *old, *fresh;
	uint32_t half;
	mblock_t b;
	int r = btree_shadow_child(t, parent, at, &old, err);

	if (!r)
		r = new_like(t, old, &b, &fresh, err);
	if (r)
		return r;
	half = ne_nr(old) / 2;
	ne_spread((struct disk_node *[]){ old, fresh }, 2, (uint32_t[]){ half, ne_nr(old) - half });
	link_child(parent, at + 1, fresh, b);
	return nr == 2 ? 0 : even_out(t, parent, first, nr, err);
}

struct neighbour {
	bool there, shared, roomy;
};

static int look_at(const struct btree *t, const struct disk_node *parent, uint32_t i,
		   struct neighbour *out, struct err *err)
{
	const struct disk_node *n;
	uint32_t count;
	int r = tm_count(t->tm, ne_child(parent, i), &count, err);

	if (!r)
		r = read_node(t, ne_child(parent, i), &n, err);
	if (r)
		return r;
	*out = (struct neighbour){ true, count > 1,
				   ne_max(n) - ne_nr(n) >= SPACE_WORTH_MOVING };
	return 0;
}

/* Makes room in the full child @i of @parent; @parent is not full. */
static int make_room(const struct btree *t, struct disk_node *parent, uint32_t i, struct err *err)
{
	struct neighbour left = { 0 }, right = { 0 };
	uint32_t nr = ne_nr(parent);
	int r;

	if (i > 0) {
		r = look_at(t, parent, i - 1, &left, err);
		if (r)
			return r;
		if (!left.shared && left.roomy)
			return even_out(t, parent, i - 1, 2, err);
	}
	if (i + 1 < nr) {
		r = look_at(t, parent, i + 1, &right, err);
		if (r)
			return r;
		if (!right.shared && right.roomy)
			return even_out(t, parent, i, 2, err);
	}
	if (left.shared || right.shared || nr <= 2 || !left.there || !right.there)
		return split(t, parent, i, 2, i, err);
	return split(t, parent, i - 1, 3, i, err);
}

static bool has_key(const struct disk_node *n, uint64_t key)
{
	int i = ne_search(n, key);

	return i >= 0 && ne_key(n, (uint32_t)i) == key;
}

static bool is_full_for(const struct disk_node *n, uint64_t key)
{
	return ne_nr(n) == ne_max(n) && !(ne_is_leaf(n) && has_key(n, key));
}

/* The entry of the internal node @n to follow for @key, whose lower bound then covers it. */
static uint32_t follow(struct disk_node *n, uint64_t key)
{
	int i = ne_search(n, key);

	if (i < 0)
		n->keys[0] = le64_make(key);
	return (uint32_t)MAX(i, 0);
}

/* Shadows the path to @key, making room on the way when @room; *leaf is the leaf. */
static int walk_down(struct btree *t, uint64_t key, bool room, struct disk_node **leaf,
		     struct err *err)
{
	struct disk_node *n, *child;
	uint32_t i;
	int r = btree_shadow_root(t, &n, err);

	if (!r && room && is_full_for(n, key))
		r = split_beneath(t, n, err);
	for (int depth = 0; !r && depth < BTREE_MAX_DEPTH; depth++) {
		if (ne_is_leaf(n)) {
			*leaf = n;
			return 0;
		}
		i = room ? follow(n, key) : (uint32_t)MAX(ne_search(n, key), 0);
		r = btree_shadow_child(t, n, i, &child, err);
		if (!r && room && is_full_for(child, key)) {
			r = make_room(t, n, i, err);
			if (!r)
				r = btree_shadow_child(t, n, follow(n, key), &child, err);
		}
		n = child;
	}
	return r ? r : too_deep(t, err);
}

/* Replaces the value of entry @i.  The old value loses its reference, unless both mean the same. */
static int replace(const struct btree *t, struct disk_node *n, uint32_t i, const void *value,
		   struct err *err)
{
	uint8_t old[sizeof(struct disk_index_entry) * 2];
	const struct btree_type *type = t->type;

	memcpy(old, ne_value(n, i), type->value_size);
	memcpy(ne_value_mut(n, i), value, type->value_size);
	if (!type->dec || (type->same && type->same(old, value)))
		return 0;
	return type->dec(type->ctx, old, 1, err);
}

int btree_insert(struct btree *t, uint64_t key, const void *value, bool *inserted,
		 struct err *err)
{
	struct disk_node *n;
	int r = walk_down(t, key, true, &n, err), i;

	if (r)
		return r;
	i = ne_search(n, key);
	if (inserted)
		*inserted = i < 0 || ne_key(n, (uint32_t)i) != key;
	if (i >= 0 && ne_key(n, (uint32_t)i) == key)
		return replace(t, n, (uint32_t)i, value, err);
	ne_insert(n, (uint32_t)(i + 1), key, value);
	return 0;
}

int btree_overwrite(struct btree *t, uint64_t key, const void *value, struct err *err)
{
	struct disk_node *n;
	int r = walk_down(t, key, false, &n, err), i;

	if (r)
		return r;
	i = ne_search(n, key);
	if (i < 0 || ne_key(n, (uint32_t)i) != key)
		return -ENOENT;
	memcpy(ne_value_mut(n, (uint32_t)i), value, t->type->value_size);
	return 0;
}

int btree_touch(struct btree *t, uint64_t key, struct err *err)
{
	struct disk_node *n;
	int r = walk_down(t, key, false, &n, err);

	return r ? r : has_key(n, key) ? 0 : -ENOENT;
}
