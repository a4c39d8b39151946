/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * damage FILE RECIPE [options]: applies one kind of damage to a pool's metadata in a file,
 * proves that it is there, and prints what it did.  The recipes bear the names of the
 * findings that they must lead to (lib/pool/finding.c), and a few are for rescue trials.
 *
 *	--tree TREE	top-level, details, mapping (default), data-index, data-overflow
 *	--device ID	whose mapping tree; default: the first that will do
 *	--leaf N	the Nth leaf of the tree (default 0); --node N: the Nth internal node, 0 = root
 *	--metadata	the metadata space map instead of the data space map
 *	--block N	this block instead of a searched one
 *	--value V	instead of the recipe's own wrong value
 *	--seed N	for recipes that write noise
 *
 * Knows the format by itself: it shares structure definitions and the checksum with the
 * library, but none of the code that checks.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pdata/csum.h"
#include "pool/format.h"

struct expectation {
	uint64_t at; /* byte in the file */
	uint64_t value;
	unsigned len;
};

static struct {
	const char *path, *recipe;
	int fd;
	uint8_t *p; /* the file, private copy-on-write mapping */
	uint64_t len, new_len;
	/* options */
	const char *tree;
	long device, leaf, node;
	bool metadata, has_value, has_block;
	uint64_t value, block, seed;
	/* what must be found in the file afterwards */
	struct expectation expect[600];
	unsigned nr_expect;
	struct {
		mblock_t block;
		enum csum_salt salt;
		bool good;
	} seal[600];
	unsigned nr_seals;
} g;

static void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
static void die(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "damage: %s: ", g.recipe ? g.recipe : "");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

/* --- looking around --- */

static void *block_at(mblock_t b)
{
	if ((b + 1) * MBLOCK_SIZE > g.len)
		die("block %llu lies outside of the file", (unsigned long long)b);
	return g.p + b * MBLOCK_SIZE;
}

static struct disk_superblock *sb(void)
{
	return block_at(0);
}

static struct disk_sm_root *sm(void)
{
	return g.metadata ? &sb()->metadata_sm : &sb()->data_sm;
}

static bool is_leaf(const struct disk_node *n)
{
	return le32_get(n->h.flags) & NODE_LEAF;
}

static uint32_t nr_of(const struct disk_node *n)
{
	return le32_get(n->h.nr_entries);
}

static uint8_t *value_of(struct disk_node *n, uint32_t i)
{
	return (uint8_t *)&n->keys[le32_get(n->h.max_entries)] + i * le32_get(n->h.value_size);
}

static uint64_t value64(struct disk_node *n, uint32_t i)
{
	le64 v;

	memcpy(&v, value_of(n, i), 8);
	return le64_get(v);
}

/* A tree laid out: its leaves and internal nodes in key order, with the place that points to each. */
struct place {
	mblock_t block, parent; /* parent 0: a root */
	uint32_t index;		/* in the parent */
	uint64_t root_at;	/* byte of the pointer to a root */
	enum csum_salt root_salt;
};

struct layout {
	struct place leaf[20000], inner[2000];
	unsigned nr_leaves, nr_inner;
};

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

static uint64_t offset_of(const void *p)
{
	return (uint64_t)((const uint8_t *)p - g.p);
}

static struct layout *tree_at(const void *pointer, mblock_t pointer_block)
{
	struct layout *l = calloc(1, sizeof(*l));
	le64 v;

	memcpy(&v, pointer, 8);
	lay_out(l, (struct place) { .block = le64_get(v),
				    .root_at = offset_of(pointer),
				    .root_salt = pointer_block ? SALT_NODE : SALT_SUPERBLOCK });
	return l;
}

static struct layout *named_tree(const char *name)
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
static bool each_device(bool (*fn)(uint64_t id, struct layout *l))
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
static struct layout *tree(unsigned leaves, unsigned inner, unsigned entries)
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

static struct place target(unsigned entries)
{
	struct layout *l;

	if (g.has_block)
		return (struct place) { .block = g.block };
	l = tree(1, 0, entries);
	return g.node >= 0 ? l->inner[g.node] : l->leaf[g.leaf];
}

