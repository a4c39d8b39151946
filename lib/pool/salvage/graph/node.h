/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_SALVAGE_NODE_H
#define POOL_SALVAGE_NODE_H
/* One node, read leniently: what a block holds that node_open() may refuse. */
#include <stdbool.h>
#include <string.h>

#include "base/le.h"
#include "pdata/block/refmap.h"
#include "pool/format/pool_info.h"

/* An opened node; it points into the block. */
struct view {
	const struct disk_node *raw;
	const uint8_t *values;
	uint32_t nr, value_size;
	bool leaf, unsorted, mended;
};

/* False: the block is no node that could be used. */
bool view_open(struct view *v, const void *block);

static inline uint64_t view_key(const struct view *v, uint32_t i)
{
	return le64_get(v->raw->keys[i]);
}

static inline uint64_t view_value(const struct view *v, uint32_t i)
{
	le64 k;

	memcpy(&k, v->values + (size_t)i * v->value_size, 8);
	return le64_get(k);
}

/* The 32 bits in value @i, @at bytes behind its begin. */
static inline uint32_t view_u32(const struct view *v, uint32_t i, size_t at)
{
	le32 k;

	memcpy(&k, v->values + (size_t)i * v->value_size + at, sizeof(k));
	return le32_get(k);
}

/* The number of entries that two nodes have in common. */
uint32_t view_nr_common(const struct view *a, const struct view *b);

/*
 * The runs of a mapping leaf in key order, without those whose data block is not below
 * @nr_data_blocks and without keys out of order.  @run: room for 252.  Returns how many runs there are.
 */
uint32_t view_runs(const struct view *v, uint64_t nr_data_blocks, struct run *run);
/* Adds the references of a mapping leaf to the data blocks of @refs; of many workers at once if that is shared. */
void view_add_refs(const struct view *v, struct refmap *refs);

#endif
