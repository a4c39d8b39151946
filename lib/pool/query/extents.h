/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_EXTENTS_H
#define POOL_EXTENTS_H
/*
 * In how many pieces devices lie on the data device.  An extent is a run of mappings that are
 * consecutive in the device and on the data device, whatever their times.
 *
 * Each leaf is looked at once, and each node is summed up once, however many devices share it.
 *
 * Memory: 72 bytes a metadata block that is a leaf, 32 bytes one that is an internal node.
 * Threads: extents_take() may run for different leaves at once; the rest one at a time.
 */
#include "pdata/tree/walk.h"

struct extents;

/* @nr_blocks: of the metadata device.  NULL: no memory. */
struct extents *extents_new(mblock_t nr_blocks);
void extents_free(struct extents *x);

/* A leaf of a mapping tree. */
void extents_take(struct extents *x, mblock_t block, const struct node *n);

/* How many extents the tree under @root has in the leaves that were taken. */
uint64_t extents_count(struct extents *x, const struct walk *w, mblock_t root);

#endif
