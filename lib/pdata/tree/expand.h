/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef PDATA_TREE_EXPAND_H
#define PDATA_TREE_EXPAND_H
/* What an internal node passes on to its children.  Private to the walk. */
#include "pdata/tree/record.h"

/* What a node passes on to a child, besides the child's keys. */
struct bequest {
	uint32_t nattr;
	uint8_t height;
	bool shared;
};

/* Of @b, a node of @level. */
static inline struct bequest bequest_of(const struct walk *w, uint32_t b, int level)
{
	return (struct bequest) { .nattr = w->nattr[b],
				  .height = (uint8_t)level,
				  .shared = w->flag[b] & (WALK_MULTI | WALK_INHERIT) };
}

/*
 * The last key that the children of @b may have.  A node with keys out of its range would make all of
 * its children faulty as well.
 */
static inline uint64_t walk_last(const struct walk *w, uint32_t b, const le64 *keys, uint32_t nr)
{
	const uint64_t last = key_last(w, b);

	return last < le64_get(keys[nr - 1]) ? UINT64_MAX : last;
}

/*
 * Passes @q on from @b to its child *@c, which may have the keys from @first to @last.  1: the child knew all
 * of it; 0: it did not, or *@c is bad and EDGE_NONE now; -ENOMEM.
 */
int walk_pass_on(struct walk *w, struct walk_worker *me, uint32_t b, const struct bequest *q,
		 uint32_t *c, uint64_t first, uint64_t last);

/* The same for all children of @b, which has the record @in.  How many knew all of it, or -ENOMEM. */
int walk_expand(struct walk *w, struct walk_worker *me, uint32_t b, uint32_t *in, const le64 *keys,
		const struct bequest *q);

#endif
