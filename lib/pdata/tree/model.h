/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef PDATA_TREE_MODEL_H
#define PDATA_TREE_MODEL_H
/*
 * Internal nodes that are mostly copies of others.  Private to the walk.
 *
 * Snapshots have internal nodes of their own at the same place of their trees, and these differ in a
 * few pointers.  A model is what the last node at a place had: a pointer that the next one has as
 * well, with the same keys, and that added nothing the last time, is not looked at again.  Its
 * references are counted when the model loses it, and such a node's record holds only the children that another
 * record does not have.
 */
#include "pdata/tree/impl.h"

/* Keeps the children of @b, the internal node @n of @level, and passes on to them.  0 or -ENOMEM. */
int walk_take_inner(struct walk *w, struct walk_worker *me, uint32_t b, const struct node *n,
		    int level);

/* False: no memory. */
bool walk_new_models(struct walk *w);

/* Counts what the models still have, and frees them.  No worker runs. */
void walk_end_models(struct walk *w);

#endif
