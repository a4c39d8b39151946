/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * An older state of a pool that still stands whole in its image: an index block of the metadata map, whose bitmaps
 * count just the references of the trees below roots that they have in use.  With a superblock that names
 * these roots the image is a healthy pool.
 */
#include <stdlib.h>
#include <string.h>

#include "harsh.h"
#include "pdata/block/csum.h"

#define BITMAP_ENTRIES 16320

struct older {
	const struct pool *pool;
	uint8_t *count; /* by block: as the bitmaps have it, three for more */
	uint8_t *refs;	/* by block: found, up to three */
	uint64_t root[25][3]; /* by size of values: nodes without a parent */
	int nr_roots[25];
	uint64_t nr_data_bitmaps;
};

static const uint8_t *at(const struct older *o, uint64_t b)
{
	return o->pool->image + b * 4096;
}

static bool is_a(const struct older *o, uint64_t b, enum csum_kind kind)
{
	return b < o->pool->nr_blocks && csum_classify(at(o, b), NULL) == kind && u64(at(o, b), 8) == b;
}

/* One more reference: true for the first one to a block in use. */
static bool add_ref(struct older *o, uint64_t b)
{
	if (b >= o->pool->nr_blocks || !o->count[b])
		return false;
	o->refs[b] += o->refs[b] < 3;
	return o->refs[b] == 1;
}

static bool read_counts(struct older *o, uint32_t index)
{
	uint32_t nr = o->pool->nr_blocks;

	memset(o->count, 0, nr);
	memset(o->refs, 0, nr);
	for (uint32_t i = 0; i * BITMAP_ENTRIES < nr; i++) {
		uint64_t map = u64(at(o, index), 16 + 16 * (size_t)i);

		if (!is_a(o, map, CSUM_IS_BITMAP))
			return false;
		for (uint32_t k = 0; k < BITMAP_ENTRIES && i * BITMAP_ENTRIES + k < nr; k++) {
			unsigned pair = at(o, map)[16 + k / 4] >> 2 * (k % 4) & 3;

			o->count[i * BITMAP_ENTRIES + k] = (uint8_t)((pair & 1) << 1 | pair >> 1);
		}
	}
	o->nr_data_bitmaps = 0;
	o->refs[0] = o->count[0];
	for (uint32_t i = 0; i * BITMAP_ENTRIES < nr; i++)
		if (!add_ref(o, u64(at(o, index), 16 + 16 * (size_t)i)))
			return false;
	return add_ref(o, index);
}

static bool walk(struct older *o, uint64_t b, uint32_t value_size, unsigned depth);

/* What a node names, with their trees: false when something is not there. */
static bool walk_below(struct older *o, uint64_t b, uint32_t value_size, unsigned depth)
{
	const uint8_t *n = at(o, b);
	bool leaf = u32(n, 4) & 2, top = value_size == 0;

	if (u32(n, 20) > 400 || (leaf && u32(n, 24) != (top ? 8 : value_size)))
		return false;
	for (uint32_t i = 0; i < u32(n, 16) && (!leaf || top || value_size == 16); i++) {
		if (leaf && value_size == 16) {
			uint64_t map = u64(n, 1376 + 16 * (size_t)i);

			if (!is_a(o, map, CSUM_IS_BITMAP) || !add_ref(o, map))
				return false;
			o->nr_data_bitmaps++;
		} else if (!walk(o, u64(n, 2048 + 8 * (size_t)i), leaf ? 8 : value_size, depth + 1))
			return false;
	}
	return true;
}

/* @value_size of the leaves' values; 0: the top level. */
static bool walk(struct older *o, uint64_t b, uint32_t value_size, unsigned depth)
{
	if (depth > 20 || !is_a(o, b, CSUM_IS_NODE) || !o->count[b])
		return false;
	return !add_ref(o, b) || walk_below(o, b, value_size, depth);
}

