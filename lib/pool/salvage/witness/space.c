/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * The metadata space map as a witness: a block with a count of zero is of an earlier transaction,
 * even if it is intact; a block with more references than parents that can be read has lost one.
 * Bitmaps whose index is lost are recognised by what they must say about the blocks that the trees
 * reach.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/overflow.h"
#include "pool/salvage/impl.h"

static unsigned bitmap_count(const uint8_t *bits, uint32_t i)
{
	unsigned pair = bits[i / 4] >> 2 * (i % 4) & 3;

	return (pair & 1) << 1 | pair >> 1; /* the lower bit weighs two */
}

static uint32_t nr_used(const struct disk_bitmap *map)
{
	uint32_t nr = 0;
	uint64_t w;

	for (size_t i = 0; i < sizeof(map->bits); i += sizeof(w)) {
		memcpy(&w, map->bits + i, sizeof(w));
		nr += (uint32_t)__builtin_popcountll((w | w >> 1) & 0x5555555555555555u);
	}
	return nr;
}

static bool is_about(int64_t a, int64_t b)
{
	return a - b <= 1 && b - a <= 1;
}

bool salvage_bitmap_fits(const struct disk_bitmap *map, uint32_t nr_free, uint64_t index,
			 uint64_t nr_blocks)
{
	int64_t past = (int64_t)((index + 1) * ENTRIES_PER_BITMAP - nr_blocks);
	int64_t free = (int64_t)ENTRIES_PER_BITMAP - nr_used(map);

	return is_about(free, nr_free) || is_about(free, nr_free + past);
}

/* Does the superblock say another number of metadata blocks in use than @nr?  Older programs wrote one more or less. */
static bool differs_from_superblock(const struct salvage *s, uint64_t nr)
{
	return !is_about((int64_t)nr, (int64_t)s->sb.metadata_sm.nr_allocated);
}

/* The same of a map that was searched, when there is a superblock that can be asked. */
static bool is_denied_by_superblock(const struct salvage *s, uint64_t nr)
{
	return s->has_sb && s->sb.metadata_sm.nr_allocated && differs_from_superblock(s, nr);
}

static uint64_t nr_counted(const struct salvage *s)
{
	uint64_t nr = 0;

	for (uint32_t b = 0; b < s->nr_blocks; b++)
		nr += s->count[b] > 0;
	return nr;
}

/*
 * An older program left one more in the superblock and in the index than in the bitmaps.  Some indices count entries
 * past the end of the map as free.
 */
bool salvage_counts_differ(const struct salvage *s)
{
	uint64_t nr = s->sb.metadata_sm.nr_allocated;
	uint64_t entries = div_up(s->nr_blocks, ENTRIES_PER_BITMAP) * ENTRIES_PER_BITMAP;

	return nr_counted(s) != nr && s->index_free + nr != s->nr_blocks &&
	       s->index_free + nr != entries;
}

static bool is_kind(const struct salvage *s, uint64_t block, enum block_kind kind)
{
	return block < s->nr_blocks && s->kind[block] == kind;
}

/*
 * A bitmap of the data map, or of an earlier transaction, denies blocks that are in use.  *dead:
 * blocks that it counts although they hold nothing; damage may explain a few of them.
 */
static bool bitmap_denies(const struct salvage *s, const struct disk_bitmap *map, uint32_t index,
			  uint32_t *dead)
{
	uint32_t begin = index * ENTRIES_PER_BITMAP;
	uint32_t nr = MIN((uint32_t)ENTRIES_PER_BITMAP, s->nr_blocks - begin);

	*dead = 0;
	for (uint32_t i = 0; i < nr; i++) {
		unsigned count = bitmap_count(map->bits, i);

		if (count < MIN(s->found[begin + i], 3))
			return true;
		*dead += count && s->kind[begin + i] < BLOCK_STRAY;
	}
	for (uint32_t i = nr; i < ENTRIES_PER_BITMAP; i++)
		if (bitmap_count(map->bits, i))
			return true;
	return false;
}

static void take_bitmap(struct salvage *s, const struct disk_bitmap *map, uint32_t index)
{
	uint32_t begin = index * ENTRIES_PER_BITMAP;
	uint32_t nr = MIN((uint32_t)ENTRIES_PER_BITMAP, s->nr_blocks - begin);

	for (uint32_t i = 0; i < nr; i++) {
		unsigned c = bitmap_count(map->bits, i);

		s->count[begin + i] = c == 3 ? COUNT_MANY : c;
	}
	s->has_counts = true;
}

/* What is younger than so (block_age()) was written by the last transaction. */
static uint32_t last_transaction(const struct salvage *s)
{
	uint32_t least = s->nr_blocks;

	for (uint32_t b = 0; b < s->nr_blocks; b++)
		if (s->kind[b] == BLOCK_INDEX && block_age(s, b))
			least = MIN(least, block_age(s, b));
	return least;
}

