/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_DELTA_PRINT_H
#define POOL_DELTA_PRINT_H
/*
 * The differences between two devices as XML or JSON.  The XML is the one that scripts know from
 * other tools: no version attribute, and no newline at the end.
 * Threads: one at a time.
 */
#include "pool/query/delta.h"

struct delta_side {
	bool by_root;	 /* the tree was named by its block, not by a device */
	uint32_t dev_id; /* with !by_root */
	mblock_t root;
};

struct delta_print {
	struct delta_side side[2]; /* left and right */
	bool json;
	bool verbose; /* with data blocks; without them neighbours of one kind are one range */
	bool skip_same;
	/* Takes the text piece by piece.  0, or a negative errno that ends the printing. */
	int (*write)(void *ctx, const void *text, size_t len);
	void (*problem)(void *ctx, const char *text); /* one sentence for each damage */
	void *ctx;
};

/*
 * Finds the mapping tree of device s->dev_id, unless the side is by_root.  -EINVAL: the pool has
 * no such device; @nr, 1 or 2, names the side in the text, and p->problem() is told what is wrong
 * with the list of devices.
 */
int delta_find_root(const struct metadata *md, struct stream *s, const struct delta_print *p,
		    struct delta_side *side, unsigned nr, struct err *err);

/*
 * Compares and prints; the header describes @md.  Where delta_compare() meets damage, the ranges
 * before it are printed without an end, and the result is its -EUCLEAN or -EIO.
 */
int delta_print(const struct metadata *md, struct stream *s, const struct delta_print *p,
		struct err *err);

#endif
