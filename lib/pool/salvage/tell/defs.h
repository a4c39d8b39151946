/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_SALVAGE_DEFS_H
#define POOL_SALVAGE_DEFS_H
/*
 * Which leaves do several devices reach?  A def is a maximal chain of shared leaves that always stand
 * together in this order.
 */
#include "pool/salvage/tell/tell.h"

#define DEFS_CONFLICT	  (UINT32_MAX - 1) /* different neighbours in different places */
#define DEFS_HEAD_NONE	  (UINT32_MAX - 1)
#define DEFS_HEAD_SEVERAL (UINT32_MAX - 2)

struct defs {
	uint32_t *next,
		*prev;	 /* by node, leaves only: the neighbour, NONE: not seen, or DEFS_CONFLICT */
	uint32_t *head;	 /* by node: the one def that begins in it, or DEFS_HEAD_ */
	uint8_t *visits; /* 0, 1, 2: shared */
	uint32_t *list;	 /* first leaves of defs, as devices and keys come to them */
	uint32_t nr;
};

/* @wanted false: no leaf counts as shared.  0 or -ENOMEM; defs_fini() in both cases. */
int defs_init(const struct trees *trees, struct defs *d, bool wanted, struct err *err);
void defs_fini(struct defs *d);
/* The leaf behind @leaf in the same def, or NONE. */
uint32_t defs_next(const struct defs *d, uint32_t leaf);

static inline bool defs_is_shared(const struct defs *d, uint32_t node)
{
	return d->visits[node] == 2;
}

static inline bool node_is_leaf(const struct graph *g, uint32_t i)
{
	return g->node[i].flags & SN_LEAF;
}

/* A leaf without mappings that can be sent is left out. */
static inline bool leaf_has_content(const struct graph *g, uint32_t i)
{
	return g->node[i].nr && (g->node[i].nr_mappings || g->node[i].tree != TREE_MAPPING);
}

#endif
