/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef DUMB_H
#define DUMB_H
/*
 * The dumbest possible reader of a pool's metadata in memory, which shares nothing with the
 * library: it decodes by byte offsets, visits every path, counts every edge in plain arrays,
 * and compares.  For small pools in tests.
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crc_slow.h"

struct dumb_mapping {
	uint32_t dev;
	uint64_t vblock, dblock;
	uint32_t time;
};

struct dumb_device {
	uint32_t dev;
	uint64_t mapped, transaction;
	uint32_t created, snapped;
	uint64_t root;
};

struct dumb {
	const uint8_t *img;
	uint64_t nr; /* metadata blocks */
	uint64_t nr_data;
	uint32_t time, block_size, flags;
	uint64_t transaction;
	uint32_t *meta_count, *data_count;
	struct dumb_mapping *map; /* by device, ascending */
	size_t nr_map, cap_map;
	struct dumb_device *dev;
	size_t nr_dev;
	uint64_t nr_underfull; /* nodes below a third that are no roots */
	uint64_t nr_used;      /* metadata blocks with a count */
	char why[300];
};

static inline uint64_t dumb_u64(const uint8_t *p)
{
	uint64_t v = 0;

	for (int i = 7; i >= 0; i--)
		v = v << 8 | p[i];
	return v;
}

static inline uint32_t dumb_u32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

__attribute__((format(printf, 2, 3))) static inline bool dumb_bad(struct dumb *d, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (!d->why[0])
		vsnprintf(d->why, sizeof(d->why), fmt, ap);
	va_end(ap);
	return false;
}

static inline const uint8_t *dumb_block(struct dumb *d, uint64_t b, uint32_t salt)
{
	const uint8_t *p = d->img + b * 4096;

	if (b >= d->nr || dumb_u64(p + 8) != b ||
	    dumb_u32(p) != (crc_slow(0xFFFFFFFF, p + 4, 4092) ^ salt)) {
		dumb_bad(d, "block %llu is not a good block of its kind", (unsigned long long)b);
		return NULL;
	}
	return p;
}

/*
 * Calls @leaf for each entry below @b in order; counts each node's edges once
 * (@count): below a node seen before nothing is counted again.
 */
struct dumb_walk {
	uint32_t value_size;
	bool (*leaf)(struct dumb *d, void *ctx, uint64_t key, const uint8_t *value, bool fresh);
	void *ctx;
	int leaf_depth;
	uint64_t next_key;
	bool any_key;
};

static inline bool dumb_node(struct dumb *d, struct dumb_walk *w, uint64_t b, int depth, bool fresh,
			     uint64_t low)
{
	const uint8_t *p = dumb_block(d, b, 121107);
	uint32_t flags, nr, max, vs, i;

	if (!p)
		return false;
	flags = dumb_u32(p + 4);
	nr = dumb_u32(p + 16);
	max = dumb_u32(p + 20);
	vs = dumb_u32(p + 24);
	fresh = fresh && d->meta_count[b]++ == 0;
	if (vs != (flags == 2 ? w->value_size : 8) || max != 4064 / (8 + vs) / 3 * 3 || nr > max ||
	    (flags != 1 && flags != 2) || depth > 10)
		return dumb_bad(d, "node %llu has a bad header", (unsigned long long)b);
	if (depth && nr < max / 3)
		d->nr_underfull++;
	for (i = 0; i < nr; i++) {
		uint64_t key = dumb_u64(p + 32 + i * 8);
		const uint8_t *v = p + 32 + max * 8 + i * vs;

		if (key < low)
			return dumb_bad(d, "node %llu has a key below its parent's", (unsigned long long)b);
		if (flags == 1) {
			if (!dumb_node(d, w, dumb_u64(v), depth + 1, fresh, key))
				return false;
			continue;
		}
		if (w->leaf_depth != -1 && w->leaf_depth != depth)
			return dumb_bad(d, "leaf %llu at another depth", (unsigned long long)b);
		w->leaf_depth = depth;
		if (w->any_key && key < w->next_key)
			return dumb_bad(d, "key %llu out of order", (unsigned long long)key);
		w->any_key = true;
		w->next_key = key + 1;
		if (!w->leaf(d, w->ctx, key, v, fresh))
			return false;
	}
	return true;
}

