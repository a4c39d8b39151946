/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Finding one's way in a pool's metadata, changing it, and noting what that must lead to. */
#include "damage.h"

/* --- looking around --- */

void *block_at(mblock_t b)
{
	if ((b + 1) * MBLOCK_SIZE > g.len)
		die("block %llu lies outside of the file", (unsigned long long)b);
	return g.p + b * MBLOCK_SIZE;
}

struct disk_superblock *sb(void)
{
	return block_at(0);
}

struct disk_sm_root *sm(void)
{
	return g.metadata ? &sb()->metadata_sm : &sb()->data_sm;
}

bool is_leaf(const struct disk_node *n)
{
	return le32_get(n->h.flags) & NODE_LEAF;
}

uint32_t nr_of(const struct disk_node *n)
{
	return le32_get(n->h.nr_entries);
}

uint8_t *value_of(struct disk_node *n, uint32_t i)
{
	return (uint8_t *)&n->keys[le32_get(n->h.max_entries)] + i * le32_get(n->h.value_size);
}

uint64_t value64(struct disk_node *n, uint32_t i)
{
	le64 v;

	memcpy(&v, value_of(n, i), 8);
	return le64_get(v);
}

static void lay_out(struct layout *l, struct place here)
{
	struct disk_node *n = block_at(here.block);

	if (is_leaf(n)) {
		if (l->nr_leaves < ARRAY_SIZE(l->leaf))
			l->leaf[l->nr_leaves++] = here;
		return;
	}
	if (l->nr_inner < ARRAY_SIZE(l->inner))
		l->inner[l->nr_inner++] = here;
	for (uint32_t i = 0; i < nr_of(n); i++)
		lay_out(l, (struct place) {
				   .block = value64(n, i), .parent = here.block, .index = i });
}

uint64_t offset_of(const void *p)
{
	return (uint64_t)((const uint8_t *)p - g.p);
}

static struct layout *tree_at(const void *pointer, mblock_t pointer_block)
{
	struct layout *l = calloc(1, sizeof(*l));
	le64 v;

	if (!l)
		die("no memory");
	l->next = g.layouts;
	g.layouts = l;
	memcpy(&v, pointer, 8);
	lay_out(l, (struct place) { .block = le64_get(v),
				    .root_at = offset_of(pointer),
				    .root_salt = pointer_block ? SALT_NODE : SALT_SUPERBLOCK });
	return l;
}

struct layout *named_tree(const char *name)
{
	if (!strcmp(name, "top-level"))
		return tree_at(&sb()->mapping_root, 0);
	if (!strcmp(name, "details"))
		return tree_at(&sb()->details_root, 0);
	if (!strcmp(name, "data-index"))
		return tree_at(&sb()->data_sm.bitmap_root, 0);
	if (!strcmp(name, "data-overflow"))
		return tree_at(&sb()->data_sm.ref_count_root, 0);
	if (!strcmp(name, "metadata-overflow"))
		return tree_at(&sb()->metadata_sm.ref_count_root, 0);
	die("no tree is called %s", name);
}

/* Calls @fn for each device until it says true. */
bool each_device(bool (*fn)(uint64_t id, struct layout *l))
{
	struct layout *top = named_tree("top-level");

	for (unsigned k = 0; k < top->nr_leaves; k++) {
		struct disk_node *n = block_at(top->leaf[k].block);

		for (uint32_t i = 0; i < nr_of(n); i++) {
			uint64_t id = le64_get(n->keys[i]);

			if (g.device >= 0 && id != (uint64_t)g.device)
				continue;
			if (fn(id, tree_at(value_of(n, i), top->leaf[k].block)))
				return true;
		}
	}
	return false;
}

static struct layout *found_tree;
static unsigned want_leaves, want_inner, want_entries;

static bool tree_will_do(uint64_t id, struct layout *l)
{
	(void)id;
	if (l->nr_leaves < want_leaves || l->nr_inner < want_inner ||
	    nr_of(block_at(l->leaf[MIN(g.leaf, (long)l->nr_leaves - 1)].block)) < want_entries)
		return false;
	found_tree = l;
	return true;
}

/* The tree chosen by the options, with at least so many leaves, internal nodes, and entries. */
struct layout *tree(unsigned leaves, unsigned inner, unsigned entries)
{
	want_leaves = MAX(leaves, g.node < 0 ? (unsigned)g.leaf + 1 : 0);
	want_inner = MAX(inner, (unsigned)(g.node + 1));
	want_entries = entries;
	if (strcmp(g.tree, "mapping")) {
		if (!tree_will_do(0, named_tree(g.tree)))
			die("the tree %s is too small", g.tree);
	} else if (!each_device(tree_will_do)) {
		die("no device has a tree of %u leaves, %u internal nodes, %u entries", want_leaves,
		    want_inner, entries);
	}
	return found_tree;
}

