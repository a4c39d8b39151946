/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef PDATA_BTREE_WALK_H
#define PDATA_BTREE_WALK_H
/*
 * The forest walk: reads the nodes of any number of trees of one kind, shared
 * subtrees once, each block at most once, in location order and merged requests.
 *
 * It goes by height.  A first pass down the leftmost children of all roots (the spine) learns how
 * high each tree is; then nodes are taken level by level, the highest first, so that all parents of
 * a node are known before the node; leaves come last, in one sweep over the device.  Damage becomes
 * a struct walk_fault and does not stop the walk; loops and nodes met at two heights are faults,
 * never hangs.
 *
 * The internal nodes' children stay in memory (4 bytes an entry; of a node that is mostly a copy of another one, 8
 * for each that differs), so that counts can be summed bottom-up and trees be traversed in key order without
 * reading them again.
 *
 * Memory: 14.375 bytes a block of the metadata device between the first and the last one reached
 * (touched lazily: 14.25 bytes a node, and 16 more where keys do not fit into 32 bits), 4 bytes an entry of an internal
 * node and 84 a node at most, and while a level is read up to half a MiB, and 5 KiB for each place of the trees where
 * nodes are alike, up to 10 MiB.
 *
 * Threads: one owner calls everything here; the leaf function runs on the stream's workers.
 */
#include "dev/stream.h"
#include "pdata/block/node.h"
#include "pdata/block/refmap.h"

struct walk;

struct walk_root {
	mblock_t block;
	/*
	 * A number of which the walk finds the least over all owners of a node (for mapping trees
	 * the device's snapshotted_time); 0 when unused.
	 */
	uint32_t attr;
};

/*
 * A leaf that is sound by itself (node_open said so).  @attr: the attr of one of its
 * owners; the only owner's when it is not shared.  A leaf whose keys its parents do not allow
 * comes here too and is a fault (NODE_BAD_RANGE) as well.  Returns 0 or -errno, which ends the walk.
 */
typedef int walk_leaf_fn(void *ctx, unsigned worker, mblock_t block, uint32_t attr,
			 const struct node *n);

struct walk_setup {
	struct stream *stream;
	mblock_t nr_blocks; /* children at or beyond are NODE_OUTSIDE */
	uint32_t leaf_value_size;
	walk_leaf_fn *leaf; /* NULL: leaves are not read (but for one on each spine) */
	void *ctx;
	struct refmap *refs; /* one reference for each root and each child pointer; or NULL */
	/*
	 * What each block of the device is used as, shared by the walks over a pool's
	 * trees, nr_blocks bytes; 0 = nothing so far.  A block claimed as another @kind
	 * is a fault (NODE_LOOP).  Or NULL.
	 */
	uint8_t *claims;
	uint8_t kind;
};

/* A part that cannot be reached, or (NODE_BAD_RANGE) that must not be used. */
struct walk_fault {
	mblock_t block; /* the node, ... */
	mblock_t
		parent; /* ... and, for a bad child pointer, the node that has it; else WALK_NONE */
	enum node_fault fault;
	int io_error;	      /* -errno with NODE_UNREADABLE */
	uint64_t begin, last; /* the keys that belong there by all its parents, inclusive */
};
#define WALK_NONE ((mblock_t)UINT32_MAX)

struct walk *walk_new(const struct walk_setup *setup, struct err *err);
void walk_free(struct walk *w);

/*
 * Walks the trees under @roots.  May be called again with more roots.  Nodes that are known already
 * are not read again, and their leaves do not go to the leaf function again; the later roots' attr
 * and sharing do not spread into them.  Faults in the trees are not errors here.  0 or -errno.
 */
int walk_add(struct walk *w, const struct walk_root *roots, size_t nr, struct err *err);

/* All faults so far, ascending by block and parent.  Valid until the next walk_add(). */
const struct walk_fault *walk_faults(struct walk *w, size_t *nr);
/* The fault of a node reached, or NODE_OK; NODE_OUTSIDE for what lies beyond the device. */
enum node_fault walk_fault_of(struct walk *w, mblock_t block);

/*
 * Nodes that are no roots and hold fewer entries than the kernel leaves in them (a third
 * of what fits), ascending; *list is the caller's to free.
 */
int walk_underfull(struct walk *w, mblock_t **list, size_t *nr, struct err *err);

/* 0 = a leaf; -1: never reached, or its height is unknown because of damage. */
int walk_height(const struct walk *w, mblock_t block);
/* Is the node reached on more than one path (two pointers to it or to a node above it)? */
bool walk_shared(const struct walk *w, mblock_t block);
/* The least attr of the node's owners. */
uint32_t walk_attr(const struct walk *w, mblock_t block);
/*
 * The keys that all parents of a node allow in it, both inclusive.  For a node that was read: the
 * keys that are in it (empty: *first > *last).
 */
void walk_range(const struct walk *w, mblock_t block, uint64_t *first, uint64_t *last);

/*
 * The caller read @leaf for itself and found keys that are allowed.  The walk keeps @note in the place of the last
 * key that is allowed: walk_range() gives UINT64_MAX for that from now on.  Any thread, one for a leaf, after
 * walk_begin_notes(), which returns 0 or -ENOMEM.
 */
int walk_begin_notes(struct walk *w);
void walk_put_note(struct walk *w, mblock_t leaf, uint32_t note);
/* False: there is no note about the block. */
bool walk_get_note(const struct walk *w, mblock_t block, uint32_t *note);

/*
 * The children of an internal node that was read, in key order; WALK_NONE (as uint32_t) stands for
 * a bad pointer.  They are in @room or in the walk's memory.  NULL: not such a node.
 */
const uint32_t *walk_children(const struct walk *w, mblock_t block, uint32_t room[INTERNAL_MAX],
			      uint32_t *nr);

/*
 * The leaves below @block (a root, or any node reached) in key order, shared or not.  A node
 * with a fault comes in the place of its leaves; for a bad pointer @block is
 * WALK_NONE.  fn < 0 stops.
 */
struct walk_part {
	mblock_t block;
	bool shared; /* walk_shared() */
	enum node_fault fault;
};
typedef int walk_part_fn(void *ctx, const struct walk_part *part);
int walk_each(struct walk *w, mblock_t block, walk_part_fn *fn, void *ctx);

/* All leaves reached that are not faulty, ascending by location; *list is the caller's to free. */
int walk_leaves(struct walk *w, mblock_t **list, size_t *nr, struct err *err);
/* Puts the next ones from @from on, at most @nr, into @list; returns how many.  *from goes behind them. */
size_t walk_leaves_from(const struct walk *w, mblock_t *from, mblock_t *list, size_t nr);

/*
 * The number of entries in all leaves below @block.  @leaf_count, indexed by block, has the number
 * of each leaf as the leaf function noted it; leaves with a fault count 0.  The first call sums up
 * the whole forest, linear in pointers; walk_add() forgets the sums.
 */
uint64_t walk_sum(struct walk *w, mblock_t block, const uint16_t *leaf_count);

/*
 * Finding owners.  walk_mark() marks a node.  walk_has_marked(): is @block, which was reached, or a
 * node below it marked or faulty, or does one have a bad pointer?
 */
void walk_mark(struct walk *w, mblock_t block);
bool walk_has_marked(struct walk *w, mblock_t block);

#endif
