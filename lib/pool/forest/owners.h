/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_OWNERS_H
#define POOL_OWNERS_H
/*
 * Which devices reach a leaf.  Sets of devices are kept once, however many nodes have the same
 * owners, and are made from parents to children, so that the cost is linear in pointers and
 * in the sizes of the distinct sets.
 *
 * Memory: 4 bytes a metadata block that is a node, and the distinct sets.
 * Threads: owners_new() one; the rest any.
 */
#include "pool/forest/forest.h"

struct owners;

struct owners *owners_new(struct forest *f, mblock_t nr_blocks, struct err *err);
void owners_free(struct owners *o);

/* The set of a node's owners; 0: none.  Device i of the forest alone is the set i + 1. */
uint32_t owners_of(const struct owners *o, mblock_t node);
/* The devices of a set as indices into f->dev, ascending. */
const uint32_t *owners_devices(const struct owners *o, uint32_t set, uint32_t *nr);

#endif
