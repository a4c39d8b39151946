/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Recipes: space maps. */
#include "damage.h"

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

static void past_end(unsigned pair)
{
	uint64_t nr = le64_get(sm()->nr_blocks);

	if (nr % ENTRIES_PER_BITMAP == 0)
		die("the map ends with a full bitmap");
	set_pair(nr, pair);
}

static void bits_past_end(void)
{
	past_end(2);
}

/* a pair that elsewhere stands for an entry in the tree of large counts */
static void bits_past_end_11(void)
{
	past_end(3);
}

static void count_low(void)
{
	set_pair(entry_with(2), 0);
}

/* One more than the entry has: --value, or the last that has one. */
static void count_high(void)
{
	const char *large = g.metadata ? "metadata-overflow" : "data-overflow";
	const uint64_t e = entry_with(2);
	const le32 three = le32_make(3);
	uint32_t i, *count;
	mblock_t b;

	switch (get_pair(e)) {
	case 2:
		set_pair(e, 1);
		break;
	case 1:
		insert_entry(named_tree(large)->leaf[0].block, e, &three);
		set_pair(e, 3);
		break;
	default:
		b = find_entry(large, (long)e, &i);
		count = (uint32_t *)value_of(block_at(b), i);
		put32(count, le32_get(*(le32 *)count) + 1);
		seal(b, SALT_NODE);
	}
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

const struct recipe map_recipes[] = {
	{ "index-block", index_block },
	{ "index-missing", index_missing },
	{ "index-extra", index_extra },
	{ "bitmap", bitmap_csum },
	{ "bitmap-in-use", bitmap_in_use },
	{ "bits-past-end", bits_past_end },
	{ "bits-past-end-11", bits_past_end_11 },
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
	{ 0 },
};