/* How long ago a bitmap was written, when it may be of the state's own commit: that writes a few blocks behind its index. */
static uint32_t bitmap_age(const struct salvage *s, uint32_t block)
{
	uint32_t cursor = state_cursor(s);

	return block > cursor && block <= cursor + BEHIND_INDEX ? 0 : block_age(s, block);
}

/*
 * The bitmap of blocks [index * 16320, ...), when the index is lost: the newest that denies no
 * block in use.  The bitmap of the index block itself must have been written by the last
 * transaction.
 */
static int search_bitmap(struct salvage *s, uint32_t index, const uint8_t *of_data,
			 struct disk_bitmap *map, struct disk_bitmap *best, struct err *err)
{
	uint32_t cursor = (uint32_t)s->sb.metadata_sm.bitmap_root, best_dead = UINT32_MAX;
	uint32_t best_age = UINT32_MAX, dead;
	uint32_t limit = cursor / ENTRIES_PER_BITMAP == index ? last_transaction(s) :
								s->nr_blocks;

	for (uint32_t b = 0; b < s->nr_blocks; b++) {
		int r;

		if (s->kind[b] != BLOCK_BITMAP || of_data[b] || bitmap_age(s, b) >= limit)
			continue;
		r = salvage_get(s, b, map, err);
		if (r < 0)
			return r == -ENOMEM ? r : 0;
		/* it counts itself */
		if (b / ENTRIES_PER_BITMAP == index &&
		    !bitmap_count(map->bits, b % ENTRIES_PER_BITMAP))
			continue;
		if (s->nr_blocks <= ENTRIES_PER_BITMAP && is_denied_by_superblock(s, nr_used(map)))
			continue;
		if (bitmap_denies(s, map, index, &dead) || dead > best_dead ||
		    (dead == best_dead && bitmap_age(s, b) > best_age))
			continue;
		best_dead = dead;
		best_age = bitmap_age(s, b);
		memcpy(best, map, sizeof(*best));
	}
	if (best_age != UINT32_MAX)
		take_bitmap(s, best, index);
	s->counts_searched = true;
	return 0;
}

static int read_overflow(struct salvage *s, uint32_t node, void *buf, unsigned depth,
			 struct err *err)
{
	const struct snode *n = &s->node[node];
	struct view v;
	int r = 0;

	if (!(n->flags & SN_LEAF)) {
		for (uint32_t k = 0; k < n->nr_edges && !r && depth < BTREE_MAX_DEPTH; k++)
			if (s->edge[n->edge + k].node != NONE)
				r = read_overflow(s, s->edge[n->edge + k].node, buf, depth + 1, err);
		return r;
	}
	r = salvage_get(s, n->block, buf, err);
	if (r < 0 || !view_open(&v, buf) || v.value_size != 4)
		return r;
	for (uint32_t i = 0; i < v.nr; i++) {
		uint64_t key = view_key(&v, i);
		le32 count;

		memcpy(&count, v.values + (size_t)i * 4, 4);
		if (key < s->nr_blocks && s->count[key] == COUNT_MANY && le32_get(count) >= 3)
			s->count[key] = MIN(le32_get(count), COUNT_MANY - 1);
	}
	return 0;
}

static void add_ref(struct salvage *s, uint64_t block)
{
	if (block < s->nr_blocks)
		s->found[block]++;
}

/* The copies of the superblock that are in use: the held metadata snapshot. */
static void add_held_refs(struct salvage *s)
{
	struct superblock held;

	for (uint32_t b = 1; b < s->nr_blocks; b++) {
		if (s->kind[b] != BLOCK_SUPER ||
		    (b != s->sb.held_root &&
		     !(s->has_counts && s->count[b] && s->count[b] < COUNT_MANY)) ||
		    !salvage_read_copy(s, b, &held))
			continue;
		add_ref(s, held.mapping_root);
		add_ref(s, held.details_root);
	}
}

void salvage_count_edges(struct salvage *s)
{
	const uint64_t roots[] = {
		s->sb.mapping_root,	    s->sb.details_root,
		s->sb.held_root,	    s->sb.metadata_sm.bitmap_root,
		s->sb.metadata_sm.ref_count_root, s->sb.data_sm.bitmap_root,
		s->sb.data_sm.ref_count_root,
	};

	memset(s->found, 0, s->nr_blocks * sizeof(*s->found));
	for (size_t i = 0; i < ARRAY_SIZE(roots); i++)
		add_ref(s, roots[i]);
	s->found[0] = 1;
	for (size_t i = 0; i < s->nr_devs; i++)
		if (s->dev[i].root_found && s->dev[i].root != NONE)
			add_ref(s, s->node[s->dev[i].root].block);
	add_held_refs(s);
	for (uint32_t i = 0; i < s->nr_nodes; i++) {
		const struct snode *n = &s->node[i];
		bool live = n->flags & SN_LIVE;

		/* nodes that are not of this state have no children here */
		if (n->flags & SN_DENIED)
			continue;
		if (!(n->flags & SN_VIRTUAL) && s->has_counts &&
		    s->count[n->block] != COUNT_UNKNOWN)
			live |= s->count[n->block] > 0;
		for (uint32_t k = 0; live && k < n->nr_edges; k++) {
			const struct edge *e = &s->edge[n->edge + k];

			/* a tree under an impossible device id lacks a parent */
			if (!(n->flags & SN_LEAF) || e->key <= MAX_DEV_ID)
				add_ref(s, e->block);
		}
	}
}

