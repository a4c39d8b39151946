/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Whole pools in an image.  An older state of a pool that still stands whole in its image: an index block of
 * the metadata map, whose bitmaps count just the references of the trees below roots that they have in use.
 * With a superblock that names these roots the image is a healthy pool.
 */
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "harsh.h"
#include "pdata/block/csum.h"

#define BITMAP_ENTRIES 16320

struct older {
	const struct pool *pool;
	uint8_t *count; /* by block: its count in the bitmaps; 3: three or more */
	uint8_t *refs;	/* by block: references found, at most three */
	uint64_t root[25][3]; /* by size of values: nodes without a parent */
	int nr_roots[25];
	uint64_t nr_data_bitmaps;
	uint64_t held; /* the metadata snapshot's superblock, 0: none */
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

/* The number of values of a node, no more than fit behind byte @from, @size bytes each. */
static uint32_t nr_values(const uint8_t *n, uint32_t from, uint32_t size)
{
	return MIN(u32(n, 16), (4096 - from) / size);
}

static bool walk(struct older *o, uint64_t b, uint32_t value_size, unsigned depth);

/* Counts the blocks that a node names, and the trees below them.  False: one is missing. */
static bool walk_below(struct older *o, uint64_t b, uint32_t value_size, unsigned depth)
{
	const uint8_t *n = at(o, b);
	const bool leaf = u32(n, 4) & 2, top = value_size == 0, maps = leaf && value_size == 16;
	const uint32_t nr = nr_values(n, maps ? 1376 : 2048, maps ? 16 : 8);

	if (u32(n, 20) > 400 || u32(n, 16) > u32(n, 20) || (leaf && u32(n, 24) != (top ? 8 : value_size)) ||
	    (nr < u32(n, 16) && (!leaf || top || value_size == 16)))
		return false;
	for (uint32_t i = 0; i < nr && (!leaf || top || value_size == 16); i++) {
		if (maps) {
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
				     i < nr_values(at(o, b), 2048, 8); i++)
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

static uint64_t find_held(const struct older *o)
{
	for (uint32_t b = 1; b < o->pool->nr_blocks; b++)
		if (o->count[b] && is_a(o, b, CSUM_IS_SUPERBLOCK))
			return b;
	return 0;
}

/* The trees of the metadata snapshot. */
static bool walk_held(struct older *o)
{
	return !o->held || (add_ref(o, o->held) && walk(o, u64(at(o, o->held), 320), 0, 0) && walk(o, u64(at(o, o->held), 328), 24, 0));
}

/* The root of the live details: not the snapshot's, unless both have it. */
static uint64_t details_root(const struct older *o)
{
	return o->nr_roots[24] == 2 && o->root[24][0] == u64(at(o, o->held), 328) ? o->root[24][1] : o->root[24][0];
}

/* Is the state of index block @index whole, with the top level @top?  @sb: gets its roots. */
static bool try_top(struct older *o, uint32_t index, uint64_t top, uint8_t *sb)
{
	const uint64_t root[] = { o->root[16][0], o->root[4][0], index, o->root[4][1], top, details_root(o) };
	static const int place[] = { 80, 88, 208, 216, 320, 328 };

	if (!read_counts(o, index) || !walk_held(o) || !walk(o, top, 0, 0) || !walk(o, root[5], 24, 0) ||
	    !walk(o, root[0], 16, 0) || !walk(o, root[1], 4, 0) || !walk(o, root[3], 4, 0) ||
	    !counts_match(o) ||
	    o->nr_data_bitmaps * BITMAP_ENTRIES < o->pool->nr_data_blocks)
		return false;
	memcpy(sb + 56, &o->held, 8);
	for (int i = 0; i < 6; i++)
		memcpy(sb + place[i], &root[i], 8);
	return true;
}

static bool try_index(struct older *o, uint32_t index, uint8_t *is_child, uint8_t *sb)
{
	if (!is_a(o, index, CSUM_IS_INDEX) || !read_counts(o, index))
		return false;
	o->held = find_held(o);
	find_roots(o, is_child);
	if (o->nr_roots[24] < 1 || o->nr_roots[24] > 1 + (o->held != 0) || o->nr_roots[16] != 1 || o->nr_roots[4] != 2)
		return false;
	for (uint32_t b = 1; b < o->pool->nr_blocks; b++)
		if ((o->count[b] == 1 || (o->held && b == u64(at(o, o->held), 320))) && !is_child[b] && is_a(o, b, CSUM_IS_NODE) &&
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
	return k == p->nr_maps && !p->no_tree;
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

/* --- a damaged image that is a healthy pool of its own --- */

/* What the data map counts, up to three, of the bitmaps below @b. */
static void add_data_counts(const struct pool *p, uint64_t b, uint8_t *count)
{
	const uint8_t *n = p->image + b * 4096;

	for (uint32_t i = 0; i < u32(n, 16); i++) {
		uint64_t at = u64(n, 32 + 8 * (size_t)i) * BITMAP_ENTRIES;
		const uint8_t *map;

		if (u32(n, 4) & 1) {
			add_data_counts(p, u64(n, 2048 + 8 * (size_t)i), count);
			continue;
		}
		map = p->image + u64(n, 1376 + 16 * (size_t)i) * 4096;
		for (uint32_t k = 0; k < BITMAP_ENTRIES && at < p->nr_data_blocks; k++, at++) {
			unsigned pair = map[16 + k / 4] >> 2 * (k % 4) & 3;

			count[at] = (uint8_t)((pair & 1) << 1 | pair >> 1);
		}
	}
}

/* Has each data block as many mappings, of distinct leaves, as the data map counts, and the superblock? */
static bool data_counts_match(const struct pool *p)
{
	uint8_t *count = calloc(p->nr_data_blocks + 1, 1), *refs = calloc(p->nr_data_blocks + 1, 1);
	uint32_t *owner = calloc(p->nr_blocks, sizeof(*owner));
	uint64_t used = 0;
	bool same = count && refs && owner;

	if (same)
		add_data_counts(p, u64(p->image, 80), count);
	for (size_t i = 0; i < p->nr_maps && same; i++) {
		const struct mapped *m = &p->map[i];

		owner[m->leaf] = owner[m->leaf] ? owner[m->leaf] : m->dev + 1;
		same = m->value >> 24 < p->nr_data_blocks;
		if (same && owner[m->leaf] == m->dev + 1)
			refs[m->value >> 24] += refs[m->value >> 24] < 3;
	}
	for (uint64_t b = 0; b < p->nr_data_blocks && same; b++)
		used += count[b] > 0;
	same = same && !memcmp(count, refs, p->nr_data_blocks) && used == u64(p->image, 72);
	free(count);
	free(refs);
	free(owner);
	return same;
}

/* Is none of the devices younger than the superblock?  *newest: their latest time. */
static bool times_fit(const struct pool *p, uint32_t *newest)
{
	*newest = 0;
	for (size_t i = 0; i < p->nr_details; i++) {
		*newest = p->details[i].snapped > *newest ? p->details[i].snapped : *newest;
		if (p->details[i].transaction > p->transaction)
			return false;
	}
	return *newest <= p->time;
}

/* Do the details in @n know of a later snapshot than @newest of one of the devices, not after the superblock? */
static bool is_newer(const struct pool *p, const uint8_t *n, uint32_t newest)
{
	for (uint32_t i = 0; i < u32(n, 16) && i < 126; i++) {
		uint32_t created = u32(n, 1056 + 24 * (size_t)i), snapped = u32(n, 1060 + 24 * (size_t)i);

		for (size_t k = 0; k < p->nr_details; k++)
			if (p->details[k].dev == u64(n, 32 + 8 * (size_t)i) &&
			    p->details[k].created == created && snapped > newest &&
			    snapped <= p->time)
				return true;
	}
	return false;
}

static bool has_newer_details(const struct pool *p, uint32_t newest)
{
	for (uint32_t b = 1; b < p->nr_blocks; b++) {
		const uint8_t *n = p->image + (size_t)b * 4096;

		if (csum_classify(n, NULL) == CSUM_IS_NODE && u32(n, 24) == 24 && is_newer(p, n, newest))
			return true;
	}
	return false;
}

bool other_itself(const struct pool *p, uint8_t *image,
		  bool (*same)(const struct pool *, const struct pool *))
{
	struct pool is = { .image = image,
			   .nr_blocks = p->nr_blocks,
			   .nr_data_blocks = u64(image, 64) };
	struct older o = { .pool = &is,
			   .count = calloc(p->nr_blocks, 1),
			   .refs = calloc(p->nr_blocks, 1) };
	uint8_t *is_child = calloc(p->nr_blocks, 1), sb[4096];
	uint64_t index = u64(image, 208), used = 0;
	bool found = o.count && o.refs && is_child && csum_classify(image, NULL) == CSUM_IS_SUPERBLOCK &&
		     is.nr_data_blocks && is.nr_data_blocks <= p->nr_data_blocks && index < p->nr_blocks;

	memcpy(sb, image, sizeof(sb));
	found = found && try_index(&o, (uint32_t)index, is_child, sb);
	if (u64(sb, 88) != u64(image, 88)) { /* nothing in the nodes tells whose counts are whose */
		uint64_t root = u64(sb, 88);

		memcpy(sb + 88, sb + 216, 8);
		memcpy(sb + 216, &root, 8);
	}
	found = found && !memcmp(sb, image, sizeof(sb));
	for (uint32_t b = 0; b < p->nr_blocks && found; b++)
		used += o.count[b] > 0;
	found = found && used == u64(image, 200);
	if (found) {
		uint32_t newest;

		pool_take(&is, image, p->nr_blocks);
		found = is_healthy(&is) && data_counts_match(&is) && times_fit(&is, &newest) &&
			!has_newer_details(&is, newest) && !same(&is, p);
		pool_free(&is);
	}
	free(o.count);
	free(o.refs);
	free(is_child);
	return found;
}
