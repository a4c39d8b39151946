/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Trees under random changes, against an array: the contents, the nodes' fill and order, the
 * counts of nodes and of values, with snapshots (shared roots) that must not change.
 * SEED=n ROUNDS=n in the environment replay and lengthen.
 */
#include <errno.h>

#include "base/overflow.h"
#include "pdata/tree/edit.h"
#include "pdata/block/node_edit.h"
#include "pdata/map/transaction.h"
#include "tap.h"
#include "random.h"

#define KEYS 6000
#define NR_SNAPS 4
#define NR_BLOCKS 20000

struct world {
	struct io *io;
	struct transaction *transaction;
	struct tm *tm; /* the transaction's */
	struct btree tree;
	struct btree_type type;
	uint64_t model[KEYS]; /* value + 1, 0: no such key */
	uint32_t held[KEYS * 2];  /* references to each value, counted by the callbacks */
	struct {
		bool used;
		mblock_t root;
		uint64_t model[KEYS];
	} snap[NR_SNAPS];
	uint64_t idle; /* metadata blocks of an empty world */
};


static uint64_t value_at(const void *values, uint32_t size, uint32_t i)
{
	le64 v;

	memcpy(&v, (const uint8_t *)values + (size_t)i * size, 8);
	return le64_get(v);
}

static int inc(void *ctx, const void *values, uint32_t nr, struct err *err)
{
	struct world *w = ctx;

	(void)err;
	for (uint32_t i = 0; i < nr; i++)
		w->held[value_at(values, w->type.value_size, i)]++;
	return 0;
}

static int dec(void *ctx, const void *values, uint32_t nr, struct err *err)
{
	struct world *w = ctx;

	for (uint32_t i = 0; i < nr; i++)
		if (!w->held[value_at(values, w->type.value_size, i)]--)
			return err_set(err, -EUCLEAN, "a value was given up once too often");
	return 0;
}

static struct err err;

static void world_init(struct world *w, uint32_t value_size)
{
	memset(w, 0, sizeof(*w));
	w->io = io_mem_new("mem", (uint64_t)NR_BLOCKS * MBLOCK_SIZE);
	check(w->io);
	check_eq(transaction_format(w->io, NR_BLOCKS, &w->transaction, &err), 0);
	w->tm = transaction_tm(w->transaction);
	w->type = (struct btree_type){ .name = "tree", .value_size = value_size, .inc = inc,
				       .dec = dec, .ctx = w };
	w->tree = (struct btree){ .tm = w->tm, .type = &w->type };
	w->idle = transaction_map(w->transaction)->nr_allocated;
	check_eq(btree_make(&w->tree, &err), 0);
}

static void world_fini(struct world *w)
{
	transaction_free(w->transaction);
	io_free(w->io);
}

static void end_transaction(struct world *w)
{
	struct sm_root root;

	check_eq(transaction_prepare(w->transaction, &root, &err), 0);
	check_eq(transaction_write(w->transaction, &err), 0);
	transaction_end(w->transaction);
}

/* Checks a subtree; returns its number of entries and its height. */
static uint64_t check_node(struct world *w, mblock_t b, bool root, uint64_t low, uint64_t high,
			   int *height)
{
	const struct disk_node *n;
	struct disk_node copy;
	uint64_t total = 0;
	int below = -1;
	uint32_t count;

	check_eq(tm_count(w->tm, b, &count, &err), 0);
	check(count > 0);
	check_eq(tm_read_node(w->tm, b, w->type.value_size, &n, &err), 0);
	copy = *n;
	if (!root)
		check(ne_nr(&copy) >= ne_max(&copy) / 3);
	for (uint32_t i = 0; i < ne_nr(&copy); i++) {
		check(ne_key(&copy, i) >= low && ne_key(&copy, i) < high);
		if (i)
			check(ne_key(&copy, i) > ne_key(&copy, i - 1));
		if (ne_is_leaf(&copy))
			continue;
		total += check_node(w, ne_child(&copy, i), false, ne_key(&copy, i),
				    i + 1 < ne_nr(&copy) ? ne_key(&copy, i + 1) : high, height);
		if (below >= 0)
			check_eq(below, *height);
		below = *height;
	}
	*height = below + 1;
	return ne_is_leaf(&copy) ? ne_nr(&copy) : total;
}

struct compare {
	struct world *w;
	const uint64_t *model;
	uint64_t next;
};

