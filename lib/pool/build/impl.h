/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_BUILD_PRIVATE_H
#define POOL_BUILD_PRIVATE_H
/* What the parts of build share: the sink (build.c), its end (end.c), sizes (count.c), times (times.c). */
#include "pool/build/build.h"
#include "pool/build/device.h"
#include "pool/format/superblock.h"

enum build_state { AT_START, IN_POOL, IN_DEF, IN_DEVICE, AT_END, BROKEN };

/* What is kept of a finished device. */
struct built_device {
	uint32_t dev_id;
	uint32_t creation_time, snap_time;
	uint32_t root;
	uint64_t mapped_blocks, transaction;
	uint32_t first_node; /* its own nodes are from here to the root; none if the root is lower */
	uint32_t newest;     /* the greatest time of its mappings, shared ones too */
};
static_assert(MAX_METADATA_BLOCKS < UINT32_MAX, "a root fits");

struct build {
	struct io *out;
	struct build_options opt;
	uint64_t nr_blocks; /* of the metadata device */
	enum build_state state;

	struct pool_info pool;
	struct refmap *data_counts, *metadata_counts;
	struct block_writer w;
	struct btree_build def_tree;
	struct build_device dev_tree;
	struct build_defs defs;

	struct device_info dev; /* the current one; mapped_blocks counted */
	uint64_t claimed;
	uint64_t def_name; /* the current one */
	bool has_key;
	vblock_t last_key; /* in the current def or device */
	uint32_t newest;   /* time in the current def or device */
	mblock_t first_node; /* of the current device */

	uint64_t *suspects; /* forest/suspects.h; NULL: all blocks so far are suspects */
	bool suspect_ref;   /* a device refers to a def whose newest time is not below the device's snap_time */
	uint64_t *used;	    /* a bit for each time in use; only near the end of the clock */

	struct built_device *device;
	size_t nr_devices, cap_devices;
};

/* After the last device: the trees that name the devices, the space maps, the superblock. */
int build_end(struct build *b, struct err *err);

/* times.c: see build.h, "Times" */
static inline void build_use_time(struct build *b, uint32_t time)
{
	if (unlikely(b->used != NULL))
		b->used[time / 64] |= 1ull << time % 64;
}
int build_times_begin(struct build *b, struct err *err);
/* Before the first block that is no suspect is counted: makes build.suspects. */
int build_times_mark(struct build *b, struct err *err);
/* Before the devices' snap_times are written. */
int build_times_end(struct build *b, struct err *err);

/* How many blocks @others are, together with a metadata map that covers all of them. */
uint64_t build_with_metadata_map(uint64_t others, uint64_t nr_metadata_blocks);
/* -ERANGE, "too small: needs at least N blocks, has M" */
int build_too_small(struct err *err, uint64_t needs, uint64_t has);

#endif