static inline bool dumb_tree(struct dumb *d, uint64_t root, uint32_t value_size,
			     bool (*leaf)(struct dumb *, void *, uint64_t, const uint8_t *, bool),
			     void *ctx)
{
	struct dumb_walk w = { .value_size = value_size, .leaf = leaf, .ctx = ctx, .leaf_depth = -1 };

	return dumb_node(d, &w, root, 0, true, 0);
}

static inline bool dumb_mapping_leaf(struct dumb *d, void *ctx, uint64_t key, const uint8_t *v,
				     bool fresh)
{
	uint64_t value = dumb_u64(v);

	if (d->nr_map == d->cap_map) {
		d->cap_map = d->cap_map ? d->cap_map * 2 : 1024;
		d->map = realloc(d->map, d->cap_map * sizeof(*d->map));
	}
	d->map[d->nr_map++] = (struct dumb_mapping){ *(uint32_t *)ctx, key, value >> 24,
						     (uint32_t)(value & 0xffffff) };
	if (value >> 24 >= d->nr_data)
		return dumb_bad(d, "data block out of range");
	if (fresh)
		d->data_count[value >> 24]++;
	return true;
}

static inline bool dumb_top_leaf(struct dumb *d, void *ctx, uint64_t key, const uint8_t *v, bool fresh)
{
	uint32_t dev = (uint32_t)key;
	size_t before = d->nr_map, i = *(size_t *)ctx;

	(void)fresh;
	if (i >= d->nr_dev || d->dev[i].dev != dev)
		return dumb_bad(d, "device %u has no details", dev);
	d->dev[i].root = dumb_u64(v);
	if (!dumb_tree(d, dumb_u64(v), 8, dumb_mapping_leaf, &dev))
		return false;
	if (d->dev[i].mapped != d->nr_map - before)
		return dumb_bad(d, "device %u says %llu mapped blocks", dev,
				(unsigned long long)d->dev[i].mapped);
	++*(size_t *)ctx;
	return true;
}

static inline bool dumb_details_leaf(struct dumb *d, void *ctx, uint64_t key, const uint8_t *v,
				     bool fresh)
{
	(void)ctx;
	(void)fresh;
	d->dev = realloc(d->dev, (d->nr_dev + 1) * sizeof(*d->dev));
	d->dev[d->nr_dev++] = (struct dumb_device){
		.dev = (uint32_t)key,
		.mapped = dumb_u64(v),
		.transaction = dumb_u64(v + 8),
		.created = dumb_u32(v + 16),
		.snapped = dumb_u32(v + 20),
	};
	return true;
}

/* A space map: stored counts, by block. */
struct dumb_map {
	uint64_t nr;
	uint32_t *count; /* 3: the count stands in the tree */
	uint64_t nr_index;
};

static inline bool dumb_index_entry(struct dumb *d, struct dumb_map *m, uint64_t i, const uint8_t *e)
{
	const uint8_t *p = dumb_block(d, dumb_u64(e), 240779);
	uint32_t used = 0, first_free = 0;
	bool any_free = false;

	if (!p)
		return false;
	d->meta_count[dumb_u64(e)]++;
	for (uint64_t k = 0; k < 16320; k++) {
		unsigned pair = p[16 + k / 4] >> 2 * (k % 4) & 3;
		unsigned count = (pair & 1) * 2 + (pair >> 1);

		if (i * 16320 + k >= m->nr) {
			if (pair)
				return dumb_bad(d, "a count beyond the end");
			continue;
		}
		m->count[i * 16320 + k] = count;
		used += count != 0;
		if (!count && !any_free) {
			any_free = true;
			first_free = (uint32_t)k;
		}
	}
	if (dumb_u32(e + 8) != 16320 - used || dumb_u32(e + 12) != first_free)
		return dumb_bad(d, "index entry %llu says %u free, first at %u", (unsigned long long)i,
				dumb_u32(e + 8), dumb_u32(e + 12));
	m->nr_index++;
	return true;
}

static inline bool dumb_index_leaf(struct dumb *d, void *ctx, uint64_t key, const uint8_t *v, bool fresh)
{
	struct dumb_map *m = ctx;

	(void)fresh;
	if (key != m->nr_index)
		return dumb_bad(d, "index entry %llu is missing", (unsigned long long)m->nr_index);
	return dumb_index_entry(d, m, key, v);
}