static int compare_one(void *ctx, uint64_t key, const void *value)
{
	struct compare *c = ctx;

	for (; c->next < key; c->next++)
		check_eq(c->model[c->next], 0);
	check_eq(c->model[key], value_at(value, 8, 0) + 1);
	c->next = key + 1;
	return 0;
}

static void check_tree(struct world *w, mblock_t root, const uint64_t *model)
{
	struct btree t = { w->tm, &w->type, root };
	struct compare c = { w, model, 0 };
	uint64_t nr = 0;
	int height;

	check_eq(btree_each(&t, 0, UINT64_MAX, compare_one, &c, &err), 0);
	for (; c.next < KEYS; c.next++)
		check_eq(model[c.next], 0);
	for (int i = 0; i < KEYS; i++)
		nr += model[i] != 0;
	check_eq(check_node(w, root, true, 0, UINT64_MAX, &height), nr);
}

static void insert(struct world *w, uint64_t key)
{
	uint8_t value[32] = { 0 };
	uint64_t v = rng() % (KEYS * 2);
	le64 le = le64_make(v);
	bool inserted;

	memcpy(value, &le, sizeof(le));
	w->held[v]++;
	check_eq(btree_insert(&w->tree, key, value, &inserted, &err), 0);
	check_eq(inserted, !w->model[key]);
	w->model[key] = v + 1;
}

static void remove_some(struct world *w, uint64_t begin, uint64_t end)
{
	uint64_t want = 0, nr;

	for (uint64_t k = begin; k < end; k++) {
		want += w->model[k] != 0;
		w->model[k] = 0;
	}
	if (end == begin + 1) {
		check_eq(btree_remove(&w->tree, begin, &err), want ? 0 : -ENOENT);
		return;
	}
	check_eq(btree_remove_range(&w->tree, begin, end, &nr, &err), 0);
	check_eq(nr, want);
}

/* A snapshot of the tree, or the end of one. */
static void toggle_snap(struct world *w, unsigned i)
{
	struct btree t = { w->tm, &w->type, w->snap[i].root };

	if (w->snap[i].used) {
		check_tree(w, t.root, w->snap[i].model);
		check_eq(btree_release(&t, &err), 0);
	} else {
		check_eq(tm_inc(w->tm, w->tree.root, &err), 0);
		w->snap[i].root = w->tree.root;
		memcpy(w->snap[i].model, w->model, sizeof(w->model));
	}
	w->snap[i].used = !w->snap[i].used;
}

static void one_step(struct world *w, uint64_t phase)
{
	uint64_t k = rng() % KEYS, len;
	uint64_t dice = rng() % 1000;

	if (dice < 4)
		toggle_snap(w, (unsigned)(rng() % NR_SNAPS));
	else if (dice < 14)
		end_transaction(w);
	else if (dice < 20 + phase * 30) {
		len = rng() % (phase ? 300 : 30);
		remove_some(w, k, MIN(k + len, KEYS));
	} else if (dice < 400)
		remove_some(w, k, k + 1);
	else if (dice < 500) /* a run in order */
		for (len = rng() % 100; len && k < KEYS; len--)
			insert(w, k++);
	else
		insert(w, k);
}

static void random_changes(uint32_t value_size, uint64_t rounds, bool little_memory)
{
	static struct world w;
	uint64_t seed = env("SEED", 20 + value_size);

	printf("# SEED=%llu value_size=%u\n", (unsigned long long)seed, value_size);
	rnd_state = seed * 2654435761u + 1;
	world_init(&w, value_size);
	if (little_memory)
		tm_set_limits(w.tm, 3, 2);
	for (uint64_t i = 0; i < rounds; i++) {
		check_eq(tm_trim(w.tm, &err), 0);
		one_step(&w, i / 1500 % 2);
		if (i % 500 == 0)
			check_tree(&w, w.tree.root, w.model);
	}
	check_tree(&w, w.tree.root, w.model);
	for (unsigned i = 0; i < NR_SNAPS; i++)
		if (w.snap[i].used)
			toggle_snap(&w, i);
	check_eq(btree_release(&w.tree, &err), 0);
	end_transaction(&w);
	for (int i = 0; i < KEYS * 2; i++)
		check_eq(w.held[i], 0);
	/* left are the space map's bitmaps, its index and its overflow tree */
	check_eq(transaction_map(w.transaction)->nr_allocated, w.idle + 1 + div_up(NR_BLOCKS, ENTRIES_PER_BITMAP));
	world_fini(&w);
}

