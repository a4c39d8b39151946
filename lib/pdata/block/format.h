/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef PDATA_FORMAT_H
#define PDATA_FORMAT_H
/*
 * On-disk structures of the kernel's persistent-data library (drivers/md/persistent-data).
 * Everything is little-endian; the types cannot be used undecoded.  See doc/format.md.
 */
#include <assert.h>

#include "base/le.h"
#include "base/units.h"


/* Checksum salts.  dm-btree-internal / dm-space-map-common.c / dm-thin-metadata.c */
enum csum_salt {
	SALT_SUPERBLOCK = 160774,
	SALT_NODE = 121107,
	SALT_BITMAP = 240779,
	SALT_INDEX = 160478,
};

/* dm-btree-internal.h: struct node_header */
struct disk_node_header {
	le32 csum;
	le32 flags;
	le64 blocknr;
	le32 nr_entries;
	le32 max_entries;
	le32 value_size;
	le32 padding;
} __attribute__((packed));
static_assert(sizeof(struct disk_node_header) == 32, "on-disk size");

#define NODE_INTERNAL 1
#define NODE_LEAF 2

/* header, max_entries keys, max_entries values, unused tail */
struct disk_node {
	struct disk_node_header h;
	le64 keys[(MBLOCK_SIZE - 32) / 8];
} __attribute__((packed));
static_assert(sizeof(struct disk_node) == MBLOCK_SIZE, "on-disk size");

/* 3 * floor(floor((4096 - 32) / (8 + value_size)) / 3): for the kernel's merge by thirds */
#define NODE_MAX_ENTRIES(value_size) \
	((uint32_t)(3 * ((MBLOCK_SIZE - 32) / (8 + (value_size)) / 3)))
#define INTERNAL_MAX NODE_MAX_ENTRIES(8)
static_assert(INTERNAL_MAX == 252, "section 5 of the format");
#define BTREE_MAX_DEPTH 64

/* dm-space-map-common.h: struct disk_index_entry */
struct disk_index_entry {
	le64 blocknr;
	le32 nr_free;
	le32 none_free_before;
} __attribute__((packed));
static_assert(sizeof(struct disk_index_entry) == 16, "on-disk size");

#define MAX_METADATA_BITMAPS 255

/* dm-space-map-common.h: struct disk_metadata_index */
struct disk_index {
	le32 csum;
	le32 padding;
	le64 blocknr;
	struct disk_index_entry entry[MAX_METADATA_BITMAPS];
} __attribute__((packed));
static_assert(sizeof(struct disk_index) == MBLOCK_SIZE, "on-disk size");

/* dm-space-map-common.h: struct disk_bitmap_header and its entries */
#define ENTRIES_PER_BITMAP 16320
struct disk_bitmap {
	le32 csum;
	le32 unused;
	le64 blocknr;
	uint8_t bits[MBLOCK_SIZE - 16]; /* entry i: bits 2*(i%4) (weight 2!) and 2*(i%4)+1 (weight 1) of byte i/4 */
} __attribute__((packed));
static_assert(sizeof(struct disk_bitmap) == MBLOCK_SIZE, "on-disk size");
static_assert(sizeof(((struct disk_bitmap *)0)->bits) * 4 == ENTRIES_PER_BITMAP, "entries");

/* The count of entry @i in disk_bitmap.bits; 3: three or more. */
static inline unsigned bitmap_count(const uint8_t *bits, uint32_t i)
{
	unsigned pair = bits[i / 4] >> 2 * (i % 4) & 3;

	return (pair & 1) << 1 | pair >> 1; /* the lower bit weighs two */
}

/* The largest metadata device the format can describe, in blocks. */
#define MAX_METADATA_BLOCKS ((uint64_t)MAX_METADATA_BITMAPS * ENTRIES_PER_BITMAP)

/* dm-space-map-common.h: struct disk_sm_root, in a 128-byte area of the superblock */
struct disk_sm_root {
	le64 nr_blocks;
	le64 nr_allocated;
	le64 bitmap_root;
	le64 ref_count_root;
} __attribute__((packed));
static_assert(sizeof(struct disk_sm_root) == 32, "on-disk size");

struct sm_root {
	uint64_t nr_blocks;
	uint64_t nr_allocated;
	mblock_t bitmap_root;
	mblock_t ref_count_root;
};

#endif
