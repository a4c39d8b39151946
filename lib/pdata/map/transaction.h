/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef PDATA_MAP_TRANSACTION_H
#define PDATA_MAP_TRANSACTION_H
/*
 * Transactions over a metadata device: owns the cache of blocks (tree/tm.h) and the map that
 * counts them, and hands the map to the trees as their struct space.
 *
 * A transaction begins with transaction_open() or transaction_format() and after each
 * transaction_end(); it ends with a commit or with transaction_abort().  In between nothing that
 * the superblock on disk reaches is written: a block that is touched for the first time gets a new
 * location (a shadow), and a location is taken only when it is free in the committed map and in
 * the map being built.
 *
 * A commit, in this order:
 *   1. the caller flushes the data device, so that no mapping outlives its data;
 *   2. the caller puts what it holds in memory into its trees and commits its other space
 *      maps (sm_edit_commit()): both allocate metadata blocks;
 *   3. transaction_prepare(): the metadata map allocates places for its own changed parts, until
 *      nothing changes any more, and gives its new root;
 *   4. transaction_write(): all dirty blocks in location order, then a flush;
 *   5. the caller writes the superblock, and flushes;
 *   6. transaction_end().
 * Up to and including 4 a failure costs only the transaction: transaction_abort(), and the device
 * is unchanged.  Between 3 and 6 nothing may allocate, shadow or free.  When 5 fails it is not
 * known which state the device is in: read the superblock again, and do not write to anything that
 * either state reaches.
 *
 * Functions that can fail return 0 or a negative errno with a text in @err.
 * Threads: one at a time.  Memory: that of bcache.h, 8 KiB for each 16320 blocks of a space
 * map that are touched, 22 to 43 bytes for each count above two that changes.
 */
#include "pdata/map/edit.h"

struct transaction;

/*
 * Over the metadata map at @root.  Reads nothing: the map is loaded where it is touched.  @io
 * stays the caller's and must live longer.  -ENOMEM.
 */
int transaction_open(struct io *io, const struct sm_root *root, struct transaction **out,
		     struct err *err);
/*
 * Over an empty map of @nr_blocks in which block 0 is taken.  Commit it before anything is read
 * back.
 */
int transaction_format(struct io *io, uint64_t nr_blocks, struct transaction **out,
		       struct err *err);
/* Forgets what was not committed.  NULL is allowed. */
void transaction_free(struct transaction *t);

/* What trees work on.  Belongs to the transaction. */
struct tm *transaction_tm(struct transaction *t);
/* The counts of metadata blocks.  Belongs to the transaction. */
struct sm_edit *transaction_map(struct transaction *t);

int transaction_prepare(struct transaction *t, struct sm_root *root, struct err *err);
int transaction_write(struct transaction *t, struct err *err);
void transaction_end(struct transaction *t);

/*
 * Forgets the transaction; the map is again the one at @root, which the superblock on disk names.
 */
void transaction_abort(struct transaction *t, const struct sm_root *root);

#endif