static void random_mappings(void)
{
	random_changes(8, env("ROUNDS", 30000), false);
}

static void random_details(void)
{
	random_changes(24, env("ROUNDS", 30000), false);
}

static void random_with_little_memory(void)
{
	random_changes(8, env("ROUNDS", 10000), true);
}

static void in_order(void)
{
	static struct world w;
	const struct disk_node *n;

	world_init(&w, 8);
	for (uint64_t k = 0; k < KEYS; k++)
		insert(&w, k);
	check_tree(&w, w.tree.root, w.model);
	check_eq(tm_read_node(w.tm, w.tree.root, 8, &n, &err), 0);
	check(ne_nr(n) <= KEYS / 245 + 2); /* a neighbour takes entries until 7 slots are free */
	world_fini(&w);
}

static void removed_to_nothing(void)
{
	static struct world w;
	const struct disk_node *n;
	uint64_t nr;

	world_init(&w, 8);
	for (uint64_t k = 0; k < KEYS; k++)
		insert(&w, k);
	check_eq(btree_remove_range(&w.tree, 0, UINT64_MAX, &nr, &err), 0);
	check_eq(nr, KEYS);
	check_eq(tm_read_node(w.tm, w.tree.root, 8, &n, &err), 0);
	check(ne_is_leaf(n));
	check_eq(ne_nr(n), 0);
	world_fini(&w);
}

/* Nodes above leaves, and below the root, lose children, are joined, and go away with their parent. */
static void removed_from_three_levels(void)
{
	enum { NR = 30000 };
	static struct world w;
	static bool there[NR];
	uint8_t value[32] = { 0 };
	uint64_t left = NR, nr;
	int height;

	world_init(&w, sizeof(value)); /* so that a leaf holds few */
	for (uint64_t k = 0; k < NR; k++) {
		w.held[0]++;
		check_eq(btree_insert(&w.tree, k, value, NULL, &err), 0);
		there[k] = true;
	}
	check_eq(check_node(&w, w.tree.root, true, 0, UINT64_MAX, &height), NR);
	check_eq(height, 2);
	for (unsigned round = 0; left; round++) {
		uint64_t begin = rng() % NR, len = 1 + rng() % (round < 200 ? 150 : 2000), want = 0;
		uint64_t end = MIN(begin + len, NR);

		for (uint64_t k = begin; k < end; k++) {
			want += there[k];
			there[k] = false;
		}
		check_eq(btree_remove_range(&w.tree, begin, end, &nr, &err), 0);
		check_eq(nr, want);
		left -= nr;
		if (round % 8 == 0 || !left)
			check_eq(check_node(&w, w.tree.root, true, 0, UINT64_MAX, &height), left);
		check_eq(tm_trim(w.tm, &err), 0);
	}
	check_eq(height, 0);
	check_eq(w.held[0], 0);
	world_fini(&w);
}

static void full_device(void)
{
	static struct world w;
	uint8_t value[8] = { 0 };
	int r = 0;

	memset(&w, 0, sizeof(w));
	w.io = io_mem_new("mem", 24 * MBLOCK_SIZE);
	check_eq(transaction_format(w.io, 24, &w.transaction, &err), 0);
	w.tm = transaction_tm(w.transaction);
	w.type = (struct btree_type){ .name = "tree", .value_size = 8 };
	w.tree = (struct btree){ .tm = w.tm, .type = &w.type };
	check_eq(btree_make(&w.tree, &err), 0);
	for (uint64_t k = 0; !r && k < 100000; k++)
		r = btree_insert(&w.tree, k * 7919 % 100000, value, NULL, &err);
	check_eq(-r, EXFULL);
	world_fini(&w);
}

static void mistaken_for_leaf(void)
{
	static struct world w;
	const struct disk_node *n;
	struct btree other;
	struct btree_type type = { .name = "other tree", .value_size = 24 };
	uint8_t value[24];

	world_init(&w, 8);
	insert(&w, 5);
	other = (struct btree){ w.tm, &type, w.tree.root };
	check_eq(-btree_lookup(&other, 5, value, &err), EUCLEAN);
	check_eq(-tm_read_node(w.tm, NR_BLOCKS, 8, &n, &err), EUCLEAN);
	world_fini(&w);
}