/* --- changing and proving --- */

static void expect(const void *p, unsigned len, uint64_t value)
{
	if (g.nr_expect < ARRAY_SIZE(g.expect))
		g.expect[g.nr_expect++] = (struct expectation) { offset_of(p), value, len };
}

static void put32(void *p, uint64_t v)
{
	le32 le = le32_make((uint32_t)v);

	memcpy(p, &le, 4);
	expect(p, 4, (uint32_t)v);
}

static void put64(void *p, uint64_t v)
{
	le64 le = le64_make(v);

	memcpy(p, &le, 8);
	expect(p, 8, v);
}

static void expect_seal(mblock_t b, enum csum_salt salt, bool good)
{
	g.seal[g.nr_seals].block = b;
	g.seal[g.nr_seals].salt = salt;
	g.seal[g.nr_seals++].good = good;
}

static void seal(mblock_t b, enum csum_salt salt)
{
	csum_seal(block_at(b), b, salt);
	expect_seal(b, salt, true);
}

/* Flips a bit under the checksum. */
static void break_seal(mblock_t b, enum csum_salt salt)
{
	uint8_t *p = block_at(b);

	p[g.has_value ? g.value % MBLOCK_SIZE : 2000] ^= 0x10;
	expect_seal(b, salt, false);
}

static void say(mblock_t b)
{
	printf("%s: block %llu\n", g.recipe, (unsigned long long)b);
}

/* Points the place elsewhere. */
static void set_pointer(const struct place *pl, uint64_t to)
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

static uint64_t value_or(uint64_t v)
{
	return g.has_value ? g.value : v;
}

/* --- superblock --- */

static void sb_all_zero(void)
{
	memset(block_at(0), 0, MBLOCK_SIZE);
	expect(g.p, 8, 0);
	expect(g.p + 32, 8, 0);
}

static void sb_wrong_place(void)
{
	put64(&sb()->blocknr, value_or(5));
	put32(&sb()->csum, csum_compute(sb(), SALT_SUPERBLOCK));
}

static void sb_magic(void)
{
	put64(&sb()->magic, value_or(27022011));
	seal(0, SALT_SUPERBLOCK);
}

static void sb_csum(void)
{
	break_seal(0, SALT_SUPERBLOCK);
}

static void sb_field32(le32 *field, uint64_t v)
{
	put32(field, value_or(v));
	seal(0, SALT_SUPERBLOCK);
}

static void sb_version(void)
{
	sb_field32(&sb()->version, 3);
}

static void sb_flags(void)
{
	sb_field32(&sb()->flags, 6);
}

static void sb_needs_check(void)
{
	sb_field32(&sb()->flags, 1);
}

static void sb_incompat(void)
{
	sb_field32(&sb()->incompat_flags, 1);
}

static void sb_compat_ro(void)
{
	sb_field32(&sb()->compat_ro_flags, 4);
}

static void sb_block_size(void)
{
	sb_field32(&sb()->data_block_size, 100);
}

static void sb_metadata_block_size(void)
{
	sb_field32(&sb()->metadata_block_size, 16);
}

static void sb_time_limit(void)
{
	sb_field32(&sb()->time, MAX_TIME - 10);
}

static void sb_time(void)
{
	sb_field32(&sb()->time, 0);
}

static void sb_map_size(void)
{
	put64(&sm()->nr_blocks, value_or(g.metadata ? 5000000 : 1ull << 50));
	seal(0, SALT_SUPERBLOCK);
}

static void device_too_small(void)
{
	g.new_len = g.len - value_or(1) * MBLOCK_SIZE;
	printf("%s: %llu bytes\n", g.recipe, (unsigned long long)g.new_len);
}

static void held_superblock(void)
{
	if (!le64_get(sb()->held_root))
		die("the pool holds no metadata snapshot");
	break_seal(le64_get(sb()->held_root), SALT_SUPERBLOCK);
	say(le64_get(sb()->held_root));
}

/* --- nodes --- */

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

/* --- devices and mappings --- */

