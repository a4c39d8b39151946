/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_SALVAGE_SUCCESSION_H
#define POOL_SALVAGE_SUCCESSION_H
/* What two states say of each other, and whether one came after the other. */
#include "base/bits.h"
#include "pool/salvage/state/state.h"

/* The states that are compared. */
struct order {
	struct graph *g;
	struct pool_state *st;
	size_t nr_whole, nr; /* those in which nothing was reused, and all */
	uint8_t *known; /* a byte a pair: what is known of order_is_before(); NULL: there are too many */
};

/* Does the state use the node's block? */
static inline bool order_has_node(const struct pool_state *st, const struct snode *n)
{
	return n->block != NONE && bits_get(st->live, n->block);
}

/* Was @a written before @b, by what the details of both say?  Nothing is written before an empty pool that fills the front. */
bool order_is_before(const struct order *o, const struct pool_state *a, const struct pool_state *b);
/*
 * May @b have followed on @a?  What only @b has was written up to its index block, or so many blocks @behind it: a commit writes its
 * index block last, but for a few bitmaps.  Where @b lies in front of @a, it was also written behind the index block of @a, before
 * the device's end or an activation.
 */
bool order_follows(const struct order *o, const struct pool_state *a, const struct pool_state *b, uint32_t behind);
/* Did @b come after @a, and cannot @a have come after @b? */
bool order_is_newer(const struct order *o, const struct pool_state *a, const struct pool_state *b);
/* Does the @k-th pointer of the node lead to what should be there? */
bool order_names_part(const struct graph *g, const struct snode *n, uint32_t k);

/*
 * Did @best come after the superblock's state, of which something was reused?  A commit reuses nothing of the one before: so a later
 * superblock was written to nowhere.  A later time or transaction tells; else the place.  Where it may have been either way, the kernel
 * seldom went back to the front in between.
 */
enum succession order_succession(const struct order *o, const struct own_state *own, const struct pool_state *best);

#endif