/* The bitmaps that an index of the data map names, the newest or an older one: by block. */
static uint8_t *list_data_bitmaps(struct salvage *s, void *buf)
{
	uint8_t *of_data = calloc(s->nr_blocks, 1);
	struct view v;

	for (uint32_t i = 0; of_data && i < s->nr_nodes; i++) {
		const struct snode *n = &s->node[i];

		if (n->tree != TREE_INDEX || !(n->flags & SN_LEAF) ||
		    salvage_get(s, n->block, buf, NULL) < 0 || !view_open(&v, buf) ||
		    v.value_size != 16)
			continue;
		for (uint32_t k = 0; k < v.nr; k++)
			if (view_value(&v, k) < s->nr_blocks)
				of_data[view_value(&v, k)] = 1;
	}
	return of_data;
}

static int read_bitmaps(struct salvage *s, struct disk_index *index, struct disk_bitmap *map,
			struct disk_bitmap *best, struct err *err)
{
	CLEANUP(free_ptr) uint8_t *of_data = NULL;
	uint32_t nr = (uint32_t)div_up(s->nr_blocks, ENTRIES_PER_BITMAP);
	bool has_index = is_kind(s, s->sb.metadata_sm.bitmap_root, BLOCK_INDEX);
	int r;

	if (has_index) {
		r = salvage_get(s, (uint32_t)s->sb.metadata_sm.bitmap_root, index, err);
		has_index = r == 0;
	}
	s->index_free = 0;
	for (uint32_t i = 0; i < nr; i++) {
		uint64_t b = has_index ? le64_get(index->entry[i].blocknr) : NONE;

		s->index_free += has_index ? le32_get(index->entry[i].nr_free) : 0;
		if (is_kind(s, b, BLOCK_BITMAP)) {
			if (!salvage_get(s, (uint32_t)b, map, err) &&
			    salvage_bitmap_fits(map, le32_get(index->entry[i].nr_free), i,
						s->nr_blocks))
				take_bitmap(s, map, i);
			continue;
		}
		if (has_index)
			continue; /* lost: all others are older */
		if (!of_data)
			of_data = list_data_bitmaps(s, map);
		r = of_data ? search_bitmap(s, i, of_data, map, best, err) :
			      err_nomem(err, "salvage: bitmaps");
		if (r < 0)
			return r;
	}
	return 0;
}

int salvage_read_counts(struct salvage *s, struct err *err)
{
	CLEANUP(free_ptr) void *index = io_alloc(MBLOCK_SIZE);
	CLEANUP(free_ptr) void *map = io_alloc(MBLOCK_SIZE);
	CLEANUP(free_ptr) void *best = io_alloc(MBLOCK_SIZE);
	int r;

	if (!s->count)
		s->count = malloc(s->nr_blocks * sizeof(*s->count));
	if (!s->found)
		s->found = malloc(s->nr_blocks * sizeof(*s->found));
	if (!index || !map || !best || !s->count || !s->found)
		return err_nomem(err, "salvage: reference counts");
	memset(s->count, 0xff, s->nr_blocks * sizeof(*s->count));
	s->has_counts = s->counts_searched = false;
	salvage_count_edges(s);
	r = read_bitmaps(s, index, map, best, err);
	if (r < 0)
		return r;
	if (s->sb.metadata_sm.ref_count_root &&
	    node_of(s, s->sb.metadata_sm.ref_count_root) != NONE) {
		uint32_t root = s->slot[s->sb.metadata_sm.ref_count_root];

		if (s->node[root].tree == TREE_OVERFLOW)
			r = read_overflow(s, root, map, 0, err);
	}
	salvage_count_edges(s);
	return r == -ENOMEM ? r : 0;
}

uint32_t salvage_missing_refs(const struct salvage *s, uint32_t block)
{
	uint32_t count, found;

	if (!s->has_counts || block >= s->nr_blocks || s->count[block] == COUNT_UNKNOWN)
		return COUNT_UNKNOWN;
	count = s->count[block];
	found = s->found[block];
	if (count == COUNT_MANY)
		return found < 3 ? 3 - found : COUNT_MANY;
	return count > found ? count - found : 0;
}

bool salvage_has_unknown(const struct salvage *s)
{
	if (!s->has_counts)
		return true;
	for (uint32_t b = 0; b < s->nr_blocks; b++)
		if (s->count[b] == COUNT_UNKNOWN)
			return true;
	return false;
}