static void remove_entry(mblock_t b, uint32_t i)
{
	struct disk_node *n = block_at(b);
	uint32_t nr = nr_of(n), vs = le32_get(n->h.value_size);

	memmove(&n->keys[i], &n->keys[i + 1], (nr - i - 1) * 8);
	memmove(value_of(n, i), value_of(n, i + 1), (nr - i - 1) * vs);
	put32(&n->h.nr_entries, nr - 1);
	seal(b, SALT_NODE);
}

static void insert_entry(mblock_t b, uint64_t key, const void *value)
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
static mblock_t find_entry(const char *name, long key, uint32_t *index)
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

static void remove_device(const char *name)
{
	uint32_t i;
	mblock_t b = find_entry(name, g.device, &i);

	printf("%s: device %llu\n", g.recipe,
	       (unsigned long long)le64_get(((struct disk_node *)block_at(b))->keys[i]));
	remove_entry(b, i);
}

static void device_without_details(void)
{
	remove_device("details");
}

static void device_without_mappings(void)
{
	remove_device("top-level");
}

static void device_id(void)
{
	struct layout *l = named_tree("top-level");
	mblock_t b = l->leaf[l->nr_leaves - 1].block;
	struct disk_node *n = block_at(b);

	if (!nr_of(n))
		die("no device");
	put64(&n->keys[nr_of(n) - 1], value_or(1ull << 24));
	seal(b, SALT_NODE);
}

static struct disk_details *details_of(long id, mblock_t *b)
{
	uint32_t i;

	*b = find_entry("details", id, &i);
	return (struct disk_details *)value_of(block_at(*b), i);
}

static void mapped_blocks(void)
{
	mblock_t b;
	struct disk_details *d = details_of(g.device, &b);

	put64(&d->mapped_blocks, value_or(le64_get(d->mapped_blocks) + 1));
	seal(b, SALT_NODE);
}

static void device_time(void)
{
	mblock_t b;
	struct disk_details *d = details_of(g.device, &b);

	put32(&d->snapshotted_time, value_or(le32_get(sb()->time) + 1));
	seal(b, SALT_NODE);
}

static void change_mapping(uint64_t block, uint64_t time)
{
	mblock_t b = target(1).block;
	struct disk_node *n = block_at(b);
	uint64_t v = value64(n, 0);

	put64(value_of(n, 0), mapping_pack(block == UINT64_MAX ? mapping_block(v) : block,
					   time == UINT64_MAX ? mapping_time(v) : (uint32_t)time));
	seal(b, SALT_NODE);
	say(b);
}

static void data_outside(void)
{
	change_mapping(value_or(le64_get(sb()->data_sm.nr_blocks) + 5), UINT64_MAX);
}

static void mapping_time_late(void)
{
	change_mapping(UINT64_MAX, value_or(le32_get(sb()->time) + 1));
}

/* Data blocks of two devices: whose mapping is it, first come. */
static uint32_t *first_owner;
static bool any_shared;

static bool note_owners(uint64_t id, struct layout *l)
{
	for (unsigned k = 0; k < l->nr_leaves; k++) {
		struct disk_node *n = block_at(l->leaf[k].block);

		for (uint32_t i = 0; i < nr_of(n); i++) {
			uint64_t b = mapping_block(value64(n, i));

			if (b >= le64_get(sb()->data_sm.nr_blocks))
				continue;
			any_shared |= first_owner[b] && first_owner[b] != id + 1;
			first_owner[b] = (uint32_t)id + 1;
		}
	}
	free(l);
	return false;
}

/* All devices look as if no snapshot had ever been taken. */
static void shared_time(void)
{
	struct layout *l = named_tree("details");

	first_owner = calloc(le64_get(sb()->data_sm.nr_blocks) + 1, sizeof(*first_owner));
	each_device(note_owners);
	if (!any_shared)
		die("no two devices share a data block");
	for (unsigned k = 0; k < l->nr_leaves; k++) {
		struct disk_node *n = block_at(l->leaf[k].block);

		for (uint32_t i = 0; i < nr_of(n); i++)
			put32(&((struct disk_details *)value_of(n, i))->snapshotted_time, 0);
		seal(l->leaf[k].block, SALT_NODE);
	}
}

/* --- space maps --- */

