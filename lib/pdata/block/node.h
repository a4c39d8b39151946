/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef PDATA_NODE_H
#define PDATA_NODE_H
/*
 * One btree node, checked and opened.  Nothing reads a node's fields before
 * node_open() has said NODE_OK.
 */
#include <errno.h>
#include <string.h>

#include "pdata/block/format.h"

/*
 * What can be wrong with a node, by itself or in its tree; each has a sentence (node_fault_text).
 */
enum node_fault {
	NODE_OK,
	NODE_UNREADABLE, /* I/O error */
	NODE_OUTSIDE,	 /* block number beyond the metadata device */
	NODE_WRONG_PLACE, /* stored block number is not the location */
	NODE_BAD_CSUM,
	NODE_BAD_FLAGS,	 /* not exactly one of internal and leaf */
	NODE_BAD_VALUE_SIZE, /* not that of this tree */
	NODE_BAD_MAX,	 /* max_entries not that of the table in doc/format.md */
	NODE_BAD_NR,	 /* nr_entries > max_entries, or an empty internal node */
	NODE_BAD_ORDER,	 /* keys do not strictly increase */
	NODE_BAD_RANGE,	 /* keys outside of the parent's range */
	NODE_BAD_DEPTH,	 /* a leaf where the others are internal, or the reverse */
	NODE_LOOP,	 /* reached again from below itself, or used by two trees of different kinds */
};
__attribute__((cold)) const char *node_fault_text(enum node_fault f);

struct node {
	const struct disk_node *raw;
	const uint8_t *values;
	uint32_t nr;	     /* entries */
	uint32_t value_size; /* of this node: 8 when internal */
	bool leaf;
};

/*
 * Checks and opens the node in the 4096 bytes at @block, found at location @at, of
 * a tree whose leaves have @leaf_value_size.  Checks place, checksum, flags, sizes
 * and key order, in this order.
 */
enum node_fault node_open(struct node *n, const void *block, mblock_t at,
			  uint32_t leaf_value_size);

static inline uint64_t node_key(const struct node *n, uint32_t i)
{
	return le64_get(n->raw->keys[i]);
}

static inline const void *node_value(const struct node *n, uint32_t i)
{
	return n->values + (size_t)i * n->value_size;
}

static inline uint64_t node_value64(const struct node *n, uint32_t i)
{
	le64 v;

	memcpy(&v, n->values + (size_t)i * 8, 8);
	return le64_get(v);
}

/*
 * Are a node's keys within the range of its parents, [@first, @last]?  The node's own are from
 * @own_first to @own_last; @own_first > @own_last: it has none, which fits any range.
 */
static inline bool node_keys_fit(uint64_t own_first, uint64_t own_last, uint64_t first,
				 uint64_t last)
{
	return own_first > own_last || (own_first >= first && own_last <= last);
}

/* The same for an opened node: NODE_OK or NODE_BAD_RANGE. */
static inline enum node_fault node_check_range(const struct node *n, uint64_t first, uint64_t last)
{
	return !n->nr || node_keys_fit(node_key(n, 0), node_key(n, n->nr - 1), first, last) ?
		       NODE_OK :
		       NODE_BAD_RANGE;
}

/* The fault of a node whose block could not be read: @status < 0 is what stream_read() gave. */
static inline enum node_fault node_read_fault(int status)
{
	return status == -ENXIO ? NODE_OUTSIDE : NODE_UNREADABLE;
}

/* A node under construction in @block (4096 bytes): zeroed, header set, no entries. */
void node_init(struct disk_node *block, bool leaf, uint32_t value_size);

#endif
