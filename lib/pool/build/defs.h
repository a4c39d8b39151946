/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_BUILD_DEFS_H
#define POOL_BUILD_DEFS_H
/*
 * The shared parts that build has written: for each def its name and its leaves, for
 * each leaf its first key and its number of entries.
 *
 * Memory: 9 bytes a shared leaf and 38 to 59 bytes a def.  One thread.
 */
#include "base/err.h"
#include "base/umap.h"

/* Leaves whose blocks follow each other. */
struct leaf_span {
	uint32_t first_leaf;
	mblock_t at;
};

#define DEFS_CHUNK_SHIFT 12

struct build_defs {
	/* by leaf, in chunks so that growing neither copies nor holds twice as much */
	uint64_t **leaf_key;
	uint8_t **leaf_nr; /* entries less one */
	uint32_t nr_leaves;
	/* by def */
	struct build_def **def;
	uint32_t nr_defs;
	size_t cap_leaf_chunks, cap_def_chunks;
	struct umap by_name; /* def + 1 */
	struct leaf_span *span;
	size_t nr_spans, cap_spans;
};

struct build_def {
	uint64_t last_key;
	uint32_t first_leaf;
	uint32_t newest; /* the greatest time of its mappings */
};

struct shared_leaf {
	uint64_t first_key;
	mblock_t at;
	uint32_t nr; /* entries */
};

void build_defs_fini(struct build_defs *d);

/* Starts the next def.  -EEXIST when there is one of that name, -ENOMEM. */
int build_defs_begin(struct build_defs *d, uint64_t name);
/* A leaf of the def that was begun last. */
int build_defs_add_leaf(struct build_defs *d, uint64_t first_key, uint32_t nr, mblock_t at);
void build_defs_end(struct build_defs *d, uint64_t last_key, uint32_t newest);

/* The def of that name, or NULL; its leaves are [*begin, *end). */
const struct build_def *build_defs_find(const struct build_defs *d, uint64_t name, uint32_t *begin,
					uint32_t *end);
struct shared_leaf build_defs_leaf(const struct build_defs *d, uint32_t leaf);
/* The number of the leaf in block @at, which must be one. */
uint32_t build_defs_leaf_at(const struct build_defs *d, mblock_t at);

#endif
