/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_OWNERS_H
#define POOL_OWNERS_H
/*
 * Which devices reach a node.  Nodes with the same owners have one set; a set is made from those of
 * the node's parents, all of them at once.  Small sets are lists of devices.  A file of some MiB
 * may hold more pairs of a device and a node than fit into memory: when the lists have become
 * large, further sets are kept as lists of other sets, and expanded when they are asked for.
 *
 * Memory: for each metadata block 4 bytes, for each shared node 9 bytes more, 4 bytes for each pointer to it, and
 * for lists at most OWNERS_SPELT + 1 KiB a node.
 * Threads: owners_new() one; the rest any, each with an owners_list of its own.
 */
#include "pdata/tree/walk.h"

#define OWNERS_SPELT ((size_t)4 << 20) /* devices in lists */

struct owners;

struct owners_root {
	mblock_t block;
	uint32_t device; /* the caller's number for it, from 1 on */
};

/*
 * Owners of all nodes under @roots, sorted here; @w was walked from them and lives longer.
 * @nr_devices: the greatest number of a device.  @marked: only of nodes that walk_has_marked().
 * NULL: no memory.
 */
struct owners *owners_new(struct walk *w, struct owners_root *roots, size_t nr, uint32_t nr_devices,
			  mblock_t nr_blocks, bool marked, struct err *err);
void owners_free(struct owners *o);

/* The set of a node's owners; 0: none.  Device i alone is the set i. */
uint32_t owners_of(const struct owners *o, mblock_t node);
/* The set of the devices that have @root as their root; 0: none. */
uint32_t owners_of_root(const struct owners *o, mblock_t root);
/* Sets are below this number. */
uint32_t owners_nr_sets(const struct owners *o);
/*
 * The number of devices of a set: exact unless the set was too large for a list, otherwise an upper
 * bound.
 */
uint64_t owners_count(const struct owners *o, uint32_t set);

/* The devices of one set, ascending.  All zero at first, the end by owners_list_fini(). */
struct owners_list {
	const uint32_t *dev;
	size_t nr;
	/* private */
	uint32_t set, *own;
	size_t nr_own, cap;
};
/* 0 or -ENOMEM.  Valid until the next call with this list. */
int owners_devices(const struct owners *o, uint32_t set, struct owners_list *list);
void owners_list_fini(struct owners_list *list);

#endif
