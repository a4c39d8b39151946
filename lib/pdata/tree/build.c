/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * A level holds back one full node ("full") and the one being filled ("cur").  When cur
 * is full too and more comes, "full" is written and cur takes its place.  At the end
 * what the two hold is divided evenly.  A written node becomes an entry of the level above.
 */
#include "pdata/tree/build.h"

#include <errno.h>
#include <stdlib.h>

#include "base/overflow.h"

static uint32_t level_value_size(const struct btree_build *b, unsigned l)
{
	return l ? 8 : b->value_size;
}

static uint8_t *values_of(struct disk_node *n, uint32_t value_size)
{
	return (uint8_t *)&n->keys[NODE_MAX_ENTRIES(value_size)];
}

static int level_get(struct btree_build *b, unsigned l, struct err *err)
{
	uint32_t vs = level_value_size(b, l);
	struct disk_node *n;

	if (l < b->nr_levels)
		return 0;
	if (l == BTREE_BUILD_LEVELS)
		return err_set(err, -EOVERFLOW, "a btree would get too deep");
	n = malloc(2 * sizeof(*n));
	if (!n)
		return err_nomem(err, "btree nodes");
	node_init(&n[0], l == 0, vs);
	node_init(&n[1], l == 0, vs);
	b->level[l] = (struct build_level){ .full = &n[0], .cur = &n[1] };
	b->nr_levels = l + 1;
	return 0;
}

int btree_build_init(struct btree_build *b, struct block_writer *w, uint32_t leaf_value_size,
		     struct err *err)
{
	*b = (struct btree_build){ .w = w, .value_size = leaf_value_size };
	return level_get(b, 0, err);
}

void btree_build_fini(struct btree_build *b)
{
	for (unsigned l = 0; l < b->nr_levels; l++) {
		struct build_level *v = &b->level[l];

		free(MIN(v->full, v->cur)); /* the two are one piece of memory */
	}
	b->nr_levels = 0;
}

static int add_child(struct btree_build *b, unsigned l, uint64_t key, mblock_t at, struct err *err);

static int write_node(struct btree_build *b, unsigned l, struct disk_node *n, uint32_t nr,
		      struct err *err)
{
	bool apart = l == 0 && b->on_leaf;
	mblock_t at;
	void *data;
	int r;

	n->h.nr_entries = le32_make(nr);
	r = block_writer_alloc(b->w, SALT_NODE, !apart, &data, &at, err);
	if (r < 0)
		return r;
	memcpy(data, n, sizeof(*n));
	b->level[l].nr_written++;
	if (apart)
		return b->on_leaf(b->ctx, le64_get(n->keys[0]), nr, at, err);
	return add_child(b, l + 1, le64_get(n->keys[0]), at, err);
}

/* Makes room in a level whose cur is full. */
static int level_turn(struct btree_build *b, unsigned l, struct err *err)
{
	struct build_level *v = &b->level[l];
	struct disk_node *n = v->full;
	int r;

	if (v->nr_full) {
		r = write_node(b, l, v->full, v->nr_full, err);
		if (r < 0)
			return r;
		node_init(v->full, l == 0, level_value_size(b, l));
	}
	v->full = v->cur;
	v->nr_full = v->nr_cur;
	v->cur = n;
	v->nr_cur = 0;
	return 0;
}

static int add_entry(struct btree_build *b, unsigned l, uint64_t key, const void *value,
		     struct err *err)
{
	struct build_level *v = &b->level[l];
	uint32_t vs = level_value_size(b, l);
	int r;

	if (v->nr_cur == NODE_MAX_ENTRIES(vs)) {
		r = level_turn(b, l, err);
		if (r < 0)
			return r;
	}
	v->cur->keys[v->nr_cur] = le64_make(key);
	memcpy(values_of(v->cur, vs) + (size_t)v->nr_cur * vs, value, vs);
	v->nr_cur++;
	return 0;
}

static int add_child(struct btree_build *b, unsigned l, uint64_t key, mblock_t at, struct err *err)
{
	le64 value = le64_make(at);
	int r = level_get(b, l, err);

	return r < 0 ? r : add_entry(b, l, key, &value, err);
}

int btree_build_add(struct btree_build *b, uint64_t key, const void *value, struct err *err)
{
	return add_entry(b, 0, key, value, err);
}

static __attribute__((noinline)) int add_run(struct btree_build *b, uint64_t key, uint64_t nr,
					     uint64_t value, uint64_t step, struct err *err)
{
	struct build_level *v = &b->level[0];
	const uint32_t max = NODE_MAX_ENTRIES(8);
	uint32_t n, i;
	le64 *k, *d;
	int r;

	while (nr) {
		if (v->nr_cur == max) {
			r = level_turn(b, 0, err);
			if (r < 0)
				return r;
		}
		n = (uint32_t)MIN(nr, (uint64_t)(max - v->nr_cur));
		k = &v->cur->keys[v->nr_cur];
		d = k + max;
		for (i = 0; i < n; i++) {
			k[i] = le64_make(key + i);
			d[i] = le64_make(value + i * step);
		}
		v->nr_cur += n;
		key += n;
		value += n * step;
		nr -= n;
	}
	return 0;
}

