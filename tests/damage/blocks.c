/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Recipes: any block, for rescue trials. */
#include "damage.h"

static void zero(void)
{
	memset(block_at(g.block), 0, MBLOCK_SIZE);
	expect(block_at(g.block), 8, 0);
}

static void noise(void)
{
	uint64_t x = g.seed * 2 + 1, *p = block_at(g.block);

	for (unsigned i = 0; i < MBLOCK_SIZE / 8; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		p[i] = x;
	}
}

static void flip(void)
{
	uint8_t *p = block_at(g.block);

	p[g.value % MBLOCK_SIZE] ^= 0x10;
	expect(p + g.value % MBLOCK_SIZE, 1, p[g.value % MBLOCK_SIZE]);
}

static void swap(void)
{
	uint8_t tmp[MBLOCK_SIZE];

	memcpy(tmp, block_at(g.block), MBLOCK_SIZE);
	memcpy(block_at(g.block), block_at(g.value), MBLOCK_SIZE);
	memcpy(block_at(g.value), tmp, MBLOCK_SIZE);
}

/* Every internal node of mapping trees and of the top-level mapping tree. */
static void inner_nodes(void)
{
	for (mblock_t b = 1; b < g.len / MBLOCK_SIZE; b++) {
		struct disk_node *n = block_at(b);

		if (csum_classify(n, NULL) == CSUM_IS_NODE && !is_leaf(n) &&
		    le32_get(n->h.value_size) == 8)
			memset(n, 0, MBLOCK_SIZE);
	}
}

const struct recipe block_recipes[] = {
	{ "zero", zero },
	{ "noise", noise },
	{ "flip", flip },
	{ "swap", swap },
	{ "inner-nodes", inner_nodes },
	{ 0 },
};
