/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef PDATA_TREE_KEYS_H
#define PDATA_TREE_KEYS_H
/*
 * The first and the last key that a node may have or (WALK_DONE) has.  Private to the walk.
 *
 * Nearly all keys fit into 32 bits.  Others stand in wide[], whose pages are not touched else: all bits set in
 * first, or 0 in nlast, say so.  Where nothing is known of a node, all are 0: its first key is 0 and its last one
 * UINT64_MAX.
 */
#include "pdata/tree/impl.h"

#define KEY_WIDE UINT32_MAX /* the least key that does not fit */

/* record.c */
void keys_get(const struct walk *w, mblock_t b, uint64_t *first, uint64_t *last);
uint64_t key_last(const struct walk *w, mblock_t b);
/* @b may have those from @first to @last at most.  Any number of threads. */
void keys_narrow(struct walk *w, mblock_t b, uint64_t first, uint64_t last);
/* From now on @b has the keys from @first to @last.  Nobody else looks at them meanwhile. */
void keys_set(struct walk *w, mblock_t b, uint64_t first, uint64_t last);

#endif
