/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Snapshots that were made one after the other, with faults among what they changed: the walk, which
 * looks only at what differs between their nodes, finds what a look at each pointer finds.
 */
#include "pdata/block/csum.h"
#include "pdata/tree/walk.h"
#include "random.h"
#include "tap.h"

enum {
	NR_BLOCKS = 4096,
	NR_ROOTS = 90, /* more nodes than one worker reads alone */
	NR_PLACES = 4, /* nodes of a device above leaves; the first is read with the roots */
	MAX_CHILDREN = 60,
	STEP = 10, /* between two keys */
	PLACE = 10000,
	LEAF_ENTRIES = 5,
};

struct inner {
	mblock_t block;
	bool above_leaves; /* else a root */
	uint32_t nr;
	uint64_t key[MAX_CHILDREN], value[MAX_CHILDREN];
};

/* What is known of a block. */
struct fact {
	bool leaf, damaged, shared;
	uint32_t refs;
	uint32_t attr;
	uint64_t first, last; /* keys that its parents allow */
	uint64_t own_first;   /* a leaf's first key */
};

static struct world {
	struct io *io;
	struct inner inner[NR_ROOTS * (NR_PLACES + 1)];
	size_t nr_inner;
	struct inner *root[NR_ROOTS], *node[NR_ROOTS][NR_PLACES];
	struct walk_root roots[NR_ROOTS];
	struct fact fact[NR_BLOCKS];
	mblock_t free[NR_BLOCKS];
	size_t nr_free;
	uint16_t count[NR_BLOCKS];
} w;

static struct disk_node *block_at(mblock_t b)
{
	return (void *)((uint8_t *)io_mem_data(w.io) + b * MBLOCK_SIZE);
}

static void put_node(mblock_t b, bool leaf, uint32_t nr, const uint64_t *key, const uint64_t *value)
{
	struct disk_node *n = block_at(b);

	node_init(n, leaf, 8);
	n->h.nr_entries = le32_make(nr);
	for (uint32_t i = 0; i < nr; i++) {
		n->keys[i] = le64_make(key[i]);
		n->keys[252 + i] = le64_make(value[i]);
	}
	csum_seal(n, b, SALT_NODE);
}

static mblock_t new_block(void)
{
	check(w.nr_free > 0);
	return w.free[--w.nr_free];
}

static mblock_t new_leaf(uint64_t first)
{
	mblock_t b = new_block();
	uint64_t key[LEAF_ENTRIES], value[LEAF_ENTRIES];

	for (uint32_t i = 0; i < LEAF_ENTRIES; i++) {
		key[i] = first + i;
		value[i] = i;
	}
	put_node(b, true, LEAF_ENTRIES, key, value);
	w.fact[b].leaf = true;
	w.fact[b].own_first = first;
	if (!rnd(100)) {
		((uint8_t *)block_at(b))[100] ^= 1;
		w.fact[b].damaged = true;
	}
	return b;
}

static struct inner *new_inner(void)
{
	struct inner *n = &w.inner[w.nr_inner++];

	n->block = new_block();
	return n;
}

/* One change of a node at @place; @faults: it may be a fault. */
static void change(struct inner *n, unsigned place, unsigned step, bool faults)
{
	/* pointers are compared in groups of 16: the first of one is drawn often */
	const uint32_t i = (uint32_t)rnd(n->nr) & (rnd(4) ? ~0u : ~15u);
	static const uint64_t bad[] = { NR_BLOCKS, UINT32_MAX, 1ull << 40, UINT64_MAX };
	const struct inner *old = w.node[rnd(step)][place];

	switch (rnd(faults ? 12 : 3)) {
	case 3:
		n->value[i] = bad[rnd(4)];
		break;
	case 4: /* up again */
		n->value[i] = w.root[0]->block;
		break;
	case 5: /* its leaf begins too early now */
		if (i && i + 1 < n->nr && n->key[i] + 3 < n->key[i + 1])
			n->key[i] += 1 + rnd(3);
		break;
	case 8: /* the leaf before it ends too late now */
		if (i && n->key[i] - 7 > n->key[i - 1])
			n->key[i] -= 7;
		break;
	case 6:
		n->nr -= n->nr > 2;
		break;
	case 7:
		if (i < old->nr)
			n->value[i] = old->value[i];
		break;
	default:
		if (w.nr_free > 1000)
			n->value[i] = new_leaf(n->key[i] + rnd(2));
	}
}

