/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_PLAN_H
#define VOLUME_PLAN_H
/*
 * A window of extents to copy, cut into pieces.  A piece is what one worker reads at once: it is
 * contiguous in its source, and its parts may belong to several places of the output.
 *
 * A device whose blocks lie all over the data device is copied in the order of the data
 * device, so that neighbours there become one read; the window bounds what that sorting keeps
 * in memory: 32 bytes an extent and 40 a piece, PLAN_MAX_EXTENTS each, whatever the device.
 * Threads: reading, any; changes, one.
 */
#include "volume/map/map.h"

#define PLAN_MAX_EXTENTS (1u << 19)
#define PLAN_MAX_BYTES ((uint64_t)64 << 30)
#define PLAN_FRAGMENTED (1u << 20)

struct piece {
	enum extent_kind kind;
	uint32_t nr;   /* extents, from plan->extent[first] on */
	size_t first;
	uint64_t skip; /* bytes of the first extent that belong to earlier pieces */
	uint64_t from; /* in the source */
	uint64_t len;
};

struct plan {
	struct extent *extent;
	size_t nr, cap;
	struct piece *piece;
	size_t nr_pieces, cap_pieces;
	uint64_t bytes; /* of all extents */
};

void plan_fini(struct plan *p);
void plan_reset(struct plan *p);

/* Is it time to execute the plan and reset it? */
static inline bool plan_full(const struct plan *p)
{
	return p->nr >= PLAN_MAX_EXTENTS || p->bytes >= PLAN_MAX_BYTES;
}

/* Are the extents so short on average that reading them in the order of their source pays? */
static inline bool plan_fragmented(const struct plan *p)
{
	return p->nr > 1 && p->bytes / p->nr < PLAN_FRAGMENTED;
}

/* Adds an extent, which must lie behind the ones before.  0 or -ENOMEM. */
int plan_add(struct plan *p, const struct extent *e, struct err *err);

/*
 * Makes the pieces: of at most @max_len bytes (@max_zero for zeros), each a
 * multiple of 4096 but for the ends of extents.  @any_order: the output can be written anywhere, so
 * a fragmented plan is sorted by source and location, and neighbours in the source join in a piece.
 */
int plan_cut(struct plan *p, uint64_t max_len, uint64_t max_zero, bool any_order, struct err *err);

/* The parts of a piece, in the order of its source. */
struct piece_part {
	uint64_t at;	 /* in the output */
	uint64_t offset; /* in the piece */
	uint64_t len;
};
static inline struct piece_part piece_part(const struct plan *p, const struct piece *pc, uint32_t i)
{
	const struct extent *e = &p->extent[pc->first + i];
	uint64_t skip = i ? 0 : pc->skip;
	uint64_t offset = i ? e->from - pc->from : 0;
	uint64_t rest = pc->len - offset;

	return (struct piece_part){ e->at + skip, offset, MIN(e->len - skip, rest) };
}

#endif
