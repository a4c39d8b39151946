/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_FORMAT_H
#define POOL_FORMAT_H
/* On-disk structures of dm-thin.  drivers/md/dm-thin-metadata.c */
#include "pdata/block/format.h"

#define THIN_MAGIC 27022010
#define THIN_VERSION 2
/*
 * Superblock flags, bit 0.  Set by edit_set_needs_check() (pool/edit/edit.c), cleared in place by
 * pool/check/fix.c, and kept or left out of rebuilt metadata by pool/build/end.c.
 */
#define THIN_NEEDS_CHECK 1u
#define MAX_DEV_ID ((1u << 24) - 1)
#define MAX_TIME ((1u << 24) - 1)
#define TIME_MARGIN 65536 /* snapshots before the clock's end at which users are warned */
#define MAX_DATA_BLOCK (((uint64_t)1 << 40) - 1)
#define MAX_NR_DATA_BLOCKS (MAX_DATA_BLOCK + 1)
#define DATA_BLOCK_SECTORS_MIN 128
#define DATA_BLOCK_SECTORS_MAX 2097152

struct disk_superblock {
	le32 csum;
	le32 flags;
	le64 blocknr;
	uint8_t uuid[16];
	le64 magic;
	le32 version;
	le32 time;
	le64 trans_id;
	le64 held_root;
	struct disk_sm_root data_sm;
	uint8_t data_sm_pad[96];
	struct disk_sm_root metadata_sm;
	uint8_t metadata_sm_pad[96];
	le64 mapping_root;
	le64 details_root;
	le32 data_block_size;	  /* sectors */
	le32 metadata_block_size; /* sectors */
	le64 metadata_nr_blocks;
	le32 compat_flags;
	le32 compat_ro_flags;
	le32 incompat_flags;
	uint8_t unused[MBLOCK_SIZE - 364];
} __attribute__((packed));
static_assert(sizeof(struct disk_superblock) == MBLOCK_SIZE, "on-disk size");
static_assert(offsetof(struct disk_superblock, mapping_root) == 320, "on-disk layout");
static_assert(offsetof(struct disk_superblock, incompat_flags) == 360, "on-disk layout");

/*
 * Of @nr_blocks metadata blocks: the number of free ones at which the kernel makes the pool
 * read-only, and the number at which it sends the event that metadata runs low.
 */
static inline uint64_t metadata_reserve(uint64_t nr_blocks)
{
	return MIN(4096, nr_blocks / 10);
}

static inline uint64_t metadata_low_water(uint64_t nr_blocks)
{
	return MIN(1024, nr_blocks / 4);
}

/* Leaf value of the details tree */
struct disk_details {
	le64 mapped_blocks; /* data blocks mapped */
	le64 transaction_id;
	le32 creation_time; /* snapshot clock, not seconds */
	le32 snapshotted_time;
} __attribute__((packed));
static_assert(sizeof(struct disk_details) == 24, "on-disk size");

/* Leaf value of a device's mapping tree */
static inline dblock_t mapping_block(uint64_t value)
{
	return value >> 24;
}

static inline uint32_t mapping_time(uint64_t value)
{
	return value & 0xffffff;
}

static inline uint64_t mapping_pack(dblock_t block, uint32_t time)
{
	return block << 24 | time;
}

/* Does dm-thin accept this block size? */
static inline bool data_block_size_ok(uint64_t sectors)
{
	return sectors >= DATA_BLOCK_SECTORS_MIN && sectors <= DATA_BLOCK_SECTORS_MAX &&
	       sectors % DATA_BLOCK_SECTORS_MIN == 0;
}

#endif
