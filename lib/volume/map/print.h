/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_PRINT_H
#define VOLUME_PRINT_H
/*
 * The extents of a map as text, in bytes.
 *
 *	text	a line for each: START LENGTH KIND [OFFSET]
 *	JSON	{ "dev_id": ..., "size_bytes": ..., "block_bytes": ..., "extents": [ ... ] }, of a difference
 *		with a member "since" before the extents (doc/json.md)
 *
 * KIND is zero, data or origin; OFFSET is where the bytes are on the data device or the origin.
 * Memory: 64 KiB.  Threads: one at a time.
 */
#include "volume/map/map.h"

struct map_print {
	bool json;
	uint32_t dev_id; /* for JSON */
	/* Gives the extents in place of map_walk(): those that differ from @since.  NULL: all. */
	int (*walk)(void *walk_ctx, extent_fn *fn, void *fn_ctx, struct err *err);
	void *walk_ctx;
	const char *since; /* for JSON */
	/* Takes the text piece by piece.  0, or a negative errno that ends the printing. */
	int (*write)(void *ctx, const void *text, size_t len);
	void *ctx;
};

/* Fails as map_walk() and p->write() do; what was printed until then has gone to p->write(). */
int map_print(const struct map *m, const struct map_print *p, struct err *err);

#endif
