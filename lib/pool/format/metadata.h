/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_METADATA_H
#define POOL_METADATA_H
/*
 * A pool's metadata, opened for reading: the live trees, or those that the held metadata
 * snapshot keeps.  Threads: reading the fields, any; the functions, one at a time.
 */
#include "dev/stream.h"
#include "pool/format/pool_info.h"
#include "pool/format/superblock.h"

struct metadata_options {
	bool snap;	     /* the held metadata snapshot instead of the live trees */
	mblock_t snap_block; /* 0: wherever it is; else it must be there */
	bool any_block_size; /* accept an illegal data_block_size (the caller overrides it) */
};

struct metadata {
	struct superblock live; /* block 0 */
	struct superblock view; /* the one that is read: the same, or the held copy */
	mblock_t snap;		/* where the held copy is, 0: live */
	uint64_t nr_blocks;	/* of the metadata device, at most MAX_METADATA_BLOCKS */
	uint64_t nr_data_blocks; /* from the live superblock: the held copy has none */
	mblock_t mapping_root, details_root; /* of view */
};

/*
 * Reads block 0 (and the held copy) from @io and refuses what would make all other blocks
 * unreadable or misread: place, magic, checksum, unknown incompatible features,
 * data_block_size, roots outside of the device.
 * 0; -ENODATA "no current metadata snap"; -EBADMSG, -EUCLEAN; or an I/O error.
 */
int metadata_open(struct io *io, const struct metadata_options *opt, struct metadata *out,
		  struct err *err);

/* Fills in the header of a dump from view and nr_data_blocks. */
void metadata_pool_info(const struct metadata *md, struct pool_info *out);

struct metadata_device {
	struct device_info info; /* dev_id always; the rest only with has_details */
	mblock_t root;		 /* of its mapping tree, only with has_root */
	bool has_details, has_root;
};

/* The devices of a pool, ascending by id; those of both trees. */
struct metadata_devices {
	struct metadata_device *dev;
	size_t nr;
	/*
	 * What is wrong with the list: parts of either tree that cannot be read, ids that stand in
	 * only one of them, ids above 24 bits (left out).  One sentence each, at most
	 * METADATA_MAX_PROBLEMS kept; nr_problems counts all.  The first nr_tree_problems are about
	 * the trees, the rest name one device each, as its has_root and has_details do.
	 */
	char **problem;
	size_t nr_problems, nr_kept, nr_tree_problems;
	bool damage; /* not all of it comes of reads that failed */
};
#define METADATA_MAX_PROBLEMS 100

/*
 * Reads both trees and joins them by id.  Damage does not make it fail: it is listed, and
 * the devices that could be read are there.  *out by metadata_devices_fini(), also after
 * an error.  Memory: 48 bytes a device, and up to 192 more while it reads.
 */
int metadata_devices_read(const struct metadata *md, struct stream *s,
			  struct metadata_devices *out, struct err *err);
void metadata_devices_fini(struct metadata_devices *d);

/* Describes a device that has only one of tree and details; false when it has both. */
bool metadata_device_problem(const struct metadata_device *dev, char *text, size_t len);

/* The device with this id, or NULL. */
const struct metadata_device *metadata_devices_find(const struct metadata_devices *d,
						    uint32_t dev_id);

#endif
