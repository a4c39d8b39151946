/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef UNIT_NODE_DAMAGE_H
#define UNIT_NODE_DAMAGE_H
/* Damages that no reader of a node may overlook. */
#include "pdata/block/csum.h"
#include "pdata/block/format.h"

/* Damages the node in the 4096 bytes at @block, which is block @b, in one of five ways; @chance is any number. */
static inline void damage_node(void *block, mblock_t b, uint64_t chance)
{
	struct disk_node *n = block;
	uint32_t nr = le32_get(n->h.nr_entries);

	switch (chance % 5) {
	case 0:
		((uint8_t *)block)[chance / 5 % MBLOCK_SIZE] ^= (uint8_t)(1 + (chance >> 32) % 255);
		return;
	case 1:
		memset(block, 0, MBLOCK_SIZE);
		return;
	case 2: /* of another place */
		csum_seal(block, b + 1, SALT_NODE);
		return;
	case 3: /* too many entries */
		n->h.nr_entries = le32_make(INTERNAL_MAX + 1);
		break;
	case 4: /* keys that do not ascend; a leaf and an internal node in one */
		if (nr > 1)
			n->keys[nr - 1] = n->keys[0];
		else
			n->h.flags = le32_make(NODE_LEAF | NODE_INTERNAL);
		break;
	}
	csum_seal(block, b, SALT_NODE);
}

#endif