static struct disk_index *metadata_index(void)
{
	return block_at(le64_get(sb()->metadata_sm.bitmap_root));
}

static void index_block(void)
{
	mblock_t b = le64_get(sb()->metadata_sm.bitmap_root);

	break_seal(b, SALT_INDEX);
	say(b);
}

/* The index entry of bitmap @i; *b: the block it stands in, *salt: to seal that. */
static struct disk_index_entry *index_entry(uint64_t i, mblock_t *b, enum csum_salt *salt)
{
	struct layout *l;

	if (g.metadata) {
		*b = le64_get(sb()->metadata_sm.bitmap_root);
		*salt = SALT_INDEX;
		return &metadata_index()->entry[i];
	}
	l = named_tree("data-index");
	*salt = SALT_NODE;
	for (unsigned k = 0; k < l->nr_leaves; k++) {
		struct disk_node *n = block_at(l->leaf[k].block);

		for (uint32_t e = 0; e < nr_of(n); e++) {
			*b = l->leaf[k].block;
			if (le64_get(n->keys[e]) == i)
				return (struct disk_index_entry *)value_of(n, e);
		}
	}
	die("the index has no entry %llu", (unsigned long long)i);
}

static uint64_t last_bitmap(void)
{
	return (le64_get(sm()->nr_blocks) - 1) / ENTRIES_PER_BITMAP;
}

static void index_missing(void)
{
	enum csum_salt salt;
	mblock_t b;
	uint32_t i;

	if (g.metadata) {
		put64(&index_entry(last_bitmap(), &b, &salt)->blocknr, 0);
		seal(b, salt);
		return;
	}
	b = find_entry("data-index", (long)last_bitmap(), &i);
	remove_entry(b, i);
}

static void index_extra(void)
{
	struct layout *l = named_tree("data-index");
	struct disk_index_entry d = { .blocknr = le64_make(1) };

	insert_entry(l->leaf[l->nr_leaves - 1].block, last_bitmap() + 1, &d);
}

static mblock_t bitmap_block(uint64_t i)
{
	enum csum_salt salt;
	mblock_t b;

	return le64_get(index_entry(i, &b, &salt)->blocknr);
}

static void bitmap_csum(void)
{
	mblock_t b = bitmap_block(value_or(0));

	g.has_value = false;
	break_seal(b, SALT_BITMAP);
	say(b);
}

static void bitmap_in_use(void)
{
	enum csum_salt salt;
	mblock_t b;

	put64(&index_entry(0, &b, &salt)->blocknr, le64_get(sb()->details_root));
	seal(b, salt);
}

/* Pair of entry @e of the map: 0 = 00, 2 = 10 (count 1), 1 = 01 (count 2), 3 = 11 */
static unsigned get_pair(uint64_t e)
{
	const struct disk_bitmap *bm = block_at(bitmap_block(e / ENTRIES_PER_BITMAP));
	uint64_t i = e % ENTRIES_PER_BITMAP;

	return bm->bits[i / 4] >> 2 * (i % 4) & 3;
}

static void set_pair(uint64_t e, unsigned pair)
{
	mblock_t b = bitmap_block(e / ENTRIES_PER_BITMAP);
	struct disk_bitmap *bm = block_at(b);
	uint64_t i = e % ENTRIES_PER_BITMAP;
	uint8_t *byte = &bm->bits[i / 4];

	*byte = (uint8_t)((*byte & ~(3u << 2 * (i % 4))) | pair << 2 * (i % 4));
	expect(byte, 1, *byte);
	seal(b, SALT_BITMAP);
	printf("%s: entry %llu of the %s map\n", g.recipe, (unsigned long long)e,
	       g.metadata ? "metadata" : "data");
}

/* --value, or the last entry with this pair */
static uint64_t entry_with(unsigned pair)
{
	uint64_t e;

	if (g.has_value)
		return g.value;
	for (e = le64_get(sm()->nr_blocks); e--;)
		if (get_pair(e) == pair)
			return e;
	die("no entry of the map has the pair %u", pair);
}

static void bits_past_end(void)
{
	uint64_t nr = le64_get(sm()->nr_blocks);

	if (nr % ENTRIES_PER_BITMAP == 0)
		die("the map ends with a full bitmap");
	set_pair(nr, 2);
}

