/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_CHECK_H
#define POOL_CHECK_H
/*
 * Finds all damage of a pool's metadata that can be found without writing.
 *
 * Each metadata block is read once at most, in the order of the blocks, in merged requests, on all
 * workers.  A damaged block may be read a second time, to say more about it.
 *
 * Memory, besides what is in struct check_result: a data block costs 2 bits (3 when the pool
 * has more than one device) and 1/32 byte, and, unless all runs are long, 2 bits more for each worker but the first as
 * long as that is 64 MiB at most; a metadata block 26.125 + 1.5 bytes, 2 and (several
 * devices) 4 more; an entry of an internal node of mapping trees 4 bytes; a device 112 bytes.  Arrays
 * are touched lazily: what is not used costs nothing.  A full 16 GiB metadata device (4,161,600
 * blocks) over 2^31 data blocks: 512 + 256 + 64 + 140 + 17 MiB at the very most.
 */
#include "base/jobs.h"
#include "dev/io.h"
#include "pdata/map/read.h"
#include "pool/finding/finding.h"
#include "pool/format/superblock.h"

struct check_options {
	bool snap;	     /* only the held metadata snapshot; the pool may be in use */
	mblock_t snap_block; /* with @snap: it must be there; 0: wherever it is */
	bool skip_mappings;  /* do not read the mapping trees and the space maps */
	bool super_block_only;
	bool has_mapping_root, has_details_root; /* use these instead of the superblock's */
	mblock_t mapping_root, details_root;
};

/* A space map as found, for fixing it. */
struct check_map {
	struct sm_index index;
	struct refmap *counts; /* as they should be; NULL: not known */
	uint64_t nr_used;      /* blocks in use by the bitmaps as stored */
	bool all_read;	       /* every bitmap could be read */
	bool wants_fix;	       /* leaks, counters or bits past the end */
};

struct check_result {
	struct superblock sb;	  /* block 0 */
	bool has_sb;		  /* it could be used */
	struct findings findings; /* sorted */
	struct check_map data, metadata;
	bool complete; /* all trees and both space maps were examined */
	uint64_t nr_devices, nr_mappings;
	uint64_t nr_requests, nr_blocks_read; /* for tests and --verbose */
};

/*
 * 0: *out has the findings, or none.  -ENODATA: "no current metadata snap"; -EINVAL: this is no
 * metadata at all (too small, XML); -EIO..: block 0 cannot be read; -ENOMEM.  *out by
 * check_result_fini() in any case.
 */
int check_run(struct io *io, struct jobs *jobs, const struct check_options *opt,
	      struct check_result *out, struct err *err);
void check_result_fini(struct check_result *r);

#endif
