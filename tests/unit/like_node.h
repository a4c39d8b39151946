/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef UNIT_LIKE_NODE_H
#define UNIT_LIKE_NODE_H
#include "pdata/block/format.h"

/* Makes @block, 4096 bytes, look like a node: all of its header but the checksum and the place. */
static inline void node_header(uint8_t *block, uint32_t flags, uint32_t max, uint32_t value_size)
{
	struct disk_node *n = (struct disk_node *)block;

	n->h.flags = le32_make(flags);
	n->h.nr_entries = le32_make(max / 2);
	n->h.max_entries = le32_make(max);
	n->h.value_size = le32_make(value_size);
}

#endif