static void count_low(void)
{
	set_pair(entry_with(2), 0);
}

static void count_high(void)
{
	set_pair(entry_with(2), 1);
}

static void leak(void)
{
	set_pair(entry_with(0), 2);
}

static void leak_two(void)
{
	set_pair(entry_with(0), 1);
}

static void overflow_missing(void)
{
	set_pair(entry_with(0), 3);
}

/* A right pair of 11 loses its entry. */
static void overflow_lost(void)
{
	uint64_t e = entry_with(3);
	uint32_t i;
	mblock_t b = find_entry(g.metadata ? "metadata-overflow" : "data-overflow", (long)e, &i);

	remove_entry(b, i);
}

static void overflow_stale(void)
{
	struct layout *l = named_tree(g.metadata ? "metadata-overflow" : "data-overflow");
	le32 count = le32_make(4);

	insert_entry(l->leaf[l->nr_leaves - 1].block, entry_with(2), &count);
}

static void nr_allocated(void)
{
	put64(&sm()->nr_allocated, value_or(le64_get(sm()->nr_allocated) + 1));
	seal(0, SALT_SUPERBLOCK);
}

static void nr_free(void)
{
	enum csum_salt salt;
	mblock_t b;

	put32(&index_entry(0, &b, &salt)->nr_free, value_or(0));
	seal(b, salt);
}

static void none_free_before(void)
{
	enum csum_salt salt;
	mblock_t b;

	put32(&index_entry(0, &b, &salt)->none_free_before, value_or(16319));
	seal(b, salt);
}

/* --- any block, for rescue trials --- */

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

static const struct {
	const char *name;
	void (*apply)(void);
} recipes[] = {
	{ "superblock-all-zero", sb_all_zero },
	{ "superblock-wrong-place", sb_wrong_place },
	{ "superblock-magic", sb_magic },
	{ "superblock-csum", sb_csum },
	{ "superblock-version", sb_version },
	{ "superblock-flags", sb_flags },
	{ "superblock-incompat", sb_incompat },
	{ "superblock-compat-ro", sb_compat_ro },
	{ "superblock-block-size", sb_block_size },
	{ "superblock-metadata-block-size", sb_metadata_block_size },
	{ "superblock-time-limit", sb_time_limit },
	{ "superblock-map-size", sb_map_size },
	{ "needs-check", sb_needs_check },
	{ "superblock-time", sb_time }, /* mapping-time, device-time */
	{ "device-too-small", device_too_small },
	{ "held-superblock", held_superblock },
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
	{ "node-loop", node_loop }, /* node-in-use */
	{ "node-underfull", node_underfull },
	{ "device-without-details", device_without_details },
	{ "device-without-mappings", device_without_mappings },
	{ "device-id", device_id },
	{ "mapped-blocks", mapped_blocks },
	{ "data-outside", data_outside },
	{ "mapping-time", mapping_time_late },
	{ "device-time", device_time },
	{ "shared-time", shared_time },
	{ "index-block", index_block },
	{ "index-missing", index_missing },
	{ "index-extra", index_extra },
	{ "bitmap", bitmap_csum },
	{ "bitmap-in-use", bitmap_in_use },
	{ "bits-past-end", bits_past_end },
	{ "count-low", count_low },
	{ "count-high", count_high },
	{ "leak", leak },
	{ "leak-two", leak_two },
	{ "overflow-missing", overflow_missing },
	{ "overflow-lost", overflow_lost },
	{ "overflow-stale", overflow_stale },
	{ "nr-allocated", nr_allocated },
	{ "nr-free", nr_free },
	{ "none-free-before", none_free_before },
	{ "zero", zero },
	{ "noise", noise },
	{ "flip", flip },
	{ "swap", swap },
};

static long number(const char *s)
{
	char *end;
	long v;

	errno = 0;
	v = s ? strtol(s, &end, 0) : -1;
	if (!s || errno || *end || v < 0)
		die("a number is missing");
	return v;
}

