/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "base/umap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SHIFT_FIRST 58 /* 64 slots */

/* The high bits of the product depend on all bits of the key. */
static size_t home(const struct umap *m, uint64_t key)
{
	return (size_t)((key ^ key >> 32) * UINT64_C(0x9E3779B97F4A7C15) >> m->shift);
}

void umap_init(struct umap *m)
{
	*m = (struct umap) { 0 };
}

void umap_fini(struct umap *m)
{
	free(m->slot);
	umap_init(m);
}

/* The slot of @key, or the empty one where it would go.  @m has at least one empty slot. */
static size_t find(const struct umap *m, uint64_t key)
{
	size_t i = home(m, key);

	while (m->slot[i].value && m->slot[i].key != key)
		i = (i + 1) & (m->cap - 1);
	return i;
}

static int grow(struct umap *m)
{
	unsigned shift = m->cap ? m->shift - 1 : SHIFT_FIRST;
	struct umap bigger = { .cap = (size_t)1 << (64 - shift), .shift = shift, .nr = m->nr };

	bigger.slot = calloc(bigger.cap, sizeof(*bigger.slot));
	if (!bigger.slot)
		return -ENOMEM;
	for (size_t i = 0; i < m->cap; i++)
		if (m->slot[i].value)
			bigger.slot[find(&bigger, m->slot[i].key)] = m->slot[i];
	free(m->slot);
	*m = bigger;
	return 0;
}

int umap_put(struct umap *m, uint64_t key, uint64_t value)
{
	size_t i;

	if ((m->nr + 1) * 4 > m->cap * 3 && grow(m))
		return -ENOMEM;
	i = find(m, key);
	if (!m->slot[i].value)
		m->nr++;
	m->slot[i] = (struct umap_slot) { key, value };
	return 0;
}

uint64_t umap_get(const struct umap *m, uint64_t key)
{
	return m->nr ? m->slot[find(m, key)].value : 0;
}

/* Moves later entries into the gap: every probe chain stays whole, and no tombstones are needed. */
void umap_del(struct umap *m, uint64_t key)
{
	size_t mask = m->cap - 1, gap, i;

	if (!m->nr)
		return;
	gap = find(m, key);
	if (!m->slot[gap].value)
		return;
	for (i = (gap + 1) & mask; m->slot[i].value; i = (i + 1) & mask) {
		size_t h = home(m, m->slot[i].key);

		/* An entry whose home lies after the gap must stay behind it. */
		if (((i - h) & mask) < ((i - gap) & mask))
			continue;
		m->slot[gap] = m->slot[i];
		gap = i;
	}
	m->slot[gap].value = 0;
	m->nr--;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

uint64_t *umap_keys(const struct umap *m)
{
	uint64_t *keys, value;
	size_t n = 0;

	if (!m->nr)
		return NULL;
	keys = malloc(m->nr * sizeof(*keys));
	if (!keys)
		return NULL;
	for (size_t i = 0; n < m->nr && (i = umap_next(m, i, &keys[n], &value));)
		n++;
	qsort(keys, n, sizeof(*keys), by_value);
	return keys;
}

size_t umap_next(const struct umap *m, size_t i, uint64_t *key, uint64_t *value)
{
	for (; i < m->cap; i++) {
		if (!m->slot[i].value)
			continue;
		*key = m->slot[i].key;
		*value = m->slot[i].value;
		return i + 1;
	}
	return 0;
}
