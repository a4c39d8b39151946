/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include <errno.h>

#include "base/jobs.h"
#include "pdata/tree/cursor.h"
#include "pdata/block/csum.h"
#include "tap.h"

#define NR_BLOCKS 4096
#define PER_LEAF 10
#define ROOT 1

/* A tree of keys 0, 3, 6, ... with value key + 1, built by hand in memory. */
struct pool {
	struct io *io;
	struct jobs *jobs;
	struct stream s;
	uint64_t nr_keys;
	mblock_t next;
};

static struct disk_node *at(struct pool *p, mblock_t b)
{
	return (struct disk_node *)((char *)io_mem_data(p->io) + b * MBLOCK_SIZE);
}

static void add(struct disk_node *n, uint64_t key, uint64_t value)
{
	uint32_t nr = le32_get(n->h.nr_entries);
	le64 v = le64_make(value);

	n->keys[nr] = le64_make(key);
	memcpy((char *)n + 32 + (252 + nr) * 8, &v, 8);
	n->h.nr_entries = le32_make(nr + 1);
}

static mblock_t leaf_place(uint64_t i)
{
	return 1000 + (i * 7919) % 2999;
}

/* Leaves of PER_LEAF keys all over the device, @fan children an internal node. */
static void make_tree(struct pool *p, uint64_t nr_keys, uint32_t fan)
{
	mblock_t below[3000];
	uint64_t first[3000];
	uint64_t nr = 0;

	p->io = io_mem_new("tree", (uint64_t)NR_BLOCKS * MBLOCK_SIZE);
	p->jobs = jobs_new(2);
	check(p->io && p->jobs);
	stream_init(&p->s, p->io, p->jobs);
	p->nr_keys = nr_keys;
	p->next = 2;
	for (uint64_t k = 0; k < nr_keys; k += PER_LEAF, nr++) {
		struct disk_node *n = at(p, leaf_place(nr));

		node_init(n, true, 8);
		for (uint64_t i = k; i < k + PER_LEAF && i < nr_keys; i++)
			add(n, 3 * i, 3 * i + 1);
		below[nr] = leaf_place(nr);
		first[nr] = nr ? 3 * k : 0;
		csum_seal(n, below[nr], SALT_NODE);
	}
	do {
		uint64_t up = 0;

		for (uint64_t i = 0; i < nr; i += fan, up++) {
			mblock_t b = nr <= fan ? ROOT : p->next++;
			struct disk_node *n = at(p, b);

			node_init(n, false, 8);
			for (uint64_t j = i; j < i + fan && j < nr; j++)
				add(n, first[j], below[j]);
			csum_seal(n, b, SALT_NODE);
			below[up] = b;
			first[up] = first[i];
		}
		nr = up;
	} while (nr > 1);
}

static void drop(struct pool *p)
{
	jobs_free(p->jobs);
	io_free(p->io);
}

static void reads_in_key_order(void)
{
	struct pool p;
	struct btree_entries e;
	struct btree_cursor *c;
	uint64_t k = 0;
	int r;

	make_tree(&p, 20003, 5);
	c = btree_cursor_new(&p.s, ROOT, 8);
	while ((r = btree_cursor_next(c, &e, NULL)) == 1) {
		check(e.nr >= 1);
		for (uint32_t i = 0; i < e.nr; i++, k++) {
			check_eq(entries_key(&e, i), 3 * k);
			check_eq(entries_value64(&e, i), 3 * k + 1);
		}
	}
	check_eq(r, 0);
	check_eq(k, 20003);
	check_eq(btree_cursor_next(c, &e, NULL), 0);
	btree_cursor_free(c);
	drop(&p);
}

static void few_reads_for_few_entries(void)
{
	struct pool p;
	struct btree_entries e;
	struct btree_cursor *c;

	make_tree(&p, 20000, 10);
	c = btree_cursor_new(&p.s, ROOT, 8);
	check_eq(btree_cursor_next(c, &e, NULL), 1);
	check(p.s.nr_blocks_read <= 8); /* the tree has five levels; the first batch is small */
	btree_cursor_free(c);
	drop(&p);
}

static void each_block_once(void)
{
	struct pool p;
	struct btree_entries e;
	struct btree_cursor *c;

	make_tree(&p, 20000, 100);
	c = btree_cursor_new(&p.s, ROOT, 8);
	while (btree_cursor_next(c, &e, NULL) == 1)
		;
	check_eq(p.s.nr_blocks_read, 2000 + 20 + 1);
	btree_cursor_free(c);
	drop(&p);
}