int btree_build_add_run(struct btree_build *b, uint64_t key, uint64_t nr, uint64_t value,
			uint64_t step, struct err *err)
{
	struct build_level *v = &b->level[0];
	const uint32_t max = NODE_MAX_ENTRIES(8);
	le64 *k;

	/* scattered blocks come one by one */
	if (nr != 1 || v->nr_cur == max)
		return add_run(b, key, nr, value, step, err);
	k = &v->cur->keys[v->nr_cur++];
	k[0] = le64_make(key);
	k[max] = le64_make(value);
	return 0;
}

/* Moves the last entries of full to the front of cur, until full has @nr. */
static void move_to_cur(struct build_level *v, uint32_t vs, uint32_t nr)
{
	uint32_t moved = v->nr_full - nr;
	uint8_t *from = values_of(v->full, vs), *to = values_of(v->cur, vs);

	memmove(&v->cur->keys[moved], v->cur->keys, (size_t)v->nr_cur * 8);
	memcpy(v->cur->keys, &v->full->keys[nr], (size_t)moved * 8);
	memset(&v->full->keys[nr], 0, (size_t)moved * 8);
	memmove(to + (size_t)moved * vs, to, (size_t)v->nr_cur * vs);
	memcpy(to, from + (size_t)nr * vs, (size_t)moved * vs);
	memset(from + (size_t)nr * vs, 0, (size_t)moved * vs);
	v->nr_full = nr;
	v->nr_cur += moved;
}

static int level_flush(struct btree_build *b, unsigned l, struct err *err)
{
	struct build_level *v = &b->level[l];
	uint32_t vs = level_value_size(b, l), total = v->nr_full + v->nr_cur;
	int r = 0;

	if (!total)
		return 0;
	move_to_cur(v, vs, !v->nr_full || total <= NODE_MAX_ENTRIES(vs) ? 0 : total - total / 2);
	if (v->nr_full)
		r = write_node(b, l, v->full, v->nr_full, err);
	if (!r)
		r = write_node(b, l, v->cur, v->nr_cur, err);
	node_init(v->full, l == 0, vs);
	node_init(v->cur, l == 0, vs);
	v->nr_full = v->nr_cur = 0;
	return r;
}

int btree_build_flush(struct btree_build *b, struct err *err)
{
	return level_flush(b, 0, err);
}

void btree_build_prepend(struct btree_build *b, const struct node *leaf)
{
	struct build_level *v = &b->level[0];

	memcpy(v->full->keys, leaf->raw->keys, (size_t)leaf->nr * 8);
	memcpy(values_of(v->full, b->value_size), leaf->values, (size_t)leaf->nr * b->value_size);
	v->nr_full = leaf->nr;
}

int btree_build_child(struct btree_build *b, uint64_t key, mblock_t at, struct err *err)
{
	return add_child(b, 1, key, at, err);
}

static void start_anew(struct btree_build *b)
{
	for (unsigned l = 0; l < b->nr_levels; l++) {
		struct build_level *v = &b->level[l];

		v->nr_written = 0;
		if (!v->nr_full && !v->nr_cur)
			continue;
		node_init(v->full, l == 0, level_value_size(b, l));
		node_init(v->cur, l == 0, level_value_size(b, l));
		v->nr_full = v->nr_cur = 0;
	}
}

/* Has the current tree a leaf yet (pending entries not counted)? */
static bool has_leaves(const struct btree_build *b)
{
	return b->nr_levels > 1 &&
	       (b->level[1].nr_written || b->level[1].nr_full + b->level[1].nr_cur);
}

int btree_build_finish(struct btree_build *b, mblock_t *root, struct err *err)
{
	struct build_level *v = &b->level[0];
	le64 at;
	int r;

	if (!btree_build_pending(b) && !has_leaves(b))
		r = write_node(b, 0, v->cur, 0, err);
	else
		r = level_flush(b, 0, err);
	for (unsigned l = 1; !r; l++) {
		v = &b->level[l];
		if (!v->nr_written && v->nr_full + v->nr_cur == 1) {
			memcpy(&at, values_of(v->cur, 8), 8);
			*root = le64_get(at);
			break;
		}
		r = level_flush(b, l, err);
	}
	start_anew(b);
	return r;
}

uint64_t btree_build_nr_nodes(uint64_t nr, uint32_t leaf_value_size)
{
	uint64_t level = MAX(div_up(nr, NODE_MAX_ENTRIES(leaf_value_size)), (uint64_t)1), total = level;

	while (level > 1) {
		level = div_up(level, INTERNAL_MAX);
		total += level;
	}
	return total;
}
