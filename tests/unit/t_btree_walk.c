/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "pdata/tree/walk.h"
#include "pdata/block/csum.h"
#include "tap.h"

#define NR_BLOCKS 2500

/* A small device in memory, its nodes written by hand. */
struct forest {
	struct io *io;
	struct jobs *jobs;
	struct stream stream;
	struct refmap *refs;
	struct walk *walk;
	uint16_t count[NR_BLOCKS]; /* entries of each leaf the walk gave us */
	unsigned seen[NR_BLOCKS];  /* how often */
};

static struct forest f;

static void *block_at(mblock_t b)
{
	return (uint8_t *)io_mem_data(f.io) + b * MBLOCK_SIZE;
}

/* A node of @nr entries: keys first, first + step, ...; values value, value + 1, ... */
static void put_node(mblock_t b, bool leaf, uint32_t nr, uint64_t first, uint64_t step,
		     uint64_t value)
{
	struct disk_node *n = block_at(b);

	node_init(n, leaf, 8);
	n->h.nr_entries = le32_make(nr);
	for (uint32_t i = 0; i < nr; i++) {
		n->keys[i] = le64_make(first + i * step);
		n->keys[252 + i] = le64_make(value + i);
	}
	csum_seal(n, b, SALT_NODE);
}

static void set_entry(mblock_t b, uint32_t i, uint64_t key, uint64_t value)
{
	struct disk_node *n = block_at(b);

	n->keys[i] = le64_make(key);
	n->keys[252 + i] = le64_make(value);
	csum_seal(n, b, SALT_NODE);
}

static int note_leaf(void *ctx, unsigned worker, mblock_t block, uint32_t attr,
		     const struct node *n)
{
	(void)ctx;
	(void)worker;
	(void)attr;
	f.count[block] = (uint16_t)n->nr;
	__atomic_fetch_add(&f.seen[block], 1, __ATOMIC_RELAXED);
	return 0;
}

static void setup(unsigned nr_jobs)
{
	memset(&f, 0, sizeof(f));
	f.io = io_mem_new("memory", (uint64_t)NR_BLOCKS * MBLOCK_SIZE);
	f.jobs = jobs_new(nr_jobs);
	check(f.io && f.jobs);
}

static void run(const struct walk_root *roots, size_t nr)
{
	struct walk_setup s = {
		.stream = &f.stream, .nr_blocks = NR_BLOCKS, .leaf_value_size = 8, .leaf = note_leaf
	};
	struct err err = { 0 };

	stream_init(&f.stream, f.io, f.jobs);
	s.refs = f.refs = refmap_new(NR_BLOCKS, true);
	f.walk = walk_new(&s, &err);
	check(f.walk);
	check_eq(walk_add(f.walk, roots, nr, &err), 0);
}

static void fini(void)
{
	walk_free(f.walk);
	refmap_free(f.refs);
	jobs_free(f.jobs);
	io_free(f.io);
}

/* Appends block numbers, faults as 1000 * fault + block, "shared" as a '*'. */
static int write_part(void *ctx, const struct walk_part *p)
{
	char *s = ctx;

	sprintf(s + strlen(s), "%s%u%s", *s ? " " : "",
		(unsigned)(p->fault * 1000 + (p->block == WALK_NONE ? 999 : p->block)),
		p->shared ? "*" : "");
	return 0;
}

static const char *parts(mblock_t root)
{
	static char s[4000];

	*s = 0;
	check_eq(walk_each(f.walk, root, write_part, s), 0);
	return s;
}

/*
 * Device A: root 10 -> leaves 20 21 22, a snapshot B: root 11 -> 20 31 22, and C, a snapshot of A
 * that has grown by a level: root 12 -> 13 -> 20 21, 14 -> 22 40.
 */
static void put_snapshots(void)
{
	put_node(10, false, 3, 0, 100, 20);
	put_node(11, false, 3, 0, 100, 20);
	set_entry(11, 1, 100, 31);
	put_node(12, false, 2, 0, 200, 13);
	put_node(13, false, 2, 0, 100, 20);
	put_node(14, false, 2, 200, 100, 0);
	set_entry(14, 0, 200, 22);
	set_entry(14, 1, 300, 40);
	put_node(20, true, 50, 0, 2, 0);
	put_node(21, true, 60, 100, 1, 0);
	put_node(31, true, 100, 100, 1, 0);
	put_node(22, true, 70, 200, 1, 0);
	put_node(40, true, 3, 500, 1000, 0);
}

static const struct walk_root abc[] = { { 10, 5 }, { 11, 3 }, { 12, 7 } };

