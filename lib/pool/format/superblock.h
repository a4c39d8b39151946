/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_SUPERBLOCK_H
#define POOL_SUPERBLOCK_H
/* Block 0, decoded. */
#include "dev/io.h"
#include "pool/format/format.h"

struct superblock {
	uint32_t flags;
	uint32_t version;
	uint32_t time; /* snapshot clock */
	uint64_t transaction_id;
	mblock_t held_root; /* 0: no metadata snapshot */
	struct sm_root data_sm;
	struct sm_root metadata_sm;
	mblock_t mapping_root;
	mblock_t details_root;
	uint32_t data_block_size; /* sectors */
	uint32_t metadata_block_size;
	uint64_t metadata_nr_blocks; /* when formatted; not a bound */
	uint32_t compat_flags, compat_ro_flags, incompat_flags;
	uint8_t uuid[16];
};

/* Reasons for which the kernel refuses the superblock, or misreads it. */
enum sb_fault {
	SB_OK,
	SB_UNREADABLE,
	SB_ALL_ZERO, /* unformatted: the kernel would format it */
	SB_WRONG_PLACE,
	SB_BAD_MAGIC,
	SB_BAD_CSUM,
	SB_UNFINISHED, /* written by superblock_invalidate(); the text says what happened */
};
const char *sb_fault_text(enum sb_fault f);

/* Checks place, magic and checksum, as the kernel does, and decodes; other fields are not judged. */
enum sb_fault superblock_open(struct superblock *sb, const void *block, mblock_t at);

/*
 * Reads and opens the superblock at @at: 0, when *fault says whether it is good, or the negative
 * errno of the read.
 */
int superblock_read(struct io *io, mblock_t at, struct superblock *sb, enum sb_fault *fault,
		    struct err *err);

/*
 * May a pool without devices have been formatted just now, perhaps over an older one?  One whose devices were deleted
 * has data blocks where a metadata snapshot holds them.
 */
static inline bool superblock_is_new(const struct superblock *sb)
{
	return !sb->transaction_id && !sb->data_sm.nr_allocated;
}

/* Tells the meter of @io how much will be read: the blocks in use. */
static inline void superblock_meter(const struct superblock *sb, struct io *io)
{
	uint64_t nr = io->size / MBLOCK_SIZE;

	meter_set_total(io->meter, MIN(nr, sb->metadata_sm.nr_allocated) * MBLOCK_SIZE);
}

/* Encodes into a zeroed 4096-byte @block and seals it for location @at. */
void superblock_seal(const struct superblock *sb, void *block, mblock_t at);

/* Writes @sb to block 0 and flushes: from then on @sb describes the pool. */
int superblock_write(const struct superblock *sb, struct io *io, struct err *err);

/*
 * Hears how far a writer of whole metadata is: true once block 0 is invalid and flushed, before the first
 * other write; false before block 0 is written for good.  @hear may be NULL.
 */
struct superblock_mark {
	void (*hear)(void *ctx, bool stands);
	void *ctx;
};

/*
 * Makes block 0 of @out invalid while a writer is at work, flushes, and tells @mark.  The block is never
 * zero: the kernel and LVM take zeros for an unformatted device.
 */
int superblock_invalidate(struct io *out, const struct superblock_mark *mark, struct err *err);
/* To be called before block 0 is written again. */
void superblock_mark_ends(const struct superblock_mark *mark);

/* Was block 0 of @io written by superblock_invalidate()?  Also false when it cannot be read. */
bool superblock_is_invalidated(struct io *io);

#endif
