/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef UNIT_OWNERS_WORLD_H
#define UNIT_OWNERS_WORLD_H
/*
 * A pool whose devices share leaves and inner nodes of all heights, written by hand so that a dumb model
 * knows each node's owners.  Its nodes are damaged at random; the model knows what that hides.
 */
#include <errno.h>

#include "node_damage.h"
#include "pdata/block/node.h"
#include "pool/build/build.h"
#include "pool/format/superblock.h"
#include "random.h"
#include "tap.h"

#define NR_BLOCKS  1024
#define FIRST_NODE 200 /* of those written by hand */
#define NR_DEVS	   24
#define FANOUT	   4
#define LEAF_KEYS  16
#define DEV_ID(i)  (3 * (uint32_t)(i) + 1)

struct model_node {
	bool used, bad;
	int height;
	uint64_t
		lo; /* its least possible first key; 0: the first node of a tree, from which heights are learnt */
	unsigned nr;
	mblock_t child[FANOUT];
};

/* Reading a block that is bad fails. */
struct world {
	struct io io;
	struct io *mem;
	bool unreadable[NR_BLOCKS];
	struct model_node node[NR_BLOCKS];
	mblock_t root[NR_DEVS];
	uint64_t owners[NR_BLOCKS]; /* a bit for each device that reaches the node */
	bool first_damaged;
	bool keep_ranges; /* the keys of inner nodes stay where their parents allow them */
};

static struct err err;

static int world_read(struct io *io, void *buf, size_t len, uint64_t at, struct err *e)
{
	struct world *w = (struct world *)io;

	for (uint64_t b = at / MBLOCK_SIZE; b < (at + len) / MBLOCK_SIZE; b++)
		if (w->unreadable[b])
			return err_set(e, -EIO, "block %llu is bad", (unsigned long long)b);
	return io_read(w->mem, buf, len, at, e);
}

static struct disk_node *node_at(struct world *w, mblock_t b)
{
	return (void *)((uint8_t *)io_mem_data(w->mem) + b * MBLOCK_SIZE);
}

static void set_value(struct disk_node *n, uint32_t i, uint64_t v)
{
	n->keys[INTERNAL_MAX + i] = le64_make(v);
}

static void put_leaf(struct world *w, mblock_t b)
{
	struct disk_node *n = node_at(w, b);
	uint32_t nr = 0;

	node_init(n, true, 8);
	for (uint64_t k = 0; k < LEAF_KEYS; k++)
		if (!k || rnd(2)) {
			n->keys[nr] = le64_make(w->node[b].lo + k);
			set_value(n, nr++, rnd(5000) << 24);
		}
	n->h.nr_entries = le32_make(nr);
	csum_seal(n, b, SALT_NODE);
}

/* A node of this place: one that another device has, or a new one.  As deep as the tree. */
static mblock_t make_node(struct world *w, int height, uint64_t lo)
{
	uint64_t span = LEAF_KEYS, from = FIRST_NODE + rnd(NR_BLOCKS - FIRST_NODE);
	struct model_node *m;
	struct disk_node *n;
	mblock_t b = from;

	for (mblock_t i = rnd(3) ? FIRST_NODE : NR_BLOCKS; i < NR_BLOCKS; i++) {
		b = b + 1 < NR_BLOCKS ? b + 1 : FIRST_NODE;
		if (w->node[b].used && w->node[b].height == height && w->node[b].lo == lo)
			return b;
	}
	for (b = from; w->node[b].used;)
		b = b + 1 < NR_BLOCKS ? b + 1 : FIRST_NODE;
	m = &w->node[b];
	*m = (struct model_node) { .used = true, .height = height, .lo = lo };
	if (!height) {
		put_leaf(w, b);
		return b;
	}
	n = node_at(w, b);
	node_init(n, false, 8);
	for (int h = 1; h < height; h++)
		span *= FANOUT;
	for (uint64_t i = 0; i < FANOUT; i++) {
		if (i && !rnd(5))
			continue;
		m->child[m->nr] = make_node(w, height - 1, lo + i * span);
		n->keys[m->nr] = le64_make(lo + i * span);
		set_value(n, m->nr, m->child[m->nr]);
		m->nr++;
	}
	n->h.nr_entries = le32_make(m->nr);
	csum_seal(n, b, SALT_NODE);
	return b;
}

