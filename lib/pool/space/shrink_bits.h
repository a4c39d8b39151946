/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_SHRINK_BITS_H
#define POOL_SHRINK_BITS_H
/*
 * A bit for each data block in use, with rank and select, and the moves that follow from it.  Memory follows
 * from what is in use: how many blocks the pool says it has does not matter.
 * Private to shrink.
 */
#include "base/err.h"
#include "base/umap.h"
#include "base/units.h"

struct shrink;

struct used_group;

/* { 0 }: all clear. */
struct used_bits {
	struct used_group *group; /* those with set bits; they ascend once they are counted */
	size_t nr_groups, cap, last;
	struct umap index; /* number of a group -> its place in the list plus one, until they are counted */
	uint64_t nr_set; /* once they are counted */
};

void used_bits_fini(struct used_bits *u);
/* Sets the bits [b, b+len).  0 or -ENOMEM. */
int used_bits_set(struct used_bits *u, uint64_t b, uint64_t len, struct err *err);
/* To be called once, after the last set, and before the functions below. */
void used_bits_count(struct used_bits *u);
/* Set bits below @b. */
uint64_t used_bits_before(const struct used_bits *u, uint64_t b);
/* The clear bit that has @n clear bits before it. */
uint64_t used_bits_nth_free(const struct used_bits *u, uint64_t n);
/* First bit in [from, end) that is set (or, @set false, clear), or @end. */
uint64_t used_bits_find(const struct used_bits *u, uint64_t from, uint64_t end, bool set);

/* [from, from+len) goes to [to, to+len). */
struct shrink_move {
	dblock_t from, to;
	uint64_t len;
};
/* The move after *m (zeroed: the first); false: none left. */
bool shrink_next_move(const struct shrink *s, struct shrink_move *m);

#endif
