/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef PDATA_NODE_EDIT_H
#define PDATA_NODE_EDIT_H
/*
 * Changing the entries of a node in memory.  node_open() has checked the nodes or node_init() has
 * made them, so their fields are trusted here.  Nodes that are changed belong to the current
 * transaction.  Slots that become unused are zeroed.  Nothing here can fail.
 * Threads: one at a time for each node.
 */
#include <string.h>

#include "pdata/block/node.h"

static inline uint32_t ne_nr(const struct disk_node *n)
{
	return le32_get(n->h.nr_entries);
}

static inline uint32_t ne_max(const struct disk_node *n)
{
	return le32_get(n->h.max_entries);
}

static inline uint32_t ne_value_size(const struct disk_node *n)
{
	return le32_get(n->h.value_size);
}

static inline bool ne_is_leaf(const struct disk_node *n)
{
	return le32_get(n->h.flags) & NODE_LEAF;
}

static inline uint64_t ne_key(const struct disk_node *n, uint32_t i)
{
	return le64_get(n->keys[i]);
}

static inline const void *ne_value(const struct disk_node *n, uint32_t i)
{
	return (const uint8_t *)&n->keys[ne_max(n)] + (size_t)i * ne_value_size(n);
}

static inline void *ne_value_mut(struct disk_node *n, uint32_t i)
{
	return (uint8_t *)&n->keys[ne_max(n)] + (size_t)i * ne_value_size(n);
}

/* The child that entry @i of an internal node names. */
static inline mblock_t ne_child(const struct disk_node *n, uint32_t i)
{
	le64 v;

	memcpy(&v, ne_value(n, i), sizeof(v));
	return le64_get(v);
}

static inline void ne_set_child(struct disk_node *n, uint32_t i, mblock_t b)
{
	le64 v = le64_make(b);

	memcpy(ne_value_mut(n, i), &v, sizeof(v));
}

/* Copies everything but the checksum and the location. */
static inline void ne_copy(struct disk_node *to, const struct disk_node *from)
{
	struct disk_node_header id = to->h;

	*to = *from;
	to->h.csum = id.csum;
	to->h.blocknr = id.blocknr;
}

/* Are they of the same kind, so that entries can move between them? */
static inline bool ne_alike(const struct disk_node *a, const struct disk_node *b)
{
	return ne_is_leaf(a) == ne_is_leaf(b) && ne_value_size(a) == ne_value_size(b);
}

/* Index of the last key <= @key, or -1. */
int ne_search(const struct disk_node *n, uint64_t key);

/* Puts an entry at @i; the node has room. */
void ne_insert(struct disk_node *n, uint32_t i, uint64_t key, const void *value);
/* Removes the entries [@i, @i + @nr). */
void ne_remove(struct disk_node *n, uint32_t i, uint32_t nr);

/*
 * Distributes the entries of @nr neighbours, at most 3 and all alike, again, in order: node k gets
 * want[k] of them.  The sum of @want must be the number of entries that they have.
 */
void ne_spread(struct disk_node *const *nodes, unsigned nr, const uint32_t *want);

#endif
