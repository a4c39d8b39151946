/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef PDATA_BCACHE_H
#define PDATA_BCACHE_H
/*
 * The block cache under a transaction: each block is read and verified once, changed in
 * memory, and written in location order when the transaction commits.
 *
 * A pointer to a block's bytes stays valid until the next bcache_trim() (or until the block is made
 * anew, or all blocks are dropped), so blocks need no pinning.  Trim only when no such pointer is
 * in use.
 *
 * Memory: @max_clean clean blocks after a trim, and the dirty ones: 4096 bytes and about 100
 * bytes each.  Threads: one at a time.
 */
#include "dev/io.h"
#include "pdata/block/csum.h"

struct bcache;

/* @io stays the caller's and must live longer.  @max_clean: blocks.  NULL: no memory. */
struct bcache *bcache_new(struct io *io, size_t max_clean);
/* Dirty blocks are not written.  NULL is allowed. */
void bcache_free(struct bcache *c);

/*
 * The block at @b, read and verified for @salt when it is not in the cache; a node is also opened
 * with @leaf_value_size (pass 0 for other blocks).  *data belongs to the cache.  0; -EBADMSG for
 * a bad checksum; -EUCLEAN when the block is of another kind or place; -EIO; -ENOMEM.
 */
int bcache_read(struct bcache *c, mblock_t b, enum csum_salt salt, uint32_t leaf_value_size,
		void **data, struct err *err);

/* A block whose old contents are not needed: zeroed and dirty.  0 or -ENOMEM. */
int bcache_make(struct bcache *c, mblock_t b, enum csum_salt salt, void **data, struct err *err);

/*
 * The bytes of @b, which bcache_read() has just given, are about to change: the next bcache_write()
 * writes them.
 */
void bcache_dirty(struct bcache *c, mblock_t b);

/* @b is free again: its contents will not be written. */
void bcache_forget(struct bcache *c, mblock_t b);

/* How many blocks are dirty. */
size_t bcache_nr_dirty(const struct bcache *c);

/*
 * Seals and writes all dirty blocks, ascending, neighbours in one request; no flush.  Those
 * written are clean afterwards.  After an error any of them may have been written, or not.
 */
int bcache_write(struct bcache *c, struct err *err);

/* Evicts the clean blocks used longest ago, down to @max_clean. */
void bcache_trim(struct bcache *c);

void bcache_set_max_clean(struct bcache *c, size_t max_clean);

/* Forgets everything, dirty blocks as well. */
void bcache_drop(struct bcache *c);

#endif