static void snapshots(unsigned nr_jobs)
{
	size_t nr;

	setup(nr_jobs);
	put_snapshots();
	run(abc, 3);
	walk_faults(f.walk, &nr);
	check_eq(nr, 0);
	check_str(parts(10), "20* 21* 22*");
	check_str(parts(11), "20* 31 22*");
	check_str(parts(12), "20* 21* 22* 40");
	for (unsigned b = 0; b < NR_BLOCKS; b++)
		check_eq(f.seen[b], (b >= 20 && b <= 22) || b == 31 || b == 40);
	check_eq(refmap_get(f.refs, 20), 3);
	check_eq(refmap_get(f.refs, 21), 2);
	check_eq(refmap_get(f.refs, 31), 1);
	check_eq(refmap_get(f.refs, 12), 1);
	check_eq(walk_attr(f.walk, 20), 3);
	check_eq(walk_attr(f.walk, 21), 5);
	check_eq(walk_attr(f.walk, 40), 7);
	check_eq(walk_height(f.walk, 12), 2);
	check_eq(walk_height(f.walk, 10), 1);
	check_eq(walk_height(f.walk, 22), 0);
	check_eq((unsigned)walk_height(f.walk, 99), (unsigned)-1);
	check_eq(walk_sum(f.walk, 10, f.count), 180);
	check_eq(walk_sum(f.walk, 11, f.count), 220);
	check_eq(walk_sum(f.walk, 12, f.count), 183);
	check_eq(f.stream.nr_blocks_read, 10);
	fini();
}

static void snapshots_one(void)
{
	snapshots(1);
}

static void snapshots_four(void)
{
	snapshots(4);
}

static void shared_root(void)
{
	static const struct walk_root roots[] = { { 10, 5 }, { 10, 9 } };

	setup(1);
	put_snapshots();
	run(roots, 2);
	check_str(parts(10), "20* 21* 22*");
	check_eq(refmap_get(f.refs, 10), 2);
	check_eq(refmap_get(f.refs, 20), 1);
	check(walk_shared(f.walk, 10) && walk_shared(f.walk, 20));
	check_eq(walk_attr(f.walk, 22), 5);
	fini();
}

static void damaged_leaf(void)
{
	const struct walk_fault *fault;
	size_t nr;

	setup(2);
	put_snapshots();
	((uint8_t *)block_at(21))[100] ^= 1;
	run(abc, 3);
	fault = walk_faults(f.walk, &nr);
	check_eq(nr, 1);
	check_eq(fault->block, 21);
	check_eq(fault->fault, NODE_BAD_CSUM);
	check_eq(fault->begin, 100);
	check_eq(fault->last, 199);
	check_str(parts(10), "20* 4021* 22*");
	check(walk_has_marked(f.walk, 10));
	check(!walk_has_marked(f.walk, 11));
	check(walk_has_marked(f.walk, 12));
	walk_mark(f.walk, 20);
	check(walk_has_marked(f.walk, 11));
	check(walk_has_marked(f.walk, 12));
	fini();
}

static void damaged_spine(void)
{
	setup(2);
	put_snapshots();
	((uint8_t *)block_at(20))[100] ^= 1;
	run(abc, 3);
	check_eq(walk_height(f.walk, 12), 2);
	check_str(parts(10), "4020* 21* 22*");
	check_str(parts(11), "4020* 31 22*");
	check_str(parts(12), "4020* 21* 22* 40");
	fini();
}

static void everything_below_lost(void)
{
	setup(2);
	put_snapshots();
	for (mblock_t b = 20; b <= 22; b++)
		memset(block_at(b), 0, MBLOCK_SIZE);
	run(abc, 1);
	check_str(parts(10), "3020 3021 3022");
	fini();
}

static void loops_end(void)
{
	setup(2);
	put_snapshots();
	set_entry(14, 1, 300, 12); /* up again */
	set_entry(10, 0, 0, 10);   /* itself */
	run(abc, 3);
	check_str(parts(12), "20* 21* 22* 2999");
	check(walk_has_marked(f.walk, 12));
	check_str(parts(10), "2999 21* 22*");
	fini();
}

static void loop_of_first_children(void)
{
	static const struct walk_root roots[] = { { 50, 0 } };

	setup(1);
	put_node(50, false, 1, 0, 1, 51);
	put_node(51, false, 1, 0, 1, 52);
	put_node(52, false, 1, 0, 1, 50);
	run(roots, 1);
	check_str(parts(50), "2999");
	fini();
}

