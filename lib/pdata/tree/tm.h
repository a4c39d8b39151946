/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PDATA_TM_H
#define PDATA_TM_H
/*
 * Transactions over a metadata device.
 *
 * A transaction begins with tm_open() or tm_format() and after each tm_end(); it ends
 * with a commit or with tm_abort().  In between nothing that the superblock on disk reaches
 * is written: a block that is touched for the first time gets a new location (a shadow), and a
 * location is taken only when it is free in the committed map and in the map being built.
 *
 * A commit, in this order:
 *   1. the caller flushes the data device, so that no mapping outlives its data;
 *   2. the caller puts what it holds in memory into its trees and commits its other space
 *      maps (sm_edit_commit()): both allocate metadata blocks;
 *   3. tm_prepare(): the metadata map allocates places for its own changed parts, until
 *      nothing changes any more, and gives its new root;
 *   4. tm_write(): all dirty blocks in location order, then a flush;
 *   5. the caller writes the superblock, and flushes;
 *   6. tm_end().
 * Up to and including 4 a failure costs only the transaction: tm_abort(), and the device is as
 * it was.  Between 3 and 6 nothing may allocate, shadow or free.  When 5 fails nobody knows
 * which state the device is in: read the superblock again, and do not write to anything that
 * either state reaches.
 *
 * Threads: one at a time.  Memory: that of bcache.h, 8 KiB for each 16320 blocks of a space
 * map that are touched, 22 to 43 bytes for each count above two that changes.
 */
#include "pdata/block/bcache.h"

struct tm;
struct sm_edit;

/* The metadata map at @root.  Reads nothing: the map is loaded where it is touched. */
int tm_open(struct io *io, const struct sm_root *root, struct tm **out, struct err *err);

/* An empty map of @nr_blocks in which block 0 is taken; commit it before anything is read back. */
int tm_format(struct io *io, uint64_t nr_blocks, struct tm **out, struct err *err);
void tm_free(struct tm *tm);

/* The counts of metadata blocks. */
struct sm_edit *tm_map(struct tm *tm);

/* A node to look at; see bcache.h for how long *data is good. */
int tm_read_node(struct tm *tm, mblock_t b, uint32_t leaf_value_size, const struct disk_node **n,
		 struct err *err);
int tm_read(struct tm *tm, mblock_t b, enum csum_salt salt, const void **data, struct err *err);

/* Verified bytes of a block into @buf (4096, from io_alloc()), past the cache. */
int tm_read_uncached(struct tm *tm, mblock_t b, enum csum_salt salt, void *buf, struct err *err);

/* A new block with one reference: zeroed and dirty.  -ENOSPC. */
int tm_new(struct tm *tm, enum csum_salt salt, mblock_t *b, void **data, struct err *err);

/* The 4096 bytes at @from become the contents of the new block @b. */
int tm_put_block(struct tm *tm, mblock_t b, enum csum_salt salt, const void *from, struct err *err);

/*
 * A node to change.  *b is where it is and becomes where it will be; whoever points at it must
 * be changed when that differs.  *was_shared: somebody else still points at the old place, so
 * all that the node points at has gained a reference, which the caller must count.
 */
int tm_shadow(struct tm *tm, mblock_t *b, uint32_t leaf_value_size, struct disk_node **n,
	      bool *was_shared, struct err *err);

int tm_inc(struct tm *tm, mblock_t b, struct err *err);
/* *left: the count that remains; at 0 the block is free, from the next transaction on. */
int tm_dec(struct tm *tm, mblock_t b, uint32_t *left, struct err *err);
int tm_count(struct tm *tm, mblock_t b, uint32_t *count, struct err *err);

int tm_prepare(struct tm *tm, struct sm_root *root, struct err *err);
int tm_write(struct tm *tm, struct err *err);
void tm_end(struct tm *tm);

/* Forgets the transaction; the map is again the one at @root, which the superblock on disk says. */
void tm_abort(struct tm *tm, const struct sm_root *root);

/*
 * Bounds the memory; only where nobody holds a pointer to a block.  May write dirty
 * blocks early (nothing reaches them yet).
 */
int tm_trim(struct tm *tm, struct err *err);

/* How many clean and dirty blocks a trim leaves: what is usual is 32 and 64 MiB. */
void tm_set_limits(struct tm *tm, size_t clean, size_t dirty);

/* Blocks changed since the last commit. */
size_t tm_nr_dirty(const struct tm *tm);

#endif
