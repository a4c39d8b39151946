/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "pdata/block/node.h"

#include <errno.h>

#include "base/cpu.h"
#include "base/u64x4.h"
#include "pdata/block/csum.h"

__attribute__((cold)) const char *node_fault_text(enum node_fault f)
{
	switch (f) {
	case NODE_OK:
		return "is good";
	case NODE_UNREADABLE:
		return "cannot be read";
	case NODE_OUTSIDE:
		return "lies beyond the end of the metadata device";
	case NODE_WRONG_PLACE:
		return "carries another block's number";
	case NODE_BAD_CSUM:
		return "has a bad checksum";
	case NODE_BAD_FLAGS:
		return "is not marked as exactly one of internal and leaf";
	case NODE_BAD_VALUE_SIZE:
		return "has values of the wrong size for its tree";
	case NODE_BAD_MAX:
		return "has a wrong maximum number of entries";
	case NODE_BAD_NR:
		return "has an impossible number of entries";
	case NODE_BAD_ORDER:
		return "has keys out of order";
	case NODE_BAD_RANGE:
		return "has keys outside of its parent's range";
	case NODE_BAD_DEPTH:
		return "is at another depth than its siblings";
	case NODE_LOOP:
		return "is already in use elsewhere in the trees";
	}
	return "is bad";
}

#ifdef __x86_64__
#define AVX2 __attribute__((target("avx2")))
#define FAR  54 /* bits of a number */

AVX2 static inline void add_steps(u64x4 *steps, const le64 *key)
{
	u64x4 v, next;

	u64x4_load(&v, key);
	u64x4_load(&next, key + 1);
	*steps |= next - v - 1;
}

/*
 * The first of @nr >= 5 keys and the steps from key to key, each less one, ored.  Below 2^FAR (as in all sound
 * pools) the keys increase: a node has not so many that all steps together reach 2^64.
 */
AVX2 static __attribute__((noinline)) uint64_t keys_steps(const le64 *key, uint32_t nr)
{
	const le64 *last = key + nr - 5;
	uint64_t first = le64_get(*key);
	u64x4 steps = { 0 };

	for (; key < last; key += 4)
		add_steps(&steps, key);
	/* the last keys are looked at twice rather than one by one */
	add_steps(&steps, last);
	return steps[0] | steps[1] | steps[2] | steps[3] | first;
}
#endif

/* Do the keys strictly increase? */
static bool keys_ascend(const struct disk_node *raw, uint32_t nr)
{
	bool bad = false;

#ifdef __x86_64__
	/* vectors of two are no faster than one key at a time */
	if (nr >= 5 && cpu_has(CPU_HAS_AVX2) && !(keys_steps(raw->keys, nr) >> FAR))
		return true;
#endif
	for (uint32_t i = 1; i < nr; i++)
		bad |= le64_get(raw->keys[i - 1]) >= le64_get(raw->keys[i]);
	return !bad;
}

enum node_fault node_open(struct node *n, const void *block, mblock_t at, uint32_t leaf_value_size)
{
	const struct disk_node *raw = block;
	uint32_t flags, max;

	switch (csum_verify(block, at, SALT_NODE)) {
	case 0:
		break;
	case -ENOTBLK:
		return NODE_WRONG_PLACE;
	default:
		return NODE_BAD_CSUM;
	}
	flags = le32_get(raw->h.flags);
	if ((flags & (NODE_INTERNAL | NODE_LEAF)) != NODE_INTERNAL &&
	    (flags & (NODE_INTERNAL | NODE_LEAF)) != NODE_LEAF)
		return NODE_BAD_FLAGS;
	n->raw = raw;
	n->leaf = flags & NODE_LEAF;
	n->value_size = le32_get(raw->h.value_size);
	if (n->value_size != (n->leaf ? leaf_value_size : 8))
		return NODE_BAD_VALUE_SIZE;
	max = le32_get(raw->h.max_entries);
	if (max != NODE_MAX_ENTRIES(n->value_size))
		return NODE_BAD_MAX;
	n->nr = le32_get(raw->h.nr_entries);
	if (n->nr > max || (!n->leaf && !n->nr))
		return NODE_BAD_NR;
	if (!keys_ascend(raw, n->nr))
		return NODE_BAD_ORDER;
	n->values = (const uint8_t *)&raw->keys[max];
	return NODE_OK;
}

void node_init(struct disk_node *block, bool leaf, uint32_t value_size)
{
	memset(block, 0, sizeof(*block));
	block->h.flags = le32_make(leaf ? NODE_LEAF : NODE_INTERNAL);
	block->h.max_entries = le32_make(NODE_MAX_ENTRIES(value_size));
	block->h.value_size = le32_make(value_size);
}
