/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_HOLES_H
#define VOLUME_HOLES_H
/* Where an io has data and where it has holes, asked once a segment.  Threads: one at a time. */
#include "volume/map/map.h"

struct holes {
	struct io *io; /* NULL: all is data; its files' offsets are moved */
	uint64_t begin, end; /* the segment known, empty at first */
	bool is_data;
};

/* @io stays the caller's.  Only a file can tell its holes; anything else counts as data. */
void holes_init(struct holes *h, struct io *io);

/* The length of the segment that begins at @at, at most @len, and whether it is data. */
uint64_t holes_segment(struct holes *h, uint64_t at, uint64_t len, bool *is_data);

/*
 * Takes the first part off @e, whose bytes come from @h's io: at most @max bytes that are all data, or all of a hole, which is
 * EXTENT_ZERO then.
 */
struct extent holes_take(struct holes *h, struct extent *e, uint64_t max);

#endif
