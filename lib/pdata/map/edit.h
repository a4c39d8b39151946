/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PDATA_SM_EDIT_H
#define PDATA_SM_EDIT_H
/*
 * A space map that is being changed: the reference counts of data blocks or of metadata blocks.
 *
 * Counts are changed in memory, bitmap by bitmap as they are touched, with those above two in
 * a table beside; a commit puts them into blocks and trees.  That is what makes the metadata
 * map, which counts the blocks it is itself made of, no special case: while it allocates
 * places for its bitmaps it changes bitmaps in memory, and is done when no changed
 * bitmap is left without a place.
 *
 * Errors: -EUCLEAN for counts that cannot be (below zero, a pair of 3 without its count, a
 * bitmap missing from the index); -ENOSPC.  Threads: one at a time.
 */
#include "pdata/tree/edit.h"
#include "pdata/tree/tm.h"
#include "base/umap.h"

struct sm_page;

struct sm_edit {
	struct tm *tm;
	const char *what; /* "data" or "metadata", for messages */
	bool self;	  /* this is the metadata map, its index is one block */
	bool formatting;  /* nothing of it is on disk yet */
	bool index_known; /* self: index[] has been read */
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

/* Loads nothing.  -ENOMEM. */
int sm_edit_init(struct sm_edit *sm, struct tm *tm, bool self, const struct sm_root *root,
		 struct err *err);
/* A map of no blocks, to be grown. */
int sm_edit_format(struct sm_edit *sm, struct tm *tm, bool self, struct err *err);
void sm_edit_fini(struct sm_edit *sm);

int sm_edit_count(struct sm_edit *sm, uint64_t b, uint32_t *count, struct err *err);
int sm_edit_inc(struct sm_edit *sm, uint64_t b, struct err *err);
int sm_edit_dec(struct sm_edit *sm, uint64_t b, uint32_t *left, struct err *err);

/*
 * Takes the first block from the cursor on, then from the start, that is free now and was free
 * when the transaction began; its count becomes 1.  The cursor then stands behind it and stays
 * where it is across commits.
 */
int sm_edit_alloc(struct sm_edit *sm, uint64_t *b, struct err *err);

/* Was @b taken in this transaction?  1, 0 or an error. */
int sm_edit_is_fresh(struct sm_edit *sm, uint64_t b, struct err *err);

/* Blocks that sm_edit_alloc() can still give in this transaction, believing nr_allocated. */
uint64_t sm_edit_usable(const struct sm_edit *sm);
/* Free blocks once the transaction is committed. */
uint64_t sm_edit_free_blocks(const struct sm_edit *sm);

/* To a larger number of blocks; the new ones are free. */
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
 * Bounds the memory: pages that did not change go, and very many changed counts move to
 * their tree.  Not while a pointer to a block is held.
 */
int sm_edit_trim(struct sm_edit *sm, struct err *err);

#endif