/* A node as damage on the disk would have made it: the cache's own copy is changed. */
static struct disk_node *to_damage(struct world *w, mblock_t b)
{
	const struct disk_node *n;

	check_eq(tm_read_node(w->tm, b, w->type.value_size, &n, &err), 0);
	return (struct disk_node *)(uintptr_t)n;
}

static void even_keys(struct world *w)
{
	world_init(w, 8);
	for (uint64_t k = 0; k < KEYS; k += 2)
		insert(w, k);
}

static void key_of_the_next_leaf(void)
{
	static struct world w;
	struct disk_node *root, *leaf;
	uint64_t first, nr;

	even_keys(&w);
	root = to_damage(&w, w.tree.root);
	first = ne_key(root, 1);
	leaf = to_damage(&w, ne_child(root, 0));
	check(ne_is_leaf(leaf));
	leaf->keys[ne_nr(leaf) - 1] = le64_make(first + 1);
	check_eq(-btree_remove_range(&w.tree, first - 2, first + 50, &nr, &err), EUCLEAN);
	check(strstr(err.text, "keys outside of their parent's range"));
	check_eq(nr, 0);
	world_fini(&w);
}

static void leaf_beside_a_tree(void)
{
	static struct world w;
	struct btree other;
	struct disk_node *root;
	uint64_t nr;
	le64 b;

	even_keys(&w);
	other = (struct btree){ w.tm, &w.type, 0 };
	check_eq(btree_make(&other, &err), 0);
	for (uint64_t k = 1000; k < 2000; k++)
		check_eq(btree_insert(&other, k, (uint8_t[8]){ 0 }, NULL, &err), 0);
	root = to_damage(&w, w.tree.root);
	check(ne_nr(root) > 3 && !ne_is_leaf(to_damage(&w, other.root)));
	b = le64_make(other.root);
	memcpy((uint8_t *)&root->keys[ne_max(root)] + sizeof(b), &b, sizeof(b)); /* the second child */
	check_eq(-btree_remove_range(&w.tree, 0, ne_key(root, 1), &nr, &err), EUCLEAN);
	check(strstr(err.text, "leaves at different depths"));
	world_fini(&w);
}

/* A chain of nodes of one child each ends before the stack does. */
static void deep_chain(void)
{
	static struct world w;
	uint8_t value[8] = { 0 };
	uint64_t nr;
	mblock_t b;
	void *data;

	world_init(&w, 8);
	for (int i = 0; i < BTREE_MAX_DEPTH + 40; i++) {
		le64 child = le64_make(w.tree.root);

		check_eq(tm_new(w.tm, SALT_NODE, &b, &data, &err), 0);
		node_init(data, false, 8);
		ne_insert(data, 0, 0, &child);
		w.tree.root = b;
	}
	check_eq(-btree_lookup(&w.tree, 5, value, &err), EUCLEAN);
	check_eq(-btree_insert(&w.tree, 5, value, NULL, &err), EUCLEAN);
	check(strstr(err.text, "levels deep"));
	check_eq(-btree_remove(&w.tree, 5, &err), EUCLEAN);
	check_eq(-btree_remove_range(&w.tree, 0, 9, &nr, &err), EUCLEAN);
	check_eq(-btree_release(&w.tree, &err), EUCLEAN);
	check(strstr(err.text, "is too deep"));
	world_fini(&w);
}

int main(int argc, char **argv)
{
	static const struct test tests[] = {
		{ "a mapping tree under random changes is always what an array says", random_mappings },
		{ "a details tree under random changes is always what an array says", random_details },
		{ "so it is when blocks are evicted, and written early, all the time",
		  random_with_little_memory },
		{ "insertion in order fills leaves nearly", in_order },
		{ "a tree that loses everything is one empty leaf", removed_to_nothing },
		{ "a tree of three levels loses everything and stays a tree", removed_from_three_levels },
		{ "a full device ends an insertion with EXFULL", full_device },
		{ "a node of one tree is not taken for one of another", mistaken_for_leaf },
		{ "a key that belongs into the next leaf ends a removal before anything is removed",
		  key_of_the_next_leaf },
		{ "a leaf is not joined with a neighbour that is a tree", leaf_beside_a_tree },
		{ "a tree that is far too deep is not changed, and not released to its end", deep_chain },
		{ 0 },
	};

	return tap_main(tests, argc, argv);
}
