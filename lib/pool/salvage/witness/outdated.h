/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_SALVAGE_OUTDATED_H
#define POOL_SALVAGE_OUTDATED_H
#include "pool/salvage/impl.h"

/* Does the metadata map of the state say how many parents @block has? */
static inline bool witness_knows(const struct salvage *s, uint32_t block)
{
	return s->has_counts && !s->counts_searched && block < s->nr_blocks &&
	       s->count[block] < COUNT_MANY;
}

/*
 * Marks nodes that were replaced by an older copy of themselves (SN_DENIED): their children are then placed anew with
 * the nodes that lack a parent.  @vouched: by node, a device whose count is right reaches it.  0 or -ENOMEM.
 */
int deny_outdated(struct salvage *s, const uint8_t *vouched);

/*
 * The same of internal nodes that another one was written over: their children have more parents than the metadata map
 * counts, and are vouched for elsewhere.
 */
int deny_surplus(struct salvage *s, const uint8_t *vouched);

/* How many devices were made in a later transaction than the superblock's? */
uint32_t nr_younger(const struct salvage *s);

/* How many of the blocks that the superblock names as roots of its space maps are parts of its own trees? */
uint32_t nr_shared_roots(const struct salvage *s);

/* The newest time in the details of the devices. */
uint32_t newest_time(const struct salvage *s);

/*
 * Is the superblock of a later state than the trees?  There are details on the device that are newer than those of the
 * devices, and not newer than the superblock: a snapshot raises the time of its device and the pool's together.  Or the
 * superblock is newer than the details, and the tree of a device that is not among them is in use.
 */
bool has_newer_details(struct salvage *s);

#endif
