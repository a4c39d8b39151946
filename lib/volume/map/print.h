/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_PRINT_H
#define VOLUME_PRINT_H
/*
 * The extents of a map as text, in bytes.
 *
 *	text	a line for each: START LENGTH KIND [OFFSET]
 *	JSON	{ "device": ..., "size": ..., "block_size": ..., "extents": [ ... ] }
 *
 * KIND is zero, data or origin; OFFSET is where the bytes are on the data device or the origin.
 * Memory: 64 KiB.  Threads: one at a time.
 */
#include "volume/map/map.h"

struct map_print {
	bool json;
	uint32_t dev_id; /* for JSON */
	/* Takes the text piece by piece.  0, or a negative errno that ends the printing. */
	int (*write)(void *ctx, const void *text, size_t len);
	void *ctx;
};

/* Fails as map_walk() and p->write() do; what was printed until then has gone to p->write(). */
int map_print(const struct map *m, const struct map_print *p, struct err *err);

#endif
