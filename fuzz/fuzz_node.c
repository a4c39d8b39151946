/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* One node: the first byte chooses the tree, the rest is the block, sealed here. */
#include <string.h>

#include "fuzz.h"
#include "pdata/block/csum.h"
#include "pdata/block/node.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint32_t value_sizes[] = { 8, 24, 16, 4 };
	uint8_t block[MBLOCK_SIZE] = { 0 };
	struct node n;
	uint32_t i;

	if (!len)
		return 0;
	memcpy(block, data + 1, MIN(len - 1, sizeof(block)));
	csum_seal(block, 7, SALT_NODE);
	if (node_open(&n, block, 7, value_sizes[data[0] % 4]) != NODE_OK)
		return 0;
	for (i = 0; i < n.nr; i++) {
		MUST(!i || node_key(&n, i - 1) < node_key(&n, i));
		MUST((const uint8_t *)node_value(&n, i) + n.value_size <= block + MBLOCK_SIZE);
	}
	return 0;
}