struct place target(unsigned entries)
{
	struct layout *l;

	if (g.has_block)
		return (struct place) { .block = g.block };
	l = tree(1, 0, entries);
	return g.node >= 0 ? l->inner[g.node] : l->leaf[g.leaf];
}

/* --- changing and proving --- */

void expect(const void *p, unsigned len, uint64_t value)
{
	if (g.nr_expect < ARRAY_SIZE(g.expect))
		g.expect[g.nr_expect++] = (struct expectation) { offset_of(p), value, len };
}

void put32(void *p, uint64_t v)
{
	le32 le = le32_make((uint32_t)v);

	memcpy(p, &le, 4);
	expect(p, 4, (uint32_t)v);
}

void put64(void *p, uint64_t v)
{
	le64 le = le64_make(v);

	memcpy(p, &le, 8);
	expect(p, 8, v);
}

void expect_seal(mblock_t b, enum csum_salt salt, bool good)
{
	g.seal[g.nr_seals].block = b;
	g.seal[g.nr_seals].salt = salt;
	g.seal[g.nr_seals++].good = good;
}

void seal(mblock_t b, enum csum_salt salt)
{
	csum_seal(block_at(b), b, salt);
	expect_seal(b, salt, true);
}

/* Flips a bit under the checksum. */
void break_seal(mblock_t b, enum csum_salt salt)
{
	uint8_t *p = block_at(b);

	p[g.has_value ? g.value % MBLOCK_SIZE : 2000] ^= 0x10;
	expect_seal(b, salt, false);
}

void say(mblock_t b)
{
	printf("%s: block %llu\n", g.recipe, (unsigned long long)b);
}

/* Points the place elsewhere. */
void set_pointer(const struct place *pl, uint64_t to)
{
	if (pl->parent) {
		put64(value_of(block_at(pl->parent), pl->index), to);
		seal(pl->parent, SALT_NODE);
	} else {
		put64(g.p + pl->root_at, to);
		seal(pl->root_at / MBLOCK_SIZE, pl->root_salt);
	}
	printf("%s: pointer to block %llu in block %llu is %llu now\n", g.recipe,
	       (unsigned long long)pl->block,
	       (unsigned long long)(pl->parent ? pl->parent : pl->root_at / MBLOCK_SIZE),
	       (unsigned long long)to);
}

uint64_t value_or(uint64_t v)
{
	return g.has_value ? g.value : v;
}

/* --- entries of leaves --- */

void remove_entry(mblock_t b, uint32_t i)
{
	struct disk_node *n = block_at(b);
	uint32_t nr = nr_of(n), vs = le32_get(n->h.value_size);

	memmove(&n->keys[i], &n->keys[i + 1], (nr - i - 1) * 8);
	memmove(value_of(n, i), value_of(n, i + 1), (nr - i - 1) * vs);
	put32(&n->h.nr_entries, nr - 1);
	seal(b, SALT_NODE);
}

void insert_entry(mblock_t b, uint64_t key, const void *value)
{
	struct disk_node *n = block_at(b);
	uint32_t nr = nr_of(n), vs = le32_get(n->h.value_size), i = 0;

	if (nr == le32_get(n->h.max_entries))
		die("the leaf at block %llu is full", (unsigned long long)b);
	while (i < nr && le64_get(n->keys[i]) < key)
		i++;
	if (i < nr && le64_get(n->keys[i]) == key)
		die("key %llu is there already", (unsigned long long)key);
	memmove(&n->keys[i + 1], &n->keys[i], (nr - i) * 8);
	memmove(value_of(n, i + 1), value_of(n, i), (nr - i) * vs);
	put64(&n->keys[i], key);
	memcpy(value_of(n, i), value, vs);
	put32(&n->h.nr_entries, nr + 1);
	seal(b, SALT_NODE);
}

/* Finds an entry by key (or the first, with -1) in a small tree. */
mblock_t find_entry(const char *name, long key, uint32_t *index)
{
	struct layout *l = named_tree(name);

	for (unsigned k = 0; k < l->nr_leaves; k++) {
		struct disk_node *n = block_at(l->leaf[k].block);

		for (*index = 0; *index < nr_of(n); ++*index)
			if (key < 0 || le64_get(n->keys[*index]) == (uint64_t)key)
				return l->leaf[k].block;
	}
	die("no such device in the tree %s", name);
}
