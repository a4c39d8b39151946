/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_DEFLATE_BLOCK_H
#define VOLUME_DEFLATE_BLOCK_H
/* The blocks of a deflate stream: literals and matches as bits. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DEFLATE_NR_LENGTHS   286 /* literals, the end of the block, lengths */
#define DEFLATE_NR_DISTANCES 30
#define DEFLATE_MIN_MATCH    3
#define DEFLATE_MAX_MATCH    258

/* The low half: a literal, or how far back a match lies; the high half: a match's length, or 0. */
typedef uint32_t deflate_item;

struct deflate_counts {
	uint32_t length[DEFLATE_NR_LENGTHS], distance[DEFLATE_NR_DISTANCES];
};

struct deflate_bits {
	uint8_t *at, *end;
	uint64_t held; /* bits that are not written yet */
	unsigned nr;   /* of them */
};

void deflate_count(struct deflate_counts *c, const deflate_item *item, size_t nr);

/*
 * Writes one block of @nr items, which stand for the @len bytes at @raw: with a code of its own, or as
 * they are where that is shorter.  False: no room.
 */
bool deflate_block(struct deflate_bits *b, struct deflate_counts *c, const deflate_item *item,
		   size_t nr, const uint8_t *raw, size_t len, bool last);
/* Writes the bits that are held.  False: no room. */
bool deflate_end(struct deflate_bits *b);

#endif