static inline bool dumb_overflow_leaf(struct dumb *d, void *ctx, uint64_t key, const uint8_t *v,
				      bool fresh)
{
	struct dumb_map *m = ctx;

	(void)fresh;
	if (key >= m->nr || m->count[key] != 3 || dumb_u32(v) < 3)
		return dumb_bad(d, "stray overflow entry %llu", (unsigned long long)key);
	m->count[key] = dumb_u32(v) | 0x80000000;
	return true;
}

static inline bool dumb_same(struct dumb *d, const char *what, struct dumb_map *m,
			     const uint32_t *counted, uint64_t nr_allocated, uint64_t *used)
{
	uint64_t n = 0;

	for (uint64_t b = 0; b < m->nr; b++) {
		if (m->count[b] == 3)
			return dumb_bad(d, "%s block %llu: 11 without overflow", what, (unsigned long long)b);
		if ((m->count[b] & 0x7fffffff) != counted[b])
			return dumb_bad(d, "%s block %llu: stored %u, counted %u", what,
					(unsigned long long)b, m->count[b] & 0x7fffffff, counted[b]);
		n += counted[b] != 0;
	}
	if (n != nr_allocated)
		return dumb_bad(d, "%s: nr_allocated %llu, counted %llu", what,
				(unsigned long long)nr_allocated, (unsigned long long)n);
	if (used)
		*used = n;
	return true;
}

/* Reads and compares everything.  false: d->why says what is wrong.  Release with dumb_fini(). */
static inline bool dumb_read(struct dumb *d, const void *img, uint64_t size)
{
	const uint8_t *sb, *index;
	struct dumb_map data = { 0 }, meta = { 0 };
	size_t i = 0;
	bool ok;

	*d = (struct dumb){ .img = img, .nr = size / 4096 };
	sb = dumb_block(d, 0, 160774);
	if (!sb || dumb_u64(sb + 32) != 27022010)
		return dumb_bad(d, "no superblock");
	d->flags = dumb_u32(sb + 4);
	d->time = dumb_u32(sb + 44);
	d->transaction = dumb_u64(sb + 48);
	d->block_size = dumb_u32(sb + 336);
	data.nr = d->nr_data = dumb_u64(sb + 64);
	meta.nr = dumb_u64(sb + 192);
	if (meta.nr != d->nr)
		return dumb_bad(d, "the metadata map has another size than the device");
	d->meta_count = calloc(d->nr + 1, 4);
	d->data_count = calloc(d->nr_data + 1, 4);
	data.count = calloc(data.nr + 1, 4);
	meta.count = calloc(meta.nr + 1, 4);
	d->meta_count[0] = 1;
	ok = dumb_tree(d, dumb_u64(sb + 328), 24, dumb_details_leaf, NULL) &&
	     dumb_tree(d, dumb_u64(sb + 320), 8, dumb_top_leaf, &i) &&
	     (i == d->nr_dev || dumb_bad(d, "more details than trees")) &&
	     dumb_tree(d, dumb_u64(sb + 64 + 16), 16, dumb_index_leaf, &data) &&
	     (data.nr_index == (data.nr + 16319) / 16320 || dumb_bad(d, "missing index entries")) &&
	     dumb_tree(d, dumb_u64(sb + 64 + 24), 4, dumb_overflow_leaf, &data);
	index = ok ? dumb_block(d, dumb_u64(sb + 192 + 16), 160478) : NULL;
	ok = ok && index;
	if (ok)
		d->meta_count[dumb_u64(sb + 192 + 16)]++;
	for (uint64_t k = 0; ok && k < (meta.nr + 16319) / 16320; k++)
		ok = dumb_index_entry(d, &meta, k, index + 16 + k * 16);
	ok = ok && dumb_tree(d, dumb_u64(sb + 192 + 24), 4, dumb_overflow_leaf, &meta) &&
	     dumb_same(d, "data", &data, d->data_count, dumb_u64(sb + 72), NULL) &&
	     dumb_same(d, "metadata", &meta, d->meta_count, dumb_u64(sb + 200), &d->nr_used);
	free(data.count);
	free(meta.count);
	return ok;
}

static inline void dumb_fini(struct dumb *d)
{
	free(d->meta_count);
	free(d->data_count);
	free(d->map);
	free(d->dev);
}

#endif
