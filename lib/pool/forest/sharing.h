/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_SHARING_H
#define POOL_SHARING_H
/*
 * Which leaves the devices of a pool share, as the shared parts ("defs") of a dump.
 *
 * A def is a maximal run of shared leaves that always occur together and in this order; the
 * block of its first leaf stands for it.  Found from the internal nodes alone, each visited once:
 * the cost is linear in distinct nodes, whatever the number of devices.
 *
 * Memory: 1 byte a number of a node and 8 bytes a shared leaf (two arrays of 4 bytes a
 * block, touched only at shared leaves).
 * Threads: one at a time.
 */
#include "pdata/tree/walk.h"

/*
 * The nodes of the devices' trees.  A number stands for a node: its block where they were walked (sharing_nodes()), or
 * what a rescue counts them by.  0 is none.
 */
struct tree_nodes {
	void *ctx;
	mblock_t nr; /* numbers are below this */
	int (*height)(void *ctx, mblock_t node);  /* 0: a leaf; -1: not known */
	bool (*shared)(void *ctx, mblock_t node); /* reached on more than one path? */
	bool (*sound)(void *ctx, mblock_t node);  /* may it be used? */
	/* In the order of keys, in @room or elsewhere; NULL: @node has none. */
	const uint32_t *(*children)(void *ctx, mblock_t node, uint32_t room[INTERNAL_MAX], uint32_t *nr);
	/* The child @i of @node's @children, or 0 when no sound node can be there. */
	mblock_t (*child)(void *ctx, mblock_t node, const uint32_t *children, uint32_t i);
};

/* Those of @w, on a device of @nr_blocks. */
struct tree_nodes sharing_nodes(struct walk *w, mblock_t nr_blocks);

struct sharing;

/* @nodes: below @roots; what it stands for lives longer. */
int sharing_new(const struct tree_nodes *nodes, const mblock_t *roots, size_t nr, struct sharing **out,
		struct err *err);
void sharing_free(struct sharing *s);

enum share {
	SHARE_NONE,  /* only one device has it */
	SHARE_FIRST, /* begins a def */
	SHARE_NEXT,  /* goes on with the def of the leaf before it */
};
enum share sharing_of(const struct sharing *s, mblock_t leaf);

/*
 * The def after @def (0: the first one), or 0.  In the order in which devices and their keys
 * come to them, which does not depend on where the leaves lie.
 */
mblock_t sharing_next_def(const struct sharing *s, mblock_t def);
/* The leaf after @leaf in its def, or 0. */
mblock_t sharing_next(const struct sharing *s, mblock_t leaf);

/*
 * What the traversal of the defs notes for that of the devices: this def has no mappings, so no
 * device refers to it.
 */
void sharing_set_empty(struct sharing *s, mblock_t def);
bool sharing_empty(const struct sharing *s, mblock_t def);

/*
 * Does the subtree under @node add no event to a device?  So it is when all of its leaves go on with
 * a def.  The answer is remembered, so that a shared subtree is searched once.
 */
bool sharing_quiet(struct sharing *s, mblock_t node);

#endif
