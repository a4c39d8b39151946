/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_BUILD_DEVICE_H
#define POOL_BUILD_DEVICE_H
/*
 * One device's mapping tree out of runs and shared leaves.
 *
 * A leaf under a third full would make checkers complain and the kernel merge it, so
 * what would be one (a small def, a few mappings between two shared parts) is joined
 * with a neighbouring leaf, which is then not shared by this device: its mappings are
 * copied.  A device that is one small leaf as a whole keeps it, shared or not.
 */
#include "pdata/tree/build.h"
#include "pool/build/defs.h"

struct build_device {
	struct btree_build tree;
	struct refmap *data_counts, *metadata_counts; /* not owned */
	/* the newest shared leaf, not yet in the tree, so that it can still be copied instead */
	bool held;
	struct shared_leaf leaf;
};

int build_device_init(struct build_device *d, struct block_writer *w, struct refmap *data_counts,
		      struct err *err);
void build_device_fini(struct build_device *d);

/* @nr mappings from key on, value + i * step; their data blocks are the caller's to count. */
int build_device_run(struct build_device *d, uint64_t key, uint64_t nr, uint64_t value,
		     uint64_t step, struct err *err);
int build_device_leaf(struct build_device *d, const struct shared_leaf *l, struct err *err);
int build_device_finish(struct build_device *d, mblock_t *root, struct err *err);

#endif
