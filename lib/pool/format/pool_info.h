/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_POOL_INFO_H
#define POOL_POOL_INFO_H
/* A pool, its devices and their mappings as plain values: what the events carry. */
#include "base/units.h"

struct pool_info {
	char uuid[64];
	uint32_t time;
	uint64_t transaction;
	uint32_t flags; /* superblock flags: bit 0 needs_check */
	uint32_t version;
	uint32_t data_block_size; /* sectors */
	uint64_t nr_data_blocks;
	uint64_t metadata_snap; /* block of the metadata snapshot a dump was made through; 0: none */
	bool has_version;	/* XML may lack it */
};

struct device_info {
	uint32_t dev_id;
	uint64_t mapped_blocks;
	uint64_t transaction; /* id of the one that made the device */
	uint32_t creation_time; /* snapshot clock, not seconds */
	uint32_t snap_time; /* when it was last snapshotted: older mappings are shared */
};

/* @len mappings: virtual block vbegin+i -> data block dbegin+i, all of the same @time. */
struct run {
	vblock_t vbegin;
	dblock_t dbegin;
	uint64_t len;
	uint32_t time;
};

/* A value of the details tree, 24 bytes anywhere in memory, and the device it tells about. */
struct disk_details;
void device_info_decode(struct device_info *d, uint32_t dev_id, const void *value);
void device_info_encode(const struct device_info *d, struct disk_details *value);

/* Values of a pool that the user gives in place of those found. */
struct pool_overrides {
	bool has_transaction, has_data_block_size, has_nr_data_blocks;
	uint64_t transaction;
	uint64_t data_block_size; /* sectors */
	uint64_t nr_data_blocks;
};

static inline void pool_overrides_apply(const struct pool_overrides *o, struct pool_info *p)
{
	if (o->has_transaction)
		p->transaction = o->transaction;
	if (o->has_data_block_size)
		p->data_block_size = (uint32_t)MIN(o->data_block_size, UINT32_MAX);
	if (o->has_nr_data_blocks)
		p->nr_data_blocks = o->nr_data_blocks;
}

#endif