static void empty_tree(void)
{
	struct pool p;
	struct btree_entries e;
	struct btree_cursor *c;

	make_tree(&p, 10, 10);
	node_init(at(&p, 3), true, 8);
	csum_seal(at(&p, 3), 3, SALT_NODE);
	c = btree_cursor_new(&p.s, 3, 8);
	check_eq(btree_cursor_next(c, &e, NULL), 0);
	btree_cursor_free(c);
	drop(&p);
}

/* Sum of the entries given, with exactly one damage of @fault expected on the way. */
static uint64_t count_around(struct pool *p, enum node_fault fault, struct btree_damage *d)
{
	struct btree_cursor *c = btree_cursor_new(&p->s, ROOT, 8);
	struct btree_entries e;
	struct err err = { 0 };
	uint64_t nr = 0, before = 0;
	int r, nr_damage = 0;

	while ((r = btree_cursor_next(c, &e, &err))) {
		if (r < 0) {
			check(btree_cursor_damage(c));
			*d = *btree_cursor_damage(c);
			check_eq(d->fault, fault);
			check_eq(r, node_fault_errno(fault));
			check(strstr(err.text, node_fault_text(fault)));
			nr_damage++;
			continue;
		}
		check(!nr || entries_key(&e, 0) > before);
		before = entries_key(&e, e.nr - 1);
		nr += e.nr;
	}
	check_eq(nr_damage, 1);
	btree_cursor_free(c);
	return nr;
}

static void damaged_leaf(void)
{
	struct btree_damage d;
	struct pool p;

	make_tree(&p, 20000, 50);
	((char *)at(&p, leaf_place(700)))[3000] ^= 1;
	check_eq(count_around(&p, NODE_BAD_CSUM, &d), 20000 - PER_LEAF);
	check_eq(d.block, leaf_place(700));
	check_eq(d.first, 3 * 7000);
	check_eq(d.last, 3 * 7010 - 1);
	drop(&p);
}

static void damaged_internal(void)
{
	struct btree_damage d;
	struct pool p;

	make_tree(&p, 20000, 50);
	((char *)at(&p, 2 + 13))[100] ^= 1; /* the first level above the leaves begins at 2 */
	check_eq(count_around(&p, NODE_BAD_CSUM, &d), 20000 - 50 * PER_LEAF);
	check_eq(d.block, 15);
	check_eq(d.first, 3 * 13 * 500);
	check_eq(d.last, 3 * 14 * 500 - 1);
	drop(&p);
}

static void first_leaf_damaged(void)
{
	struct btree_damage d;
	struct pool p;

	make_tree(&p, 20000, 50);
	((char *)at(&p, leaf_place(0)))[3000] ^= 1;
	check_eq(count_around(&p, NODE_BAD_CSUM, &d), 20000 - PER_LEAF);
	check_eq(d.first, 0);
	drop(&p);
}

static void keys_of_another_place(void)
{
	struct btree_damage d;
	struct disk_node *n;
	struct pool p;

	make_tree(&p, 20000, 50);
	n = at(&p, leaf_place(700));
	n->keys[9] = le64_make(3 * 7010);
	csum_seal(n, leaf_place(700), SALT_NODE);
	check_eq(count_around(&p, NODE_BAD_RANGE, &d), 20000 - PER_LEAF);
	drop(&p);
}

static void points_outside(void)
{
	struct btree_damage d;
	struct disk_node *n;
	struct pool p;
	le64 v = le64_make(UINT64_MAX / 2);

	make_tree(&p, 20000, 50);
	n = at(&p, 4);
	memcpy((char *)n + 32 + (252 + 3) * 8, &v, 8);
	csum_seal(n, 4, SALT_NODE);
	check_eq(count_around(&p, NODE_OUTSIDE, &d), 20000 - PER_LEAF);
	drop(&p);
}

static void root_outside(void)
{
	struct btree_cursor *c;
	struct btree_entries e;
	struct err err = { 0 };
	struct pool p;

	make_tree(&p, 10, 10);
	c = btree_cursor_new(&p.s, UINT64_MAX / 2, 8);
	check_eq(btree_cursor_next(c, &e, &err), node_fault_errno(NODE_OUTSIDE));
	check_eq(btree_cursor_damage(c)->last, UINT64_MAX);
	check_eq(btree_cursor_next(c, &e, &err), 0);
	btree_cursor_free(c);
	drop(&p);
}

