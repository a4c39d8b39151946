/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef PDATA_TREE_TM_H
#define PDATA_TREE_TM_H
/*
 * The metadata blocks of a transaction, for the trees: reading, making, shadowing and counting
 * them.  Opening, committing and aborting a transaction is map/transaction.h.
 *
 * Functions that can fail return 0 or a negative errno with a text in @err: -EBADMSG and -EUCLEAN
 * for a block that is not what it should be, -ENOSPC, -ENOMEM, -EIO.
 * Threads: one at a time.
 */
#include "pdata/block/bcache.h"
#include "pdata/tree/space.h"

struct tm;

/* Neither @io nor @space becomes the tm's; both must live longer.  NULL: no memory. */
struct tm *tm_make(struct io *io, struct space *space);
/* Forgets all blocks, dirty ones as well. */
void tm_free(struct tm *tm);

/* A node to look at; bcache.h says how long *n is good. */
int tm_read_node(struct tm *tm, mblock_t b, uint32_t leaf_value_size, const struct disk_node **n,
		 struct err *err);
/* A block that is no node, likewise. */
int tm_read(struct tm *tm, mblock_t b, enum csum_salt salt, const void **data, struct err *err);

/* Verified bytes of a block into @buf (4096, from io_alloc()), past the cache. */
int tm_read_uncached(struct tm *tm, mblock_t b, enum csum_salt salt, void *buf, struct err *err);

/* A new block with one reference: zeroed and dirty. */
int tm_new(struct tm *tm, enum csum_salt salt, mblock_t *b, void **data, struct err *err);

/* Makes the 4096 bytes at @from the contents of @b, which tm_new() gave in this transaction. */
int tm_put_block(struct tm *tm, mblock_t b, enum csum_salt salt, const void *from, struct err *err);

/*
 * A node to change.  *b is where it is and becomes where it will be; whoever points at it must
 * be changed when that differs.  *was_shared: somebody else still points at the old place, so
 * all that the node points at has gained a reference, which the caller must count.
 */
int tm_shadow(struct tm *tm, mblock_t *b, uint32_t leaf_value_size, struct disk_node **n,
	      bool *was_shared, struct err *err);

/* One reference to @b more. */
int tm_inc(struct tm *tm, mblock_t b, struct err *err);
/* One less; *left: those that remain.  At 0 the block is free, from the next transaction on. */
int tm_dec(struct tm *tm, mblock_t b, uint32_t *left, struct err *err);
int tm_count(struct tm *tm, mblock_t b, uint32_t *count, struct err *err);

/*
 * Bounds the memory of the cache and of the space; only where nobody holds a pointer to a block.
 * May write dirty blocks early (nothing reaches them yet).
 */
int tm_trim(struct tm *tm, struct err *err);

/* How many clean and dirty blocks of 4 KiB a trim leaves; 8192 and 16384 unless told. */
void tm_set_limits(struct tm *tm, size_t clean, size_t dirty);

/* For map/transaction.c.  Writes all dirty blocks in location order, then flushes. */
int tm_write(struct tm *tm, struct err *err);
/* The transaction is over: evicts what the limits do not allow. */
void tm_end(struct tm *tm);
/* Forgets all blocks, dirty ones as well. */
void tm_drop(struct tm *tm);

#endif
