/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_MAP_H
#define VOLUME_MAP_H
/*
 * A thin device as a row of extents: what each of its bytes reads as.
 *
 *	block mapped			the bytes of its data block, all of them
 *	not mapped, origin reaches	the origin's bytes
 *	else				zeros
 *
 * The map keeps nothing per mapping: each walk reads the mappings again from where they
 * are (struct map_source) and gives out extents in order.
 * Threads: one at a time per map.
 */
#include "dev/io.h"
#include "pool/events/events.h"

/*
 * EXTENT_STALE is told by the target alone (target_extents()): an unmapped range that reads as
 * zeros, in a pool that does not zero new blocks.  After a write to one part of such a block the
 * rest shows old bytes, so its zeros must not be taken for written ones.
 */
enum extent_kind { EXTENT_ZERO, EXTENT_DATA, EXTENT_ORIGIN, EXTENT_STALE };

struct extent {
	uint64_t at;   /* bytes, in the thin device */
	uint64_t len;  /* bytes, not 0 */
	uint64_t from; /* bytes, on the data device or the origin; 0 for zeros */
	enum extent_kind kind : 8;
	enum extent_kind lost : 8; /* zeros in place of bytes of this kind, which are lost; from says which; or EXTENT_ZERO */
	uint32_t time; /* data: of the mapping, of the first one unless the map is timed */
};

/* Returns 0, or a negative errno that ends the walk with the same. */
typedef int extent_fn(void *ctx, const struct extent *e, struct err *err);
typedef int map_runs_fn(void *ctx, const struct run *run, size_t nr, struct err *err);

/* Where the mappings of one device come from. */
struct map_source {
	/* Gives all runs in ascending order; may be called again. */
	int (*walk)(void *ctx, map_runs_fn *fn, void *fn_ctx, struct err *err);
	void (*free)(void *ctx);
	void *ctx;
};

struct map {
	struct map_source source;
	uint64_t block_len;  /* bytes of a block */
	uint64_t size;	     /* bytes of the device */
	bool has_origin;
	uint64_t origin_len; /* bytes */
	bool timed;	     /* no extent holds mappings of different times */
	/*
	 * The devices under the extents, where they are open.  Parts that they do not store
	 * (io_where()) read as zeros.
	 */
	struct io *data, *origin;
};

/*
 * The facts found by one walk over all mappings.  A block that begins at the end of the device or
 * behind it is beyond the device.
 */
struct map_summary {
	uint64_t nr_mapped;    /* all blocks */
	uint64_t nr_beyond;    /* of them beyond the device's size */
	vblock_t mapped_end;   /* one past the last mapped block, 0: none; all blocks */
	dblock_t data_end;     /* one past the highest data block, of blocks within the size */
	vblock_t data_end_at;  /* the block that is mapped to it */
	uint64_t nr_data_extents; /* runs that go on neither logically nor physically, within the size */
	/* bytes of the device by kind; their sum is its size */
	uint64_t data_bytes, origin_bytes, zero_bytes;
};

/*
 * @m->size 0 and @guess: the size becomes the larger of the origin's and the end of the last mapped
 * block.  Refuses keys that no device can have (-EUCLEAN), and fails as the source does.
 */
int map_scan(struct map *m, bool guess, struct map_summary *out, struct err *err);

/* All extents of [0, size) in order; neighbours that go on logically and physically are one. */
int map_walk(const struct map *m, extent_fn *fn, void *ctx, struct err *err);

/*
 * Gives the extents, or parts of them, that are lost because m->data or m->origin does not have
 * them, each with the kind that it would have had.  map_walk() gives zeros in their place (.lost).
 */
int map_walk_lost(const struct map *m, extent_fn *fn, void *ctx, struct err *err);

void map_source_free(struct map_source *s);

#endif
