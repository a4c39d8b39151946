/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_FOREST_H
#define POOL_FOREST_H
/*
 * The mapping trees of a pool's devices as one forest with shared parts, for ls, rmap and delta.
 * The internal nodes are read at once; leaves as the caller asks for them, each distinct one once,
 * however many devices have it.
 *
 * A callback hears of each part that cannot be read, with its devices and their blocks.
 *
 * Threads: one owner; the leaf function runs on the stream's workers.
 */
#include "pdata/tree/walk.h"
#include "pool/forest/owners.h"
#include "pool/format/metadata.h"

/* One sentence for each thing that is wrong. */
typedef void forest_problem_fn(void *ctx, const char *text);

struct forest_leaf_fault {
	mblock_t block;
	enum node_fault fault;
};

struct forest {
	struct stream *s;
	struct metadata_devices devices;
	const struct metadata_device **dev; /* those that both trees know, ascending */
	size_t nr_devs;
	struct walk *walk;
	forest_problem_fn *problem;
	void *problem_ctx;
	uint64_t nr_problems;
	bool not_only_io; /* some problem is damage, not a failed read */
	mblock_t nr_blocks; /* of the metadata */
	/* private */
	struct forest_worker *worker;
	struct forest_leaf_fault *fault; /* of leaves, ascending */
	size_t nr_faults;
};

/*
 * Reads the list of devices, tells what is wrong with it, and walks the internal nodes of those
 * that are sound.  *f by forest_fini(), also after an error.
 */
int forest_init(struct forest *f, const struct metadata *md, struct stream *s,
		forest_problem_fn *problem, void *ctx, struct err *err);
/*
 * The same in two steps.  Only the @nr_ids devices at @ids are listed (0: all); -ENODATA names one
 * that is not there.  Without forest_walk() there are no nodes.  @numbered: attr of a root is its
 * device's index; else it is UINT32_MAX, which takes less memory.
 */
int forest_list(struct forest *f, const struct metadata *md, struct stream *s, const uint32_t *ids,
		size_t nr_ids, forest_problem_fn *problem, void *ctx, struct err *err);
int forest_walk(struct forest *f, bool numbered, struct err *err);
void forest_fini(struct forest *f);

/* One more sentence, for the caller's own kinds of damage. */
void forest_problem(struct forest *f, bool io_error, const char *text);

/* A sound leaf with keys that its parents allow.  0, or -errno ends the reading. */
typedef int forest_leaf_fn(void *ctx, unsigned worker, mblock_t block, const struct node *n);

/* Gives each distinct leaf to @fn once, in any order; faulty ones are remembered for forest_tell_damage(). */
int forest_read_leaves(struct forest *f, forest_leaf_fn *fn, void *ctx, struct err *err);

/* Remembers a leaf with a fault that the caller has read for itself.  One thread.  0 or -ENOMEM. */
int forest_add_fault(struct forest *f, mblock_t block, enum node_fault fault, struct err *err);

/*
 * Tells everything that is missing, each once, whatever the number of devices that miss it; in
 * the order of devices and their blocks.  Once, after the leaves were read.
 */
int forest_tell_damage(struct forest *f, struct err *err);

/* The owners of nodes; device i of the list has number i + 1 there.  NULL: no memory. */
struct owners *forest_owners(struct forest *f, bool marked, struct err *err);

/* What is told when there were problems: 0, or -EUCLEAN or -EIO with the text for the end. */
int forest_verdict(const struct forest *f, struct err *err);

/* "node at block 7 has a bad checksum: blocks 0-251 of the device cannot be read" */
void forest_fault_text(char *text, size_t len, const char *who, mblock_t block,
		       enum node_fault fault, uint64_t first, uint64_t last);

#endif
