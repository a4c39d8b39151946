/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_SALVAGE_MISFITS_H
#define POOL_SALVAGE_MISFITS_H
/* What does not fit in the pool that the superblock names (misfits.c). */
#include "pool/salvage/witness/counts.h"

#define MAX_PLACES 8 /* with more of them a few changes explain too little */

struct misfits {
	const struct super *super;
	uint64_t nr, nr_nowhere; /* in all; pointers that lead to no block of the device: what they led to may just be lost */
	uint32_t nr_places; /* blocks in use that hold something intact which does not belong there, at most MAX_PLACES */
	uint32_t block[MAX_PLACES];
};

/* Walks the trees anew, and lists what does not fit.  0 or -errno. */
int misfits_look(struct trees *trees, struct misfits *m, struct err *err);

/* Has the device a whole tree, with another number of mappings than its details say? */
static inline bool misfits_has_other_count(const struct graph *g, const struct sdevice *d)
{
	return d->source == DETAILS_LIVE && d->root != NONE && !(g->node[d->root].flags & (SN_BROKEN | SN_VIRTUAL)) &&
	       !has_its_count(g, d);
}

#endif
