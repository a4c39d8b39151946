/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_CLUSTERS_H
#define VOLUME_CLUSTERS_H
/* A difference as whole clusters of an image: those with bytes, those of zeros, and the rest. */
#include "volume/image/diff.h"
#include "volume/image/feed.h"
#include "volume/map/holes.h"

struct clusters {
	uint64_t cluster;   /* bytes */
	const struct image_source *source; /* its holes are zeros */
	bool has_backing;   /* the backing file is read where the image has nothing */
	bool backing_is_origin; /* it is the external origin; else what the difference is to */
	uint64_t backing_size; /* bytes; behind them it reads as zeros.  UINT64_MAX: not known */
	/*
	 * @nr clusters from @at on, with @nr_e extents that cover them: several only for one cluster.
	 * The last one may be cut by the device's end.
	 */
	int (*data)(void *ctx, uint64_t at, uint64_t nr, const struct extent *e, unsigned nr_e,
		    struct err *err);
	/* They read as zeros, and the backing file does not. */
	int (*zero)(void *ctx, uint64_t at, uint64_t nr, struct err *err);
	void *ctx;
	/* private; zero at first */
	struct holes holes[EXTENT_ORIGIN + 1];
	struct extent *part; /* of the cluster that is not complete */
	size_t nr, cap;
	uint64_t part_len;
	bool any_data, any_zero;
};

/* Gives out all clusters of @d that are not the backing file's. */
int clusters_walk(struct clusters *c, const struct diff *d, struct err *err);

#endif
