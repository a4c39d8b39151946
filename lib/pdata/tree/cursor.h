/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef PDATA_BTREE_CURSOR_H
#define PDATA_BTREE_CURSOR_H
/*
 * One btree in key order, from its root, leaf by leaf.
 *
 * The cursor reads ahead through the stream: the coming leaves in batches of up to CURSOR_BATCH,
 * each batch in location order with merged requests, and the levels above them likewise.  The first
 * batches are small and double, so that a few entries cost a few reads.  Every node is verified by
 * node_open(), must hold only keys of its parents' range, and all leaves must lie at one depth.
 *
 * No tree, however it is damaged, makes the cursor loop: a node is taken only with keys inside the
 * range its parent gives, ranges of siblings do not overlap, and the depth is at most
 * BTREE_MAX_DEPTH.
 *
 * Memory: CURSOR_BATCH * 4 KiB for leaves, and 32 bytes for each of at most
 * 2 * CURSOR_BATCH + CURSOR_INNER * 252 children a level.
 * Threads: a cursor belongs to one thread; the stream's workers are used inside the calls.
 */
#include "dev/stream.h"
#include "pdata/block/node.h"

#define CURSOR_BATCH 1024 /* leaves */
#define CURSOR_INNER 16	  /* internal nodes of one level */

struct btree_cursor;

/* A part of the tree that cannot be read. */
struct btree_damage {
	enum node_fault fault;
	mblock_t block;
	uint64_t first, last; /* keys that may have been in it, both inclusive */
};

/* Entries of one leaf, in key order; valid until the next call on the cursor. */
struct btree_entries {
	mblock_t block;	     /* the leaf's */
	const le64 *keys;    /* strictly ascending, also from one call to the next */
	const void *values;  /* of value_size bytes each */
	uint32_t value_size;
	uint32_t nr;	     /* at least 1 */
};

static inline uint64_t entries_key(const struct btree_entries *e, uint32_t i)
{
	return le64_get(e->keys[i]);
}

static inline const void *entries_value(const struct btree_entries *e, uint32_t i)
{
	return (const uint8_t *)e->values + (size_t)i * e->value_size;
}

static inline uint64_t entries_value64(const struct btree_entries *e, uint32_t i)
{
	le64 v;

	memcpy(&v, (const uint8_t *)e->values + (size_t)i * 8, 8);
	return le64_get(v);
}

/*
 * A cursor over the tree at @root, before its first entry.  Reads nothing yet.  @s must live
 * longer.  NULL: no memory.
 */
struct btree_cursor *btree_cursor_new(struct stream *s, mblock_t root, uint32_t leaf_value_size);
void btree_cursor_free(struct btree_cursor *c);

/*
 * The next entries.  Returns 1, 0 at the end, or a negative errno with block and key range
 * in @err.  After damage (-EBADMSG, -EUCLEAN, or -EIO of a block that could not be read)
 * btree_cursor_damage() has it as data and the next call goes on behind it; the caller
 * decides whether to go on.  After -ENOMEM or another error the next call tries again at the same place.
 */
int btree_cursor_next(struct btree_cursor *c, struct btree_entries *out, struct err *err);

/* The damage that the last btree_cursor_next() returned, or NULL when it returned something else. */
const struct btree_damage *btree_cursor_damage(const struct btree_cursor *c);

/* 0, or the errno that stands for @f. */
int node_fault_errno(enum node_fault f);

#endif
