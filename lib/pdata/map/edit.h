/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef PDATA_SM_EDIT_H
#define PDATA_SM_EDIT_H
/*
 * A space map that is being changed: the reference counts of data blocks or of metadata blocks.
 *
 * Counts are changed in memory, bitmap by bitmap as they are touched, with counts above two in a
 * separate table; a commit puts them into blocks and trees.  The metadata map, which counts its own
 * blocks, works in the same way: allocating places for its bitmaps changes bitmaps in memory, and
 * it is done when every changed bitmap has a place.
 *
 * Functions that can fail return 0 or a negative errno with a text in @err: -EUCLEAN for impossible
 * counts (below zero, a pair of 3 without its count, a bitmap missing from the index), -EXFULL,
 * -ENOMEM, -EIO.  Threads: one at a time.
 */
#include "pdata/tree/edit.h"
#include "pdata/tree/tm.h"
#include "base/umap.h"

struct sm_page;

struct sm_edit {
	struct tm *tm;
	const char *what; /* "data" or "metadata", for messages */
	bool self;	  /* the metadata map: it counts its own blocks, and its index is one block */
	bool formatting;  /* nothing of it is on disk yet */
	bool index_known; /* self: index[] has been read */
	bool index_first; /* self: the index block takes its place before the bitmaps, as in commits of version 1.0.0 */
	bool full; /* the last search found nothing and nothing was freed since */
	bool changed;
	uint64_t nr_blocks;
	uint64_t nr_allocated;
	uint64_t committed_allocated; /* nr_allocated when the transaction began */
	uint64_t nr_fresh;	      /* blocks taken in this transaction */
	uint64_t nr_dirty;	      /* bitmaps changed in this transaction */
	mblock_t bitmap_root;	      /* index block or index tree */
	struct btree overflow, index_tree;
	uint64_t cursor; /* where the search for a free block begins */
	struct umap pages;    /* bitmap number -> struct sm_page * */
	struct umap overflows; /* counts above two that changed: block -> count + 1; 1: no longer */
	struct sm_page *last;  /* the page used last */
	struct disk_index_entry *index; /* self: MAX_METADATA_BITMAPS of them */
};

/* Opens the map at @root and reads nothing yet.  @tm must live longer.  0 or -ENOMEM. */
int sm_edit_init(struct sm_edit *sm, struct tm *tm, bool self, const struct sm_root *root,
		 struct err *err);
/* A new map of 0 blocks; sm_edit_grow() gives it some. */
int sm_edit_format(struct sm_edit *sm, struct tm *tm, bool self, struct err *err);
void sm_edit_fini(struct sm_edit *sm);

/* The references to block @b. */
int sm_edit_count(struct sm_edit *sm, uint64_t b, uint32_t *count, struct err *err);
/* Adds one reference, or removes one; *left: those that remain. */
int sm_edit_inc(struct sm_edit *sm, uint64_t b, struct err *err);
int sm_edit_dec(struct sm_edit *sm, uint64_t b, uint32_t *left, struct err *err);

/*
 * Takes the first block from the cursor on, then from the start, that is free now and was free when
 * the transaction began; its count becomes 1.  The cursor is then after that block, and stays there
 * across commits.
 */
int sm_edit_alloc(struct sm_edit *sm, uint64_t *b, struct err *err);

/* 1: @b was allocated in this transaction; 0: it was not; or a negative errno. */
int sm_edit_is_fresh(struct sm_edit *sm, uint64_t b, struct err *err);

/* Blocks that sm_edit_alloc() can still give in this transaction if nr_allocated is right. */
uint64_t sm_edit_usable(const struct sm_edit *sm);
/* Free blocks once the transaction is committed. */
uint64_t sm_edit_free_blocks(const struct sm_edit *sm);

/* Enlarges the map to @nr_blocks; the new blocks are free. */
int sm_edit_grow(struct sm_edit *sm, uint64_t nr_blocks, struct err *err);

/*
 * Puts the changes into metadata blocks and gives the root.  For the metadata map only
 * transaction_prepare() calls it.  Then sm_edit_end() when the commit is complete.
 */
int sm_edit_commit(struct sm_edit *sm, struct sm_root *root, struct err *err);
void sm_edit_end(struct sm_edit *sm);
/* Forgets all changes; the map is that of @root again. */
void sm_edit_abort(struct sm_edit *sm, const struct sm_root *root);

/*
 * Bounds the memory: unchanged bitmaps are dropped when there are more than 4096, changed counts
 * move to their tree when there are more than 262144.  Only when no pointer to a block is in use.
 */
int sm_edit_trim(struct sm_edit *sm, struct err *err);

#endif