static void leaf_twice(void)
{
	struct btree_damage d;
	struct disk_node *n;
	struct pool p;
	le64 v = le64_make(leaf_place(702));

	make_tree(&p, 20000, 50);
	n = at(&p, 2 + 14); /* its children are leaves 700 to 749 */
	memcpy((char *)n + 32 + (252 + 3) * 8, &v, 8);
	csum_seal(n, 2 + 14, SALT_NODE);
	check_eq(count_around(&p, NODE_LOOP, &d), 20000 - PER_LEAF);
	check_eq(d.block, leaf_place(702));
	check_eq(d.first, 3 * 7030);
	check_eq(d.last, 3 * 7040 - 1);
	drop(&p);
}

static uint64_t announced;

static void note_announced(struct io *io, uint64_t at_byte, uint64_t len)
{
	check(len && len <= io->size && at_byte <= io->size - len);
	announced += len / MBLOCK_SIZE;
}

static void announces_what_exists(void)
{
	struct btree_damage d;
	struct disk_node *n;
	struct io_ops ops;
	struct pool p;
	le64 v = le64_make(UINT64_MAX / 2);

	make_tree(&p, 20000, 50);
	ops = *p.io->ops;
	ops.will_need = note_announced;
	p.io->ops = &ops;
	n = at(&p, 2 + 30);
	memcpy((char *)n + 32 + (252 + 3) * 8, &v, 8);
	csum_seal(n, 2 + 30, SALT_NODE);
	announced = 0;
	check_eq(count_around(&p, NODE_OUTSIDE, &d), 20000 - PER_LEAF);
	check(announced > 500);
	drop(&p);
}

static void leaf_too_high(void)
{
	struct btree_damage d;
	struct disk_node *n;
	struct pool p;

	make_tree(&p, 20000, 50);
	n = at(&p, 2 + 7);
	node_init(n, true, 8);
	add(n, 3 * 7 * 500, 1);
	csum_seal(n, 9, SALT_NODE);
	check_eq(count_around(&p, NODE_BAD_DEPTH, &d), 20000 - 500);
	drop(&p);
}

static void loops_end(void)
{
	struct btree_damage d;
	struct disk_node *n;
	struct pool p;

	make_tree(&p, 20, 50);
	n = at(&p, ROOT);
	node_init(n, false, 8);
	add(n, 0, ROOT);
	csum_seal(n, ROOT, SALT_NODE);
	check_eq(count_around(&p, NODE_BAD_DEPTH, &d), 0);
	drop(&p);
}

static int fail_read(struct io *io, void *buf, size_t len, uint64_t at_byte, struct err *err)
{
	(void)buf;
	(void)len;
	return err_set(err, -EIO, "%s: no luck at %llu", io->name, (unsigned long long)at_byte);
}

static void read_error(void)
{
	struct btree_damage d;
	struct io_ops ops;
	struct pool p;

	make_tree(&p, 20000, 50);
	ops = *p.io->ops;
	ops.read = fail_read;
	p.io->ops = &ops;
	check_eq(count_around(&p, NODE_UNREADABLE, &d), 0);
	check_eq(d.last, UINT64_MAX);
	drop(&p);
}

static const struct test tests[] = {
	{ "a cursor gives all entries in key order, wherever the leaves lie", reads_in_key_order },
	{ "a few entries cost a few reads", few_reads_for_few_entries },
	{ "a whole traversal reads each block once", each_block_once },
	{ "an empty tree ends at once", empty_tree },
	{ "a damaged leaf is told with its keys and the rest is given", damaged_leaf },
	{ "a damaged internal node is told with its keys and the rest is given", damaged_internal },
	{ "damage before the depth is known does not stop the cursor", first_leaf_damaged },
	{ "keys that belong elsewhere are damage", keys_of_another_place },
	{ "a pointer beyond the device is damage", points_outside },
	{ "a root beyond the device is damage, and the tree has ended", root_outside },
	{ "a leaf that a node has twice is given once, and the second time is damage", leaf_twice },
	{ "what is announced to the device lies on it, also where a pointer does not", announces_what_exists },
	{ "a leaf among internal nodes is damage", leaf_too_high },
	{ "a node that is its own child ends as damage", loops_end },
	{ "a failed read is damage", read_error },
	{ 0 }
};

int main(int argc, char **argv)
{
	return tap_main(tests, argc, argv);
}