static void make_node(unsigned step, unsigned place, bool faults)
{
	struct inner *n;
	uint64_t nr = rnd(20) ? rnd(4) : rnd(40);

	if (step && !rnd(3)) { /* shared with the snapshot before */
		w.node[step][place] = w.node[step - 1][place];
		return;
	}
	n = w.node[step][place] = new_inner();
	n->above_leaves = true;
	if (step) {
		memcpy(n->key, w.node[step - 1][place]->key, sizeof(n->key));
		memcpy(n->value, w.node[step - 1][place]->value, sizeof(n->value));
		n->nr = w.node[step - 1][place]->nr;
	} else {
		n->nr = MAX_CHILDREN - (uint32_t)rnd(10);
		for (uint32_t i = 0; i < n->nr; i++) {
			n->key[i] = place * PLACE + i * STEP;
			n->value[i] = new_leaf(n->key[i]);
		}
	}
	for (; step && nr; nr--)
		change(n, place, step, faults && place);
	put_node(n->block, false, n->nr, n->key, n->value);
}

static uint64_t last_key(const struct inner *n)
{
	return n->key[n->nr - 1];
}

static void make(bool ascending, bool faults)
{
	memset(&w, 0, sizeof(w));
	w.io = io_mem_new("memory", (uint64_t)NR_BLOCKS * MBLOCK_SIZE);
	check(w.io);
	for (w.nr_free = 0; w.nr_free < NR_BLOCKS - 1; w.nr_free++)
		w.free[w.nr_free] = NR_BLOCKS - 1 - w.nr_free;
	for (size_t i = 0; i < w.nr_free && !ascending; i++) {
		size_t k = rnd(w.nr_free);
		mblock_t b = w.free[i];

		w.free[i] = w.free[k];
		w.free[k] = b;
	}
	for (unsigned s = 0; s < NR_ROOTS; s++) {
		struct inner *root = w.root[s] = new_inner();

		for (unsigned p = 0; p < NR_PLACES; p++) {
			make_node(s, p, faults);
			root->key[p] = p * PLACE;
			/* the last leaf of the place before ends too late */
			if (faults && p && !rnd(20))
				root->key[p] = last_key(w.node[s][p - 1]) + 2;
			root->value[p] = w.node[s][p]->block;
		}
		root->nr = NR_PLACES;
		put_node(root->block, false, root->nr, root->key, root->value);
		w.roots[s] =
			(struct walk_root) { root->block, ascending ? s : (uint32_t)rnd(1000) };
	}
}

/* What @n says of its children. */
static void tell_children(const struct inner *n)
{
	const struct fact *me = &w.fact[n->block];

	for (uint32_t i = 0; i < n->nr; i++) {
		struct fact *c = n->value[i] < NR_BLOCKS ? &w.fact[n->value[i]] : NULL;

		if (!c)
			continue;
		if (c->refs++)
			c->shared = true;
		if (n->above_leaves && !c->leaf)
			continue;
		c->shared |= me->shared;
		c->attr = MIN(c->attr, me->attr);
		c->first = MAX(c->first, n->key[i]);
		c->last = MIN(c->last, i + 1 < n->nr ? n->key[i + 1] - 1 : me->last);
	}
}

static void tell_all(void)
{
	for (size_t b = 0; b < NR_BLOCKS; b++) {
		w.fact[b].attr = UINT32_MAX;
		w.fact[b].last = UINT64_MAX;
	}
	for (size_t i = 0; i < NR_ROOTS; i++) {
		struct fact *root = &w.fact[w.root[i]->block];

		root->refs++;
		root->attr = w.roots[i].attr;
		tell_children(w.root[i]);
	}
	for (size_t i = 0; i < w.nr_inner; i++)
		if (w.inner[i].above_leaves)
			tell_children(&w.inner[i]);
}

static int note_leaf(void *ctx, unsigned worker, mblock_t block, uint32_t attr,
		     const struct node *n)
{
	(void)ctx, (void)worker, (void)attr;
	w.count[block] = (uint16_t)n->nr;
	return 0;
}