static void parse_options(char **arg)
{
	for (; *arg; arg++) {
		if (!strcmp(*arg, "--metadata")) {
			g.metadata = true;
			continue;
		}
		if (!strcmp(*arg, "--tree"))
			g.tree = arg[1] ? arg[1] : "";
		else if (!strcmp(*arg, "--device"))
			g.device = number(arg[1]);
		else if (!strcmp(*arg, "--leaf"))
			g.leaf = number(arg[1]);
		else if (!strcmp(*arg, "--node"))
			g.node = number(arg[1]);
		else if (!strcmp(*arg, "--seed"))
			g.seed = (uint64_t)number(arg[1]);
		else if (!strcmp(*arg, "--value"))
			g.value = (uint64_t)number(arg[1]), g.has_value = true;
		else if (!strcmp(*arg, "--block"))
			g.block = (uint64_t)number(arg[1]), g.has_block = true;
		else
			die("unknown option %s", *arg);
		arg++;
	}
}

/* Looks at the file itself. */
static void prove(void)
{
	uint8_t block[MBLOCK_SIZE];

	for (unsigned i = 0; i < g.nr_expect; i++) {
		const struct expectation *e = &g.expect[i];
		uint64_t v = 0;
		bool later = false;

		/* only the last word on a place counts */
		for (unsigned k = i + 1; k < g.nr_expect; k++)
			later |= g.expect[k].at == e->at;
		if (later)
			continue;
		if (pread(g.fd, &v, e->len, (off_t)e->at) != (ssize_t)e->len ||
		    le64toh(v) != e->value)
			die("the damage is not in the file (byte %llu)", (unsigned long long)e->at);
	}
	for (unsigned i = 0; i < g.nr_seals; i++) {
		if (pread(g.fd, block, MBLOCK_SIZE, (off_t)(g.seal[i].block * MBLOCK_SIZE)) !=
		    MBLOCK_SIZE)
			die("cannot read it again");
		if ((csum_verify(block, g.seal[i].block, g.seal[i].salt) == 0) != g.seal[i].good)
			die("the checksum of block %llu is not as wanted",
			    (unsigned long long)g.seal[i].block);
	}
}

int main(int argc, char **argv)
{
	uint8_t *before;
	struct stat st;
	size_t k;

	if (argc == 2 && !strcmp(argv[1], "--list")) {
		for (k = 0; k < ARRAY_SIZE(recipes); k++)
			puts(recipes[k].name);
		return 0;
	}
	if (argc < 3)
		die("usage: damage FILE RECIPE [options]; damage --list");
	g.path = argv[1];
	g.recipe = argv[2];
	g.tree = "mapping";
	g.device = g.node = -1;
	parse_options(argv + 3);
	for (k = 0; k < ARRAY_SIZE(recipes) && strcmp(recipes[k].name, g.recipe); k++)
		;
	if (k == ARRAY_SIZE(recipes))
		die("no such recipe (damage --list)");
	g.fd = open(g.path, O_RDWR | O_CLOEXEC);
	if (g.fd < 0 || fstat(g.fd, &st))
		die("%s: %s", g.path, strerror(errno));
	g.len = g.new_len = (uint64_t)st.st_size;
	g.p = mmap(NULL, g.len, PROT_READ | PROT_WRITE, MAP_PRIVATE, g.fd, 0);
	before = mmap(NULL, g.len, PROT_READ, MAP_SHARED, g.fd, 0);
	if (g.p == MAP_FAILED || before == MAP_FAILED)
		die("%s: %s", g.path, strerror(errno));
	recipes[k].apply();
	if (g.new_len == g.len && !memcmp(before, g.p, g.len))
		die("nothing has changed");
	for (uint64_t at = 0; at + MBLOCK_SIZE <= g.len; at += MBLOCK_SIZE)
		if (memcmp(before + at, g.p + at, MBLOCK_SIZE) &&
		    pwrite(g.fd, g.p + at, MBLOCK_SIZE, (off_t)at) != MBLOCK_SIZE)
			die("%s: %s", g.path, strerror(errno));
	if (g.new_len != g.len && ftruncate(g.fd, (off_t)g.new_len))
		die("%s: %s", g.path, strerror(errno));
	prove();
	return close(g.fd) ? 1 : 0;
}