/* Nodes in use that no internal node names, by the size of their leaves' values. */
static void find_roots(struct older *o, uint8_t *is_child)
{
	uint32_t nr = o->pool->nr_blocks;

	memset(is_child, 0, nr);
	memset(o->nr_roots, 0, sizeof(o->nr_roots));
	for (uint32_t b = 1; b < nr; b++)
		for (uint32_t i = 0; o->count[b] && is_a(o, b, CSUM_IS_NODE) && u32(at(o, b), 4) & 1 &&
				     i < u32(at(o, b), 16); i++)
			if (u64(at(o, b), 2048 + 8 * (size_t)i) < nr)
				is_child[u64(at(o, b), 2048 + 8 * (size_t)i)] = 1;
	for (uint32_t b = 1; b < nr; b++) {
		uint64_t leaf = b;
		uint32_t size;

		if (!o->count[b] || is_child[b] || !is_a(o, b, CSUM_IS_NODE))
			continue;
		for (int depth = 0; depth < 20 && u32(at(o, leaf), 4) & 1 &&
				    u64(at(o, leaf), 2048) < nr; depth++)
			leaf = u64(at(o, leaf), 2048);
		size = u32(at(o, leaf), 24);
		if (size <= 24 && size != 8 && o->nr_roots[size] < 3)
			o->root[size][o->nr_roots[size]++] = b;
	}
}

static bool counts_match(const struct older *o)
{
	return !memcmp(o->count, o->refs, o->pool->nr_blocks);
}

/* Is the state of index block @index whole, with the top level @top?  @sb: gets its roots. */
static bool try_top(struct older *o, uint32_t index, uint64_t top, uint8_t *sb)
{
	const uint64_t root[] = { o->root[16][0], o->root[4][0], index, o->root[4][1], top, o->root[24][0] };
	static const int place[] = { 80, 88, 208, 216, 320, 328 };

	if (!read_counts(o, index) || !walk(o, top, 0, 0) || !walk(o, root[5], 24, 0) ||
	    !walk(o, root[0], 16, 0) || !walk(o, root[1], 4, 0) || !walk(o, root[3], 4, 0) ||
	    !counts_match(o) ||
	    o->nr_data_bitmaps * BITMAP_ENTRIES < o->pool->nr_data_blocks)
		return false;
	memset(sb + 56, 0, 8);
	for (int i = 0; i < 6; i++)
		memcpy(sb + place[i], &root[i], 8);
	return true;
}

static bool try_index(struct older *o, uint32_t index, uint8_t *is_child, uint8_t *sb)
{
	if (!is_a(o, index, CSUM_IS_INDEX) || !read_counts(o, index))
		return false;
	find_roots(o, is_child);
	if (o->nr_roots[24] != 1 || o->nr_roots[16] != 1 || o->nr_roots[4] != 2)
		return false;
	for (uint32_t b = 1; b < o->pool->nr_blocks; b++)
		if (o->count[b] == 1 && !is_child[b] && is_a(o, b, CSUM_IS_NODE) &&
		    try_top(o, index, b, sb))
			return true;
	return false;
}

/* Has each device as many mappings as its details say? */
static bool is_healthy(const struct pool *p)
{
	size_t k = 0;

	for (size_t i = 0; i < p->nr_details; i++) {
		uint64_t nr = 0;

		for (; k < p->nr_maps && p->map[k].dev == p->details[i].dev; k++)
			nr++;
		if (nr != p->details[i].mapped)
			return false;
	}
	return k == p->nr_maps;
}

bool other_standing(const struct pool *p, bool (*same)(const struct pool *, const struct pool *))
{
	struct older o = { .pool = p,
			   .count = calloc(p->nr_blocks, 1),
			   .refs = calloc(p->nr_blocks, 1) };
	uint8_t *is_child = calloc(p->nr_blocks, 1), sb[4096];
	bool found = false;

	for (uint32_t b = 1; b < p->nr_blocks && !found && o.count && o.refs && is_child; b++) {
		struct pool older;

		memcpy(sb, p->image, sizeof(sb));
		if (b == u64(sb, 208) || !try_index(&o, b, is_child, sb))
			continue;
		pool_take_with(&older, sb, p->image, p->nr_blocks);
		found = is_healthy(&older) && !same(&older, p);
		pool_free(&older);
	}
	free(o.count);
	free(o.refs);
	free(is_child);
	return found;
}
