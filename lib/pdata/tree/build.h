/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef PDATA_BTREE_BUILD_H
#define PDATA_BTREE_BUILD_H
/*
 * Builds a btree bottom-up from entries in ascending order: leaves are filled completely and the
 * last two are balanced; so are the nodes of every level above.  Existing leaves can be taken whole
 * as children between runs of entries.
 *
 * Two nodes of each level are held back: one that is full and one being filled.
 * Memory: 8 KiB a level, whatever the number of entries.
 *
 * Keys must ascend strictly, also across children.  The caller makes sure of that; nothing here
 * checks it.
 *
 * Functions that can fail return 0 or a negative errno with a text in @err.
 * Threads: one at a time.
 */
#include "pdata/block/writer.h"
#include "pdata/block/node.h"

#define BTREE_BUILD_LEVELS 10 /* 126^10 entries at the least */

/* Below a third of the maximum the kernel merges a node, and checkers complain. */
#define NODE_MIN_ENTRIES(value_size) (NODE_MAX_ENTRIES(value_size) / 3)

struct build_level {
	struct disk_node *full, *cur;
	uint32_t nr_full, nr_cur; /* entries in them */
	uint64_t nr_written;	  /* nodes of the current tree */
};

struct btree_build {
	struct block_writer *w;
	uint32_t value_size; /* of leaves */
	unsigned nr_levels;  /* that have memory */
	struct build_level level[BTREE_BUILD_LEVELS];
	/*
	 * When set, leaves do not join the tree: they are written with a count of zero and reported
	 * here, in order.  For parts that several trees will share.
	 */
	int (*on_leaf)(void *ctx, uint64_t first_key, uint32_t nr, mblock_t at, struct err *err);
	void *ctx;
};

/* @w stays the caller's and must live longer. */
int btree_build_init(struct btree_build *b, struct block_writer *w, uint32_t leaf_value_size,
		     struct err *err);
void btree_build_fini(struct btree_build *b);

/* The next entry; @value has leaf_value_size bytes. */
int btree_build_add(struct btree_build *b, uint64_t key, const void *value, struct err *err);

/* The next @nr entries, key + i -> value + i * step, with values of 8 bytes. */
int btree_build_add_run(struct btree_build *b, uint64_t key, uint64_t nr, uint64_t value,
			uint64_t step, struct err *err);

/* Entries that have not gone into a written leaf yet: at most two leaves full. */
static inline uint32_t btree_build_pending(const struct btree_build *b)
{
	return b->level[0].nr_full + b->level[0].nr_cur;
}

/* Writes the pending entries as one leaf, or as two of the same size. */
int btree_build_flush(struct btree_build *b, struct err *err);

/*
 * Puts the entries of @leaf before the pending ones, which must be fewer than a third
 * of a leaf; the next call must be btree_build_flush() or btree_build_finish().
 */
void btree_build_prepend(struct btree_build *b, const struct node *leaf);

/* Takes the leaf at @at, whose first key is @key, as it is.  Nothing may be pending. */
int btree_build_child(struct btree_build *b, uint64_t key, mblock_t at, struct err *err);

/* Writes the rest; *root is the tree's.  No entry at all makes an empty leaf.  Ready for the next tree. */
int btree_build_finish(struct btree_build *b, mblock_t *root, struct err *err);

/* Nodes of a tree of @nr entries as it is built here. */
uint64_t btree_build_nr_nodes(uint64_t nr, uint32_t leaf_value_size);

#endif