static bool out_of_range(const struct fact *leaf)
{
	return leaf->own_first < leaf->first || leaf->own_first + LEAF_ENTRIES - 1 > leaf->last;
}

static void check_leaf(struct walk *walk, mblock_t b)
{
	const struct fact *f = &w.fact[b];

	if (!f->refs)
		return;
	check_eq(walk_attr(walk, b), f->attr);
	check_eq(walk_shared(walk, b), f->shared);
	check_eq(walk_fault_of(walk, b), f->damaged	   ? NODE_BAD_CSUM
					 : out_of_range(f) ? NODE_BAD_RANGE
							   : NODE_OK);
}

/* Returns the number of pointers that are faults. */
static size_t check_inner(struct walk *walk, const struct inner *n)
{
	uint32_t room[INTERNAL_MAX], nr = 0;
	const uint32_t *child = walk_children(walk, n->block, room, &nr);
	uint64_t sum = 0;
	bool bad = false;
	size_t faults = 0;

	check(child);
	check_eq(nr, n->nr);
	for (uint32_t i = 0; i < nr && n->above_leaves; i++) {
		const struct fact *c = n->value[i] < NR_BLOCKS ? &w.fact[n->value[i]] : NULL;

		check_eq(child[i], c && c->leaf ? (uint32_t)n->value[i] : (uint32_t)WALK_NONE);
		sum += c && c->leaf ? w.count[n->value[i]] : 0;
		faults += !c || !c->leaf;
		bad |= !c || !c->leaf || c->damaged || out_of_range(c);
	}
	if (n->above_leaves) {
		check_eq(walk_sum(walk, n->block, w.count), sum);
		check_eq(walk_has_marked(walk, n->block), bad);
	}
	return faults;
}

static void check_all(unsigned nr_jobs)
{
	struct jobs *jobs = jobs_new(nr_jobs);
	struct stream stream;
	struct refmap *refs = refmap_new(NR_BLOCKS, true);
	struct walk_setup s = { .stream = &stream,
				.nr_blocks = NR_BLOCKS,
				.leaf_value_size = 8,
				.leaf = note_leaf,
				.refs = refs };
	struct err err = { 0 };
	const struct walk_fault *fault;
	size_t faults = 0, nr;
	struct walk *walk;

	check(jobs && refs);
	memset(w.count, 0, sizeof(w.count));
	stream_init(&stream, w.io, jobs);
	walk = walk_new(&s, &err);
	check(walk);
	check_eq(walk_add(walk, w.roots, NR_ROOTS, &err), 0);
	for (mblock_t b = 0; b < NR_BLOCKS; b++) {
		check_eq(refmap_get(refs, b), w.fact[b].refs);
		if (w.fact[b].leaf)
			check_leaf(walk, b);
	}
	for (size_t i = 0; i < w.nr_inner; i++)
		faults += check_inner(walk, &w.inner[i]);
	fault = walk_faults(walk, &nr);
	for (size_t i = 0; i < nr; i++)
		faults -= fault[i].parent != WALK_NONE;
	check_eq(faults, 0);
	walk_free(walk);
	refmap_free(refs);
	jobs_free(jobs);
}

static void one_world(uint64_t seed, bool ascending, bool faults)
{
	rnd_begin(seed);
	make(ascending, faults);
	tell_all();
	check_all(1);
	check_all(2);
	check_all(4);
	io_free(w.io);
}

static void sound_seed(uint64_t seed)
{
	one_world(seed, true, false);
	one_world(seed, false, false);
}

static void faulty_seed(uint64_t seed)
{
	one_world(seed, true, true);
	one_world(seed, false, true);
}

static void sound(void)
{
	each_seed(sound_seed);
}

static void faulty(void)
{
	each_seed(faulty_seed);
}

static const struct test tests[] = {
	{ "snapshots' nodes that differ in a few pointers: counts, children, owners and keys are "
	  "right",
	  sound },
	{ "the same where some pointers and leaves are faulty: each node has its own faults",
	  faulty },
	{ 0 }
};

int main(int argc, char **argv)
{
	return tap_main(tests, argc, argv);
}
