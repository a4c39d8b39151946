/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_TARGET_IMPL_H
#define VOLUME_TARGET_IMPL_H
/*
 * The inside of the target, private to this room.
 *
 * Locks, in this order:
 *   io     a request holds it shared while it runs; commits, discards and messages hold it exclusively.
 *          So a commit never sees a block that is allocated and not yet mapped (a crash would leak
 *          it).  A block is freed only while no request reads or writes it.
 *   cell   one of several mutexes, chosen by device and block: who provisions a block, or breaks
 *          its sharing, holds it, so that it happens once.
 *   meta   the pool's metadata.  With io held exclusively it is not needed.
 *
 * While io is held shared, what a block is mapped to changes in one way only: from nothing, or from a
 * data block that another device has as well, to a data block of its own.  The devices' caches remember what blocks
 * are mapped to.  They are changed with meta held, at once with the mapping (or with io held exclusively), and
 * read without a lock.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "volume/target/target.h"

#define NR_CELLS 64
#define CACHE_BITS 16

struct target {
	pthread_rwlock_t io;
	pthread_mutex_t cell[NR_CELLS];
	pthread_mutex_t meta;
	struct pool_edit *pool;
	struct io *data;
	struct io *own_data, *own_metadata; /* to be closed with the target, or NULL */
	struct target_options opt;
	uint64_t block_size; /* bytes */
	_Atomic uint64_t filled; /* bytes of new blocks */
	atomic_bool changed; /* there is something to commit */
	atomic_bool failed;  /* a metadata operation or a flush failed: give up the transaction */
	atomic_bool writable;	   /* the metadata may be changed */
	atomic_bool data_writable; /* blocks that are mapped and unshared may be written */
	struct runs freed;	 /* data blocks to discard after the next commit */
	struct target_dev *devs; /* list; under io */
};

struct target_dev {
	struct target *t;
	struct target_dev *next;
	uint32_t id;
	uint64_t size;
	struct io *origin;
	uint64_t origin_size; /* bytes; need not be whole sectors */
	/*
	 * bit 63: valid; two bits: enum spot_kind; then the thin block's number >> CACHE_BITS; the low 40 bits: its
	 * data block
	 */
	_Atomic uint64_t cache[1 << CACHE_BITS];
};

enum spot_kind { SPOT_NONE, SPOT_OWN, SPOT_SHARED };
struct spot {
	enum spot_kind kind;
	dblock_t block;
};

/* Where block @v is.  io is held; meta is not, it is taken here. */
int target_lookup(struct target_dev *d, vblock_t v, struct spot *s, struct err *err);
/*
 * Block @v of device @id, under all names, is mapped to a data block of its own now; meta is held.  A thread that
 * learns this without a lock sees the block's contents, too.
 */
void target_moved(struct target *t, uint32_t id, vblock_t v, dblock_t block);
/* [begin, end) of device @id, under all names; io is held exclusively. */
void target_forget(struct target *t, uint32_t id, vblock_t begin, vblock_t end);
void target_forget_all(struct target *t);

/* The origin's bytes, zeros after its end. */
int target_read_origin(struct target_dev *d, void *buf, size_t len, uint64_t at, struct err *err);

/*
 * Writes @len bytes at @at, within one block that is unmapped or shared.  io is held shared.
 * -EAGAIN: commit, then try again; with @last it is -EXFULL.
 */
int target_provision(struct target_dev *d, const void *buf, size_t len, uint64_t at, bool last,
		     struct err *err);

/* Is there metadata space for one more change? 0, -EAGAIN or -EXFULL.  meta is held. */
int target_space(struct target *t, bool last, struct err *err);

/* Commits; io is held exclusively. */
int target_commit_locked(struct target *t, struct err *err);
/* A metadata operation failed: gives up the transaction, sets needs_check. Without a lock held. */
void target_give_up(struct target *t);

int target_check_range(const struct target_dev *d, uint64_t len, uint64_t at, struct err *err);

#endif
