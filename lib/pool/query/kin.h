/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_KIN_H
#define POOL_KIN_H
/*
 * Finds which device is a snapshot of which.  The metadata does not say so, but times and sharing
 * show it.
 *
 * Creating a snapshot adds 1 to the pool's clock and writes it down twice: as the creation_time of
 * the snapshot and as the snap_time of its origin, where the next snapshot of the origin replaces
 * it.  So the origin is an older device with a snap_time not below the snapshot's creation_time.  A
 * device whose snap_time is equal is the origin.
 *
 * Among several devices with a later snap_time the mappings decide.  The snapshot has from its
 * origin all mappings that are older than the snapshot.  A device that maps the same block
 * elsewhere, and did so before the snapshot was made, is not the origin.  Of the remaining devices
 * the one that shares most is taken.  When none remains, the pool does not hold the origin: the
 * device was created empty, or its origin was deleted, or all that they shared was overwritten.
 *
 * In a large pool only some virtual blocks are looked at, chosen by their hash: about KIN_SEEN
 * mappings.
 *
 * Memory: 64 bytes a mapping that is looked at, and owners.h.
 * Threads: kin_take() may run on all workers at once; the rest one at a time.
 */
#include "pool/forest/forest.h"

#define KIN_SEEN ((uint64_t)1 << 20)
#define KIN_NONE SIZE_MAX

struct kin;

/* For the devices of @f.  NULL: no memory. */
struct kin *kin_new(const struct forest *f);
void kin_free(struct kin *k);

/* A leaf of a mapping tree.  0 or -ENOMEM. */
int kin_take(struct kin *k, unsigned worker, mblock_t block, const struct node *n);

struct kin_origin {
	size_t device; /* index in f->dev, or KIN_NONE */
	bool certain;  /* by their times no other device can be the origin */
};
/* Fills one for each device of f->dev, after all leaves were taken. */
int kin_origins(struct kin *k, mblock_t nr_blocks, struct kin_origin *origin, struct err *err);

#endif
