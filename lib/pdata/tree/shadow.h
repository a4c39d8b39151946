/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef PDATA_BTREE_SHADOW_H
#define PDATA_BTREE_SHADOW_H
/*
 * Steps down a tree with shadowing, for edit.c and remove.c.  0 or a negative errno with a text in
 * @err.
 */
#include "pdata/tree/edit.h"

/* The root, this transaction's own from now on; t->root changes. */
int btree_shadow_root(struct btree *t, struct disk_node **n, struct err *err);

/*
 * Child @i of the shadowed node @parent, this transaction's own from now on; the entry in @parent
 * changes.
 */
int btree_shadow_child(const struct btree *t, struct disk_node *parent, uint32_t i,
		       struct disk_node **child, struct err *err);
/* The @nr children of @parent from @first on, at most 3, which are alike; *@total: the entries in them. */
int btree_shadow_children(const struct btree *t, struct disk_node *parent, uint32_t first, unsigned nr,
			  struct disk_node **n, uint32_t *total, struct err *err);
/* Puts their @total entries evenly into the first @keep of them; the others are left empty. */
void btree_spread(struct disk_node *parent, uint32_t first, unsigned nr, unsigned keep,
		  struct disk_node **n, uint32_t total);

#endif
