/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_BUILD_DEVICE_H
#define POOL_BUILD_DEVICE_H
/*
 * One device's mapping tree, made of runs and shared leaves.
 *
 * Checkers complain of a leaf that is less than a third full, and the kernel merges it.  So a small
 * def, or a few mappings between two shared parts, is joined with a neighbouring leaf.  This device
 * then has a copy of that leaf's mappings instead of sharing the leaf.  A device whose whole tree
 * is one small leaf keeps it, shared or not.
 */
#include "pdata/tree/build.h"
#include "pool/build/defs.h"

struct build_device {
	struct btree_build tree;
	struct refmap *data_counts, *metadata_counts; /* not owned */
	/* the last shared leaf that came: it is not in the tree yet, so it can still be copied */
	bool held;
	struct shared_leaf leaf;
};

int build_device_init(struct build_device *d, struct block_writer *w, struct refmap *data_counts,
		      struct err *err);
void build_device_fini(struct build_device *d);

/* @nr mappings: key + i to value + i * step.  The caller counts the references to their data blocks. */
int build_device_run(struct build_device *d, uint64_t key, uint64_t nr, uint64_t value,
		     uint64_t step, struct err *err);
int build_device_leaf(struct build_device *d, const struct shared_leaf *l, struct err *err);
int build_device_finish(struct build_device *d, mblock_t *root, struct err *err);

#endif
