/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef PDATA_TREE_RECORD_H
#define PDATA_TREE_RECORD_H
/*
 * What the walk knows of a node.  Private to the walk.
 *
 * First of all the first and the last key that it may have or (WALK_DONE) has.  Nearly all keys fit into 32 bits.
 * Others stand in wide[], whose pages are not touched else: all bits set in first, or 0 in nlast, say so.  Where
 * nothing is known of a node, all are 0: its first key is 0 and its last one UINT64_MAX.
 */
#include "pdata/tree/impl.h"

#define KEY_WIDE UINT32_MAX /* the least key that does not fit */

void keys_get(const struct walk *w, mblock_t b, uint64_t *first, uint64_t *last);
uint64_t key_last(const struct walk *w, mblock_t b);
/* @b may have those from @first to @last at most.  Any number of threads. */
void keys_narrow(struct walk *w, mblock_t b, uint64_t first, uint64_t last);
/* From now on @b has the keys from @first to @last.  Nobody else looks at them meanwhile. */
void keys_set(struct walk *w, mblock_t b, uint64_t first, uint64_t last);

/* The last key that child @i of @nr may have, where the node itself may go up to @last. */
static inline uint64_t walk_child_last(const le64 *keys, uint32_t i, uint32_t nr, uint64_t last)
{
	return i + 1 < nr ? MIN(le64_get(keys[i + 1]) - 1, last) : last;
}

/* Room for @len numbers in the arena; *at: its place + 1.  NULL: no memory. */
uint32_t *walk_arena_get(struct walk *w, struct walk_worker *me, uint32_t len, uint32_t *at);

/* The record of @b is the one at place @at - 1.  0 or -ENOMEM. */
int walk_put_inner(struct walk *w, struct walk_worker *me, uint32_t b, uint32_t at);

/* Child @i of @b lies beyond the device.  0 or -ENOMEM. */
int walk_note_outside(struct walk *w, struct walk_worker *me, uint32_t b, const struct node *n,
		      uint32_t i);

/*
 * Keeps the children of an internal node in the arena; with @keys (for a node on the spine, where
 * they are needed once more) the keys behind them.  NULL: no memory.
 */
uint32_t *walk_keep(struct walk *w, struct walk_worker *me, uint32_t b, const struct node *n,
		    bool keys);

#endif
