/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_FEED_H
#define VOLUME_FEED_H
/*
 * Units of a device, each of a few extents, worked on by all CPUs and handed on in order: for forms
 * of images in which the order or the bytes themselves matter.
 *
 * Memory: FEED_WINDOW units (32 bytes each, and 32 an extent), and a slot for each worker and four more.
 */
#include "base/jobs.h"
#include "volume/map/map.h"

#define FEED_WINDOW ((size_t)1 << 14)
#define FEED_CUT_MAX 2

struct feed_unit {
	uint64_t at, len; /* bytes, in the device */
	size_t first;	  /* of the feed's extents */
	unsigned nr;
};

/* Where extents' bytes come from, by kind. */
struct image_source {
	struct io *data, *origin; /* NULL: no extent of it */
};

struct feed {
	struct jobs *jobs;
	size_t slot_len; /* bytes of memory for each unit in work */
	/*
	 * On any thread, several at once; @slot is the unit's own until it has been consumed.  NULL: the bytes of
	 * @source are read into it, if there is one.
	 */
	int (*work)(void *ctx, unsigned worker, const struct feed_unit *u, const struct extent *e,
		    void *slot, struct err *err);
	/* One at a time, in order. */
	int (*consume)(void *ctx, const struct feed_unit *u, const struct extent *e, void *slot,
		       struct err *err);
	void *ctx;
	const struct image_source *source;
	/* private; zero at first */
	struct feed_unit *unit;
	size_t nr, cap, next;
	struct extent *extent;
	size_t nr_extents, cap_extents;
	void **slot;
	const struct feed_unit **in_slot;
	size_t nr_slots;
};

/* Behind the units before; worked on whenever the window is full. */
int feed_add(struct feed *f, const struct feed_unit *u, const struct extent *e, struct err *err);
/* @nr extents of one and the same range, cut into units at the multiples of @max bytes. */
int feed_cut(struct feed *f, const struct extent *e, unsigned nr, uint64_t max, struct err *err);
/* Works on what is left. */
int feed_flush(struct feed *f, struct err *err);
void feed_fini(struct feed *f);

/* The bytes of @nr extents, one behind the other; zeros for EXTENT_ZERO.  Any thread. */
int image_source_read(const struct image_source *s, const struct extent *e, unsigned nr, uint8_t *buf,
		      struct err *err);

#endif
