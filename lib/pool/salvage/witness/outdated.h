/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_SALVAGE_OUTDATED_H
#define POOL_SALVAGE_OUTDATED_H
#include "pool/salvage/witness/counts.h"

struct refmap;

/* The references to data blocks. */
struct data_counts {
	struct refmap *stored; /* by the data map, NULL: not all of it is known */
	struct refmap *refs;   /* of the leaves that are reached */
	bool any_missing;
};

/*
 * Marks nodes that were replaced by an older copy of themselves (SN_DENIED): their children are then placed anew with
 * the nodes that lack a parent.  Leaves of the top level that name a tree for a device whose details say another number
 * of mappings, where a tree of that number lacks a parent.  0 or -ENOMEM.
 */
int deny_outdated(struct counts *counts, struct data_counts *data);

/*
 * The same of internal nodes that another one was written over: their children have more parents than the metadata map
 * counts, and are vouched for elsewhere.
 */
int deny_surplus(struct counts *counts);

/* How many devices were made in a later transaction than the superblock's? */
uint32_t nr_younger(const struct trees *trees);
/* How many have a later time?  Only a snapshot sets the clock. */
uint32_t nr_later(const struct trees *trees);

/* How many of the blocks that the superblock names as roots of its space maps are parts of its own trees? */
uint32_t nr_shared_roots(const struct super *super);

/*
 * Is the superblock of a later state than the trees?  There are details on the device that are newer than those of the
 * devices, and not newer than the superblock: a snapshot raises the time of its device and the pool's together.  Or the
 * superblock is newer than the details, and the tree of a device that is not among them is in use.
 */
bool has_newer_details(struct counts *counts);

#endif
