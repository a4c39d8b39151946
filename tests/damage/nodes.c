/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Recipes: nodes of trees. */
#include "damage.h"

static void node_outside(void)
{
	struct place pl = target(0);

	set_pointer(&pl, value_or(g.len / MBLOCK_SIZE + 7));
}

static void node_wrong_place(void)
{
	struct place pl = target(0);
	struct disk_node *n = block_at(pl.block);

	put64(&n->h.blocknr, pl.block + 1);
	put32(&n->h.csum, csum_compute(n, SALT_NODE));
	say(pl.block);
}

static void node_csum(void)
{
	struct place pl = target(0);

	break_seal(pl.block, SALT_NODE);
	say(pl.block);
}

static void node_field(le32 *field, mblock_t b, uint64_t v)
{
	put32(field, value_or(v));
	seal(b, SALT_NODE);
	say(b);
}

static struct disk_node *node_at(mblock_t b)
{
	return block_at(b);
}

static void node_flags(void)
{
	mblock_t b = target(0).block;

	node_field(&node_at(b)->h.flags, b, 3);
}

static void node_value_size(void)
{
	mblock_t b = target(0).block;

	node_field(&node_at(b)->h.value_size, b, 12);
}

static void node_max_entries(void)
{
	mblock_t b = target(0).block;

	node_field(&node_at(b)->h.max_entries, b, le32_get(node_at(b)->h.max_entries) - 1);
}

static void node_nr_entries(void)
{
	mblock_t b = target(0).block;

	node_field(&node_at(b)->h.nr_entries, b, le32_get(node_at(b)->h.max_entries) + 1);
}

static void node_underfull(void)
{
	mblock_t b = tree(2, 1, 20)->leaf[g.leaf].block;

	node_field(&node_at(b)->h.nr_entries, b, 10);
}

static void node_key_order(void)
{
	struct disk_node *n = block_at(target(2).block);
	uint64_t first = le64_get(n->keys[0]), second = le64_get(n->keys[1]);

	put64(&n->keys[0], second);
	put64(&n->keys[1], first);
	seal(offset_of(n) / MBLOCK_SIZE, SALT_NODE);
	say(offset_of(n) / MBLOCK_SIZE);
}

/* The last key of a leaf becomes greater than the first of the next. */
static void node_key_range(void)
{
	struct layout *l = tree((unsigned)g.leaf + 2, 1, 1);
	struct disk_node *n = block_at(l->leaf[g.leaf].block);
	struct disk_node *next = block_at(l->leaf[g.leaf + 1].block);

	put64(&n->keys[nr_of(n) - 1], le64_get(next->keys[0]) + 1);
	seal(l->leaf[g.leaf].block, SALT_NODE);
	say(l->leaf[g.leaf].block);
}

/* A leaf that says it is internal, where its siblings are leaves. */
static void node_depth(void)
{
	struct layout *l = tree(2, 1, 1);
	mblock_t b = l->leaf[g.leaf ? g.leaf : 1].block;

	node_field(&node_at(b)->h.flags, b, NODE_INTERNAL);
}

static void node_in_use(void)
{
	struct layout *l = tree(2, 1, 0);

	set_pointer(&l->leaf[g.leaf], le64_get(sb()->mapping_root));
}

/* Up to the root again. */
static void node_loop(void)
{
	struct layout *l = tree(2, 1, 0);

	set_pointer(&l->leaf[g.leaf ? g.leaf : 1], l->inner[0].block);
}

/* Two neighbouring pointers lead to one node: no keys can suit both ranges. */
static void node_twice(void)
{
	struct layout *l = tree(2, 1, 0);

	set_pointer(&l->leaf[1], l->leaf[0].block);
}

const struct recipe node_recipes[] = {
	{ "node-outside", node_outside },
	{ "node-wrong-place", node_wrong_place },
	{ "node-csum", node_csum },
	{ "node-flags", node_flags },
	{ "node-value-size", node_value_size },
	{ "node-max-entries", node_max_entries },
	{ "node-nr-entries", node_nr_entries },
	{ "node-key-order", node_key_order },
	{ "node-key-range", node_key_range },
	{ "node-depth", node_depth },
	{ "node-in-use", node_in_use },
	{ "node-loop", node_loop },
	{ "node-twice", node_twice },
	{ "node-underfull", node_underfull },
	{ 0 },
};
