/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_DIFF_H
#define VOLUME_DIFF_H
/*
 * Two maps side by side: where a device differs from an older state of it (its base), told by what
 * its bytes are mapped to.  No data are read.
 *
 * Memory: 32 bytes an extent of the base, of DIFF_WINDOW extents at a time; a base with more of them
 * costs one more walk of both maps for each window.  Threads: one at a time.
 */
#include "volume/map/map.h"

#define DIFF_WINDOW ((size_t)1 << 19)

enum diff_kind {
	DIFF_SAME,    /* the same bytes of the same source */
	DIFF_CHANGED, /* mapped otherwise: the bytes may differ */
	DIFF_NEW,     /* beyond the end of the base, or there is no base */
};

struct diff_part {
	uint64_t at, len; /* bytes, in the device */
	enum diff_kind kind;
	struct extent now;  /* of [at, at + len) */
	struct extent base; /* the same; zeros where DIFF_NEW */
};

/* Returns 0, or a negative errno that ends the walk with the same. */
typedef int diff_fn(void *ctx, const struct diff_part *p, struct err *err);

struct diff {
	const struct map *now;
	const struct map *base; /* NULL: everything is new */
	bool same_origin;	/* both read the same external origin */
	/*
	 * The base comes from older metadata.  A data block may have been freed and taken again
	 * since, or been written in place: only mappings with the same time, which is below the
	 * base's snap_time, are certain to be unchanged.
	 */
	bool older;
	uint32_t base_snap_time;
	/*
	 * The pool is smaller than in that metadata: data blocks have moved and kept their times, perhaps to where
	 * the base's were, so nothing is certain of any.
	 */
	bool moved;
	bool unsure; /* mappings of the base are lost: all of the device counts as different */
};

/* Whether it is known what @base's bytes are. */
static inline bool diff_knows(const struct diff *d, const struct extent *base)
{
	return !d->unsure && !base->lost;
}

/* All of [0, now->size) in order. */
int diff_walk(const struct diff *d, diff_fn *fn, void *ctx, struct err *err);

struct diff_summary {
	uint64_t data_bytes, origin_bytes, zero_bytes; /* of what differs, by what it is now */
};
int diff_sum(const struct diff *d, struct diff_summary *out, struct err *err);

/* Gives the parts that differ as extents of the device; adjoining ones are joined. */
int diff_changes(const struct diff *d, extent_fn *fn, void *ctx, struct err *err);

#endif
