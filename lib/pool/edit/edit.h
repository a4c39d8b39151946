/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_EDIT_H
#define POOL_EDIT_H
/*
 * A pool's metadata, opened to be changed: what dm-thin does to it, in transactions.
 * doc/format.md, sections 7 and 8.
 *
 * Opening reads block 0; everything else is read where it is touched, so that a large pool
 * opens as fast as a small one.
 *
 * Changes stay in memory until edit_commit().  A function that refuses a change (-EEXIST, -ENOENT,
 * -EBUSY, -EINVAL) has changed nothing.  After any other error the transaction cannot be committed:
 * call edit_abort().  -EXFULL: the pool has no free block; -ENOSPC is kept for a full disk below a file.
 *
 * Threads: one at a time, lookups included (they fill the cache).
 * Memory: that of map/transaction.h, and 160 bytes for each device touched.
 */
#include "base/runs.h"
#include "dev/io.h"
#include "pool/format/pool_info.h"
#include "pool/format/superblock.h"

struct pool_edit;

/*
 * Opens the pool in @io, which stays the caller's.  Checks what the kernel checks when it
 * opens a pool, and with @write what it checks before it writes (unknown features,
 * needs_check: -ENOTSUP).  An unformatted device is -ENODATA.
 */
int edit_open(struct io *io, bool write, struct pool_edit **out, struct err *err);

/* A new pool on the (zeroed) device; nothing is written before edit_commit(). */
int edit_format(struct io *io, uint32_t data_block_sectors, struct pool_edit **out,
		struct err *err);
/* Frees; changes that were not committed are lost. */
void edit_free(struct pool_edit *p);

/* The superblock as it would be committed; valid until the next call. */
const struct superblock *edit_superblock(const struct pool_edit *p);

/* May the pool be changed? */
bool edit_writable(const struct pool_edit *p);
/* Has anything changed since the last commit? */
bool edit_changed(const struct pool_edit *p);

/*
 * Commits, in the order that map/transaction.h gives; the caller has flushed the data device.  0:
 * the transaction is on the disk.  An error with *unsure false: the pool on the disk is as it was.
 * With *unsure true the superblock may or may not have been written: write no more, and open the
 * pool again.
 */
int edit_commit(struct pool_edit *p, bool *unsure, struct err *err);
/* For a dry run: would a commit find the blocks that it needs?  Writes nothing, and drops all changes. */
int edit_try_commit(struct pool_edit *p, struct err *err);
/* Drops all changes since the last commit. */
void edit_abort(struct pool_edit *p);

/*
 * After a failure: reads the superblock again, sets needs_check in it, and writes it.  Nothing else
 * is written.  Afterwards the pool in memory is that on the disk and takes no more changes.
 */
int edit_set_needs_check(struct pool_edit *p, struct err *err);

/* How much is free.  The kernel keeps back metadata_reserve() blocks (format.h). */
struct edit_space {
	uint64_t data_total, data_free;
	uint64_t metadata_total, metadata_free;
	uint64_t metadata_usable; /* can still be taken in this transaction, reserve left alone */
	uint64_t metadata_left;	  /* the same with the reserve: for changes that give space back */
	uint64_t metadata_wanted; /* blocks that one more change and the commit need at worst */
};
void edit_space(const struct pool_edit *p, struct edit_space *s);

/*
 * Makes the pool as large as a device that has grown.  A smaller size is refused, as the kernel does
 * (-EINVAL).  Metadata blocks beyond the format's limit are not used.
 */
int edit_grow_data(struct pool_edit *p, uint64_t nr_blocks, struct err *err);
int edit_grow_metadata(struct pool_edit *p, uint64_t nr_blocks, struct err *err);

/* The changes that messages ask for. */
int edit_create_thin(struct pool_edit *p, uint32_t id, struct err *err);
int edit_create_snap(struct pool_edit *p, uint32_t id, uint32_t origin, struct err *err);
int edit_delete(struct pool_edit *p, uint32_t id, struct err *err);
int edit_set_transaction_id(struct pool_edit *p, uint64_t old, uint64_t now, struct err *err);
int edit_reserve_metadata_snap(struct pool_edit *p, struct err *err);
int edit_release_metadata_snap(struct pool_edit *p, struct err *err);

/* -ENOENT with a text when there is no such device. */
int edit_device(struct pool_edit *p, uint32_t id, struct device_info *out, struct err *err);

/* All devices, ascending by id: by it tests compare pools.  A return other than 0 stops and is returned. */
typedef int edit_device_fn(void *ctx, const struct device_info *d);
int edit_each_device(struct pool_edit *p, edit_device_fn *fn, void *ctx, struct err *err);

struct mapping {
	dblock_t block;
	uint32_t time;
	bool shared; /* the device was snapshotted since: a write must go to a new block */
};
/* -ENOENT (without a text): not mapped. */
int edit_lookup(struct pool_edit *p, uint32_t id, vblock_t v, struct mapping *out,
		struct err *err);

/* Mapped blocks in [begin, end), ascending; a return other than 0 stops and is returned. */
typedef int edit_mapping_fn(void *ctx, vblock_t v, const struct mapping *m);
int edit_each_mapping(struct pool_edit *p, uint32_t id, vblock_t begin, vblock_t end,
		      edit_mapping_fn *fn, void *ctx, struct err *err);

/* One past the last mapped block, 0 when nothing is mapped.  -EUCLEAN: no number is past it. */
int edit_mapped_end(struct pool_edit *p, uint32_t id, vblock_t *end, struct err *err);

/*
 * Takes the next free data block, in the kernel's order, for edit_map(); the caller writes the
 * block's contents.  -EXFULL: none is free.  No commit may come between this and edit_map(): after
 * a crash the block would be leaked.
 */
int edit_alloc_data(struct pool_edit *p, dblock_t *block, struct err *err);
/* Gives back a block that edit_alloc_data() gave. */
int edit_free_data(struct pool_edit *p, dblock_t block, struct err *err);

/* Maps @v to @block; the block mapped there before loses its reference. */
int edit_map(struct pool_edit *p, uint32_t id, vblock_t v, dblock_t block, struct err *err);

/* Unmaps [begin, end) (a discard); *nr (may be NULL) were mapped. */
int edit_unmap(struct pool_edit *p, uint32_t id, vblock_t begin, vblock_t end, uint64_t *nr,
	       struct err *err);

/*
 * From now on data blocks whose count falls to zero are added to @freed (NULL ends this): they may
 * be discarded once the transaction is committed.
 */
void edit_collect_freed(struct pool_edit *p, struct runs *freed);

/* The reference count of a data block. */
int edit_data_count(struct pool_edit *p, dblock_t block, uint32_t *count, struct err *err);

#endif
