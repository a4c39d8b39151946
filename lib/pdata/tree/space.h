/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef PDATA_TREE_SPACE_H
#define PDATA_TREE_SPACE_H
/*
 * Where metadata blocks come from: the functions of the metadata space map that trees call.
 *
 * The map counts references to metadata blocks, and keeps its own counts above two in a tree of
 * such blocks.  So trees stand below maps, and reach the one map that they allocate from through
 * this table.  map/transaction.c fills it.
 *
 * All functions return 0 (or what is said here) or a negative errno with a text in @err.
 * Threads: one at a time.
 */
#include "base/err.h"
#include "base/units.h"

struct space;

struct space_ops {
	/*
	 * Takes a block that is free now and was free when the transaction began; its count
	 * becomes 1.  -EXFULL.
	 */
	int (*alloc)(struct space *s, mblock_t *b, struct err *err);
	/* Adds one reference. */
	int (*inc)(struct space *s, mblock_t b, struct err *err);
	/* Removes one reference; *left: those that remain. */
	int (*dec)(struct space *s, mblock_t b, uint32_t *left, struct err *err);
	int (*count)(struct space *s, mblock_t b, uint32_t *count, struct err *err);
	/* 1: the block was allocated in this transaction; 0: it was not. */
	int (*is_fresh)(struct space *s, mblock_t b, struct err *err);
	/* Bounds the memory of the map.  Only when no pointer to a block is in use. */
	int (*trim)(struct space *s, struct err *err);
};

struct space {
	const struct space_ops *ops;
};

#endif
