/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef PDATA_TREE_TM_H
#define PDATA_TREE_TM_H
/*
 * The metadata blocks of a transaction, for the trees: reading, making, shadowing and counting
 * them.  Opening, committing and aborting a transaction is map/transaction.h.
 *
 * Functions that can fail return 0 or a negative errno with a text in @err: -EBADMSG and -EUCLEAN
 * for a damaged block, -EXFULL, -ENOMEM, -EIO.
 * Threads: one at a time.
 */
#include "pdata/block/bcache.h"
#include "pdata/tree/space.h"

struct tm;

/* Neither @io nor @space becomes the tm's; both must live longer.  NULL: no memory. */
struct tm *tm_make(struct io *io, struct space *space);
/* Forgets all blocks, dirty ones as well. */
void tm_free(struct tm *tm);

/* Reads a node. bcache.h says how long *n is valid. */
int tm_read_node(struct tm *tm, mblock_t b, uint32_t leaf_value_size, const struct disk_node **n,
		 struct err *err);
/* Reads a block that is no node, likewise. */
int tm_read(struct tm *tm, mblock_t b, enum csum_salt salt, const void **data, struct err *err);

/* Reads and verifies a block into @buf (4096 bytes, from io_alloc()), past the cache. */
int tm_read_uncached(struct tm *tm, mblock_t b, enum csum_salt salt, void *buf, struct err *err);

/* A new block with one reference: zeroed and dirty. */
int tm_new(struct tm *tm, enum csum_salt salt, mblock_t *b, void **data, struct err *err);

/* Makes the 4096 bytes at @from the contents of @b, which tm_new() gave in this transaction. */
int tm_put_block(struct tm *tm, mblock_t b, enum csum_salt salt, const void *from, struct err *err);

/*
 * Gives a node to change.  *b is its place and becomes its new place; if that differs, the caller
 * must change the pointer to the node.  *was_shared: something else still points at the old place,
 * so all that the node points at has gained a reference, which the caller must count.
 */
int tm_shadow(struct tm *tm, mblock_t *b, uint32_t leaf_value_size, struct disk_node **n,
	      bool *was_shared, struct err *err);

/* Adds one reference to @b. */
int tm_inc(struct tm *tm, mblock_t b, struct err *err);
/* Removes one; *left: those that remain.  At 0 the block is free from the next transaction on. */
int tm_dec(struct tm *tm, mblock_t b, uint32_t *left, struct err *err);
int tm_count(struct tm *tm, mblock_t b, uint32_t *count, struct err *err);

/*
 * Bounds the memory of the cache and of the space; only when no pointer to a block is in use.  May
 * write dirty blocks early (nothing reaches them yet).
 */
int tm_trim(struct tm *tm, struct err *err);

/* How many clean and dirty blocks of 4 KiB a trim leaves; 8192 and 16384 unless told.  Tests
 * make them small. */
void tm_set_limits(struct tm *tm, size_t clean, size_t dirty);

/* For map/transaction.c.  Writes all dirty blocks in location order, then flushes. */
int tm_write(struct tm *tm, struct err *err);
/* Call it at the end of a transaction: evicts blocks above the limits. */
void tm_end(struct tm *tm);
/* Forgets all blocks, dirty ones as well. */
void tm_drop(struct tm *tm);

#endif