/* An endless chain, and a node all of whose children are the same: neither takes long. */
static void bombs(void)
{
	static const struct walk_root roots[] = { { 50, 0 }, { 300, 0 } };
	size_t nr;

	setup(1);
	for (mblock_t b = 50; b < 290; b++)
		put_node(b, false, 1, 0, 1, b + 1);
	put_node(290, true, 1, 0, 1, 0);
	for (mblock_t b = 300; b < 340; b++) {
		put_node(b, false, 252, 0, 1, 0);
		for (uint32_t i = 0; i < 252; i++)
			set_entry(b, i, i, b + 1);
	}
	put_node(340, true, 1, 0, 1, 0);
	run(roots, 2);
	walk_faults(f.walk, &nr);
	check(nr > 0);
	check(strlen(parts(50)) > 0);
	check(strlen(parts(300)) > 0);
	check(walk_has_marked(f.walk, 300));
	fini();
}

static void wrong_keys(void)
{
	setup(1);
	put_snapshots();
	put_node(31, true, 100, 150, 1, 0); /* 150..249: into the next leaf's */
	run(abc, 3);
	check_str(parts(11), "20* 10031 22*");
	put_node(31, true, 3, 1, 1, 0);
	fini();
}

static void pointer_outside(void)
{
	const struct walk_fault *fault;
	size_t nr;

	setup(1);
	put_snapshots();
	set_entry(11, 1, 100, 1ull << 40);
	run(abc, 3);
	fault = walk_faults(f.walk, &nr);
	check_eq(nr, 1);
	check_eq(fault->parent, 11);
	check_eq(fault->block, 1ull << 40);
	check_eq(fault->fault, NODE_OUTSIDE);
	check_eq(fault->begin, 100);
	check_eq(fault->last, 199);
	check_str(parts(11), "20* 2999 22*");
	fini();
}

/* Above other internal nodes, and behind children that cannot be read, so that others must tell the height. */
static void pointer_outside_higher_up(void)
{
	static const struct walk_root roots[] = { { 50, 0 }, { 53, 0 } };

	setup(1);
	put_node(50, false, 3, 0, 100, 0);
	set_entry(50, 0, 0, 51);
	set_entry(50, 1, 100, 1ull << 40);
	set_entry(50, 2, 200, 52);
	put_node(51, false, 2, 0, 50, 60);
	put_node(52, false, 1, 200, 1, 62);
	put_node(53, false, 6, 0, 50, 70); /* the first four are no nodes */
	set_entry(53, 4, 200, UINT32_MAX);
	set_entry(53, 5, 250, 63);
	for (mblock_t b = 60; b < 64; b++)
		put_node(b, true, 50, b == 62 ? 200 : b == 63 ? 250 : (b - 60) * 50, 1, 0);
	run(roots, 2);
	check_str(parts(50), "60 61 2999 62");
	check_eq(walk_height(f.walk, 50), 2);
	check_eq(walk_sum(f.walk, 50, f.count), 150);
	check_str(parts(53), "3070 3071 3072 3073 2999 63");
	check_eq(walk_height(f.walk, 53), 1);
	check_eq(walk_sum(f.walk, 53, f.count), 50);
	fini();
}

static void leaf_among_inner(void)
{
	setup(1);
	put_snapshots();
	set_entry(12, 1, 200, 40); /* a leaf where 13 is internal */
	run(abc, 3);
	check_str(parts(12), "20* 21* 11040");
	fini();
}

static void later_roots(void)
{
	struct err err = { 0 };

	setup(2);
	put_snapshots();
	run(abc, 1);
	check_eq(walk_add(f.walk, abc + 1, 2, &err), 0);
	check_str(parts(12), "20* 21* 22* 40");
	for (unsigned b = 0; b < NR_BLOCKS; b++)
		check(f.seen[b] <= 1);
	check_eq(walk_sum(f.walk, 12, f.count), 183);
	check_eq(refmap_get(f.refs, 20), 3);
	fini();
}

/* As many roots as make several pieces of the memory in which children are kept. */
static void many_snapshots(void)
{
	enum { NR_ROOTS = 2200, NR_LEAVES = 252, LEAF = NR_BLOCKS - NR_LEAVES };
	static struct walk_root roots[NR_ROOTS];
	uint32_t room[INTERNAL_MAX], nr;
	const uint32_t *child;

	setup(1);
	for (uint32_t i = 0; i < NR_LEAVES; i++)
		put_node(LEAF + i, true, 100, 100 * i, 1, 0);
	for (uint32_t i = 0; i < NR_ROOTS; i++) {
		put_node(1 + i, false, NR_LEAVES, 0, 100, LEAF);
		roots[i].block = 1 + i;
	}
	run(roots, NR_ROOTS);
	for (uint32_t i = 0; i < NR_ROOTS; i++) {
		child = walk_children(f.walk, 1 + i, room, &nr);
		check_eq(nr, NR_LEAVES);
		for (uint32_t k = 0; k < nr; k++)
			check_eq(child[k], LEAF + k);
		check_eq(walk_sum(f.walk, 1 + i, f.count), NR_LEAVES * 100);
	}
	check_eq(refmap_get(f.refs, LEAF), NR_ROOTS);
	fini();
}