static void set_root(struct world *w, size_t i, mblock_t root)
{
	const struct disk_superblock *sb = (const void *)node_at(w, 0);
	mblock_t top = le64_get(sb->mapping_root);
	struct disk_node *n = node_at(w, top);

	w->root[i] = root;
	check_eq(le64_get(n->keys[i]), DEV_ID(i));
	set_value(n, (uint32_t)i, root);
	csum_seal(n, top, SALT_NODE);
}

/* A pool of devices without a mapping; then their trees. */
static struct world *world_new(uint64_t the_seed)
{
	static const struct io_ops ops = { .read = world_read };
	struct pool_info info = { .data_block_size = 128, .nr_data_blocks = 5000 };
	struct world *w = calloc(1, sizeof(*w));
	struct events e = { 0 };

	rnd_begin(the_seed);
	check(w);
	w->mem = io_mem_new("mem", (uint64_t)NR_BLOCKS * MBLOCK_SIZE);
	w->io = (struct io) {
		.ops = &ops, .name = "bad", .size = w->mem->size, .align = 1, .fd = -1
	};
	check_eq(build_new(w->mem, NULL, &e, &err), 0);
	check_eq(e.ops->begin_pool(e.ctx, &info, &err), 0);
	for (size_t i = 0; i < NR_DEVS; i++) {
		struct device_info d = { .dev_id = DEV_ID(i) };

		check_eq(e.ops->begin_device(e.ctx, &d, &err), 0);
		check_eq(e.ops->end_device(e.ctx, &err), 0);
	}
	check_eq(e.ops->end_pool(e.ctx, &err), 0);
	build_free(&e);
	for (size_t i = 0; i < NR_DEVS; i++)
		set_root(w, i, make_node(w, rnd(2) ? 3 : (int)rnd(4), 0));
	return w;
}

static void world_free(struct world *w)
{
	io_free(w->mem);
	free(w);
}

/* Damages a node: by itself, in its place, or one of its pointers. */
static void damage(struct world *w, mblock_t b, bool only_io)
{
	struct model_node *m = &w->node[b];
	struct disk_node *n = node_at(w, b);
	uint32_t i;

	w->first_damaged |= !m->lo;
	m->bad = true;
	switch (only_io ? 0 : rnd(m->lo ? 6 : 4)) {
	case 0:
		w->unreadable[b] = true;
		return;
	case 1:
		if (m->nr < 2)
			break;
		m->bad = false;
		i = (uint32_t)rnd(m->nr);
		m->child[i] = 0;
		set_value(n, i, NR_BLOCKS + b);
		csum_seal(n, b, SALT_NODE);
		return;
	case 4: /* keys that its parents do not allow */
		if (w->keep_ranges && m->height)
			break;
		n->keys[0] = le64_make(0);
		csum_seal(n, b, SALT_NODE);
		return;
	case 5: /* a leaf among inner nodes or the reverse */
		n->h.flags = le32_make(m->height ? NODE_LEAF : NODE_INTERNAL);
		csum_seal(n, b, SALT_NODE);
		return;
	}
	damage_node(n, b, random_next(&rnd_state));
}

static void reach(struct world *w, mblock_t b, size_t dev)
{
	const struct model_node *m = &w->node[b];

	w->owners[b] |= 1ull << dev;
	for (unsigned i = 0; !m->bad && i < m->nr; i++)
		if (m->child[i])
			reach(w, m->child[i], dev);
}

/* Who reaches which nodes by the model. */
static void reach_all(struct world *w)
{
	memset(w->owners, 0, sizeof(w->owners));
	for (size_t i = 0; i < NR_DEVS; i++)
		if (w->root[i] < NR_BLOCKS)
			reach(w, w->root[i], i);
}

/* @first: also the nodes from which heights are learnt. */
static void damage_some(struct world *w, bool first, bool only_io)
{
	for (mblock_t b = FIRST_NODE; b < NR_BLOCKS; b++)
		if (w->node[b].used && (first || w->node[b].lo) && !rnd(12))
			damage(w, b, only_io);
	if (!only_io && first && rnd(2))
		set_root(w, rnd(NR_DEVS), NR_BLOCKS + rnd(5));
	reach_all(w);
}

#endif
