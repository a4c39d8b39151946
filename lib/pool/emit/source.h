/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_EMIT_SOURCE_H
#define POOL_EMIT_SOURCE_H
/*
 * Devices and their trees, wherever they come from, as events: sound metadata (pool.c), or what a rescue put together.
 *
 * Threads: nodes, root(), read() and hint() are called by one thread at a time, device(), block(), lacks() and problem() by
 * another one at the same time.
 */
#include "pool/emit/emit.h"
#include "pool/forest/sharing.h"

struct emitter;

struct emit_source {
	struct tree_nodes nodes; /* not with skip_mappings */
	void *ctx;		 /* of the functions below */
	struct jobs *jobs;
	uint64_t nr_data_blocks;
	size_t nr_devs;
	/* Of device @i; 0: none. */
	mblock_t (*root)(void *ctx, size_t i);
	/* Device @i, valid until the next call. */
	const struct device_info *(*device)(void *ctx, size_t i);
	/* The block of a leaf, which names a def. */
	mblock_t (*block)(void *ctx, mblock_t leaf);
	/*
	 * Reads the leaves of @list, ascending and each once, and calls emit_room() or emit_fault() for each, from any thread.
	 * One for which neither is called counts as unreadable.
	 */
	int (*read)(void *ctx, struct emitter *e, const mblock_t *list, size_t nr, struct err *err);
	/* Announces that the leaves of @list will be read next; or NULL. */
	void (*hint)(void *ctx, const mblock_t *list, size_t nr);
	/* A device or def lacks the leaf: 0 if the others are told all the same. */
	int (*lacks)(void *ctx, mblock_t leaf, enum node_fault fault, struct err *err);
	/* Something else is wrong, which a sentence says; NULL where no mapping can lie beyond nr_data_blocks. */
	void (*problem)(void *ctx, const char *text);
	/* All was told; @skipped: but for nodes that cannot be read.  0: the pool is complete. */
	int (*finish)(void *ctx, bool skipped, struct err *err);
};

/* Drives @to, with @info for the pool.  Of @opt no_shared, nr_dev_ids and skip_mappings count. */
int emit_source(const struct emit_source *src, const struct emit_options *opt, const struct pool_info *info,
		const struct events *to, struct err *err);

/* Room for the @nr runs of leaf @i of the list, in the order of keys. */
struct run *emit_room(struct emitter *e, size_t i, uint32_t nr);
/* Only @nr of them are there. */
void emit_used(struct emitter *e, size_t i, uint32_t nr);
void emit_fault(struct emitter *e, size_t i, enum node_fault fault);

#endif