/* All leaves, in pieces of any length. */
static void leaves_in_pieces(void)
{
	static const mblock_t leaf[] = { 20, 21, 22, 31, 40 };
	mblock_t list[5];

	setup(1);
	put_snapshots();
	run(abc, 3);
	for (size_t len = 1; len <= 5; len++) {
		mblock_t from = 0;
		size_t at = 0, nr;

		while ((nr = walk_leaves_from(f.walk, &from, list, len)) > 0) {
			check_eq(nr, MIN(len, 5 - at));
			for (size_t i = 0; i < nr; i++)
				check_eq(list[i], leaf[at + i]);
			at += nr;
		}
		check_eq(at, 5);
	}
	fini();
}

static void check_lost_keys(mblock_t block, uint64_t begin, uint64_t last)
{
	size_t nr;
	const struct walk_fault *fault = walk_faults(f.walk, &nr);

	while (nr && fault->block != block)
		nr--, fault++;
	check(nr);
	check_eq(fault->begin, begin);
	check_eq(fault->last, last);
}

#define FAR (1ull << 40)
/* Two trees over leaves that begin at these keys; the second one has another leaf in place of the last. */
static void keys_of_any_size(void)
{
	static const uint64_t key[] = { 0, 0xfffffffe, 0xffffffff, 0x100000000, FAR, 1ull << 63, UINT64_MAX };
	static const struct walk_root roots[] = { { 10, 0 }, { 11, 0 } };
	uint64_t first, last;

	for (unsigned damaged = 0; damaged < 2; damaged++) {
		setup(4);
		put_node(10, false, 6, 0, 1, 20);
		put_node(11, false, 6, 0, 1, 20);
		for (uint32_t i = 0; i < 6; i++) {
			put_node(20 + i, true, i == 2 || i == 1 ? 1 : 84, key[i], 1, 0);
			set_entry(10, i, key[i], 20 + i);
			set_entry(11, i, key[i], 20 + i);
			if (damaged && i)
				memset(block_at(20 + i), 1, 1);
		}
		set_entry(11, 5, FAR + 90, 30);
		put_node(30, true, 84, FAR + 90, 1, 0);
		run(roots, 2);
		for (uint32_t i = 1; i < 6; i++) {
			if (damaged) {
				check_lost_keys(20 + i, key[i], i == 4 ? FAR + 89 : key[i + 1] - (i < 5));
				continue;
			}
			check_eq(walk_fault_of(f.walk, 20 + i), NODE_OK);
			walk_range(f.walk, 20 + i, &first, &last);
			check_eq(first, key[i]);
			check_eq(last, key[i] + (i < 3 ? 0 : 83));
		}
		fini();
	}
}

static const struct test tests[] = {
	{ "snapshots of different heights: each node once, all edges counted", snapshots_one },
	{ "four workers find the same", snapshots_four },
	{ "two devices with one root share all below it", shared_root },
	{ "a damaged leaf is missing from its owners with its keys, from others not",
	  damaged_leaf },
	{ "a damaged leftmost leaf does not hide the height of the trees", damaged_spine },
	{ "a tree without one good leaf is reported leaf by leaf", everything_below_lost },
	{ "pointers back up are faults", loops_end },
	{ "a loop of first children ends", loop_of_first_children },
	{ "a far too deep chain and a tree that multiplies itself take no time", bombs },
	{ "keys that the parent does not allow are found", wrong_keys },
	{ "a pointer beyond the device names parent and keys", pointer_outside },
	{ "a pointer beyond the device costs what is below it, and no more", pointer_outside_higher_up },
	{ "a leaf among internal nodes is a fault", leaf_among_inner },
	{ "roots added later do not read anything twice", later_roots },
	{ "the children of thousands of snapshots' nodes stay what they are", many_snapshots },
	{ "the leaves are listed in pieces, each once", leaves_in_pieces },
	{ "keys that fit into 32 bits and others are alike", keys_of_any_size },
	{ 0 }
};

int main(int argc, char **argv)
{
	return tap_main(tests, argc, argv);
}
