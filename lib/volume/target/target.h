/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_TARGET_H
#define VOLUME_TARGET_H
/*
 * dm-thin with external origins in user space: the thin devices of one pool as bytes.
 *
 * Changes to the metadata are a transaction: target_flush() commits it, and so does target_tick(),
 * which the caller calls every second.  Data reaches the disk before the
 * metadata that names it.  After a crash at any moment the pool is as it was after the last
 * commit, and everything that was flushed is there.
 *
 * Threads: all I/O functions, target_flush() and target_tick() may run on any number of threads at
 * once.  Reads, and writes to blocks that are mapped and not shared, run in parallel; so does the
 * copying when blocks are provisioned or their sharing is broken.  The order of overlapping
 * requests in flight is undefined, as on any disk.
 *
 * Errors: -EXFULL out of data or metadata space, nothing is broken (-ENOSPC is a full disk below a
 * file); -EROFS the pool is read-only, because it was opened so or because a metadata operation or a flush failed (then needs_check is
 * set and what was not committed is lost; reads go on, and so do writes to unshared mapped blocks
 * if the state of the superblock is known); -EIO, -EUCLEAN, -EBADMSG for devices and damage;
 * -EINVAL for a range outside of the device.
 *
 * Memory: that of edit.h, 512 KiB for each device opened, and a block (at most 1 MiB) for each
 * request that copies.
 */
#include "dev/io.h"
#include "pool/edit/edit.h"
#include "pool/edit/message.h"
#include "volume/map/map.h"
#include "volume/open/pool_arg.h"

struct target;
struct target_dev;

struct target_options {
	bool skip_zeroing;   /* new blocks are not zeroed: skip_block_zeroing */
	bool ignore_discard; /* discards do nothing */
	bool no_passdown;    /* space that discards free is kept on the data device */
	bool data_read_only; /* no write to the data device at all */
};

/*
 * Serves @pool with data on @data.  On success @pool is the target's; after an error @pool is
 * still the caller's.  @data and the metadata device under @pool stay the caller's in any case.
 * -EINVAL: the data device is too small (a target that only reads takes such a device).
 */
int target_new(struct pool_edit *pool, struct io *data, const struct target_options *opt,
	       struct target **out, struct err *err);

/*
 * Opens devices and pool and serves them.  @data_dev: NULL for the table's.  With DEV_WRITE in
 * @flags (dev.h) the pool is activated (activate.h, also for @force): formatted, grown;
 * DEV_SHARED or DEV_FORCE only read.
 */
int target_open(const struct pool_arg *arg, const char *data_dev, unsigned flags, bool force,
		struct target **out, struct err *err);

/* Commits, and closes what it owns.  The error is that of the commit. */
int target_close(struct target *t, struct err *err);
/* Closes without a commit, as after a crash. */
void target_drop(struct target *t);

/*
 * Opens device @id.  @origin (NULL: none) stays the caller's.  @size in bytes; 0: the larger of
 * the origin and the end of the last mapped block.  The device lives as long as the target.
 */
int target_device(struct target *t, uint32_t id, uint64_t size, struct io *origin,
		  struct target_dev **out, struct err *err);
/* Bytes up to the end of the last mapped block of device @id.  As target_device() when it fails. */
int target_mapped_end(struct target *t, uint32_t id, uint64_t *end, struct err *err);
uint64_t target_size(const struct target_dev *d);

int target_read(struct target_dev *d, void *buf, size_t len, uint64_t at, struct err *err);
int target_write(struct target_dev *d, const void *buf, size_t len, uint64_t at, struct err *err);
/* Unmaps the whole blocks in the range. */
int target_discard(struct target_dev *d, uint64_t len, uint64_t at, struct err *err);
/*
 * Writes zeros.  With @may_unmap, whole blocks that read as zeros when unmapped, also where the origin has a hole, are
 * unmapped, unless new blocks are not zeroed: there zeros last only as data.
 */
int target_zero(struct target_dev *d, uint64_t len, uint64_t at, bool may_unmap, struct err *err);
/* 0: all that was completed before is on the disk.  After a failure all later flushes fail, too. */
int target_flush(struct target *t, struct err *err);
/* Commits when something has changed.  Errors stop the pool as said above. */
int target_tick(struct target *t, struct err *err);

/*
 * @kind: EXTENT_DATA, also for the bytes of the origin, or EXTENT_ZERO.  A return other than 0
 * ends the walk and is returned.
 */
typedef int target_extent_fn(void *ctx, uint64_t at, uint64_t len, enum extent_kind kind);
/*
 * Reports the parts of [at, at+len), ascending, neighbours of one kind joined: EXTENT_DATA,
 * EXTENT_ZERO, or EXTENT_STALE where the pool is writable and does not zero new blocks.
 */
int target_extents(struct target_dev *d, uint64_t len, uint64_t at, target_extent_fn *fn,
		   void *ctx, struct err *err);

/*
 * All of the messages and a commit, or none of them.  No program of ours sends messages to a pool that it serves;
 * tests do, to hold the target against the kernel.
 */
int target_message(struct target *t, const struct message *list, size_t nr, struct err *err);

/* For the caller's questions about devices and space; not while I/O is running. */
struct pool_edit *target_pool(struct target *t);

#endif
