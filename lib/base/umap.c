/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/umap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CAP_MIN 64

static size_t home(const struct umap *m, uint64_t key1)
{
	return (size_t)((key1 * UINT64_C(0x9E3779B97F4A7C15)) >> 20) & (m->cap - 1);
}

void umap_init(struct umap *m)
{
	*m = (struct umap){ 0 };
}

void umap_fini(struct umap *m)
{
	free(m->slot);
	*m = (struct umap){ 0 };
}

void umap_clear(struct umap *m)
{
	umap_fini(m);
}

/* The slot of @key1, or the empty one where it would go.  @m has at least one empty slot. */
static size_t find(const struct umap *m, uint64_t key1)
{
	size_t i = home(m, key1);

	while (m->slot[i].key1 && m->slot[i].key1 != key1)
		i = (i + 1) & (m->cap - 1);
	return i;
}

static int grow(struct umap *m)
{
	struct umap bigger = { .cap = m->cap ? m->cap * 2 : CAP_MIN, .nr = m->nr };

	bigger.slot = calloc(bigger.cap, sizeof(*bigger.slot));
	if (!bigger.slot)
		return -ENOMEM;
	for (size_t i = 0; i < m->cap; i++)
		if (m->slot[i].key1)
			bigger.slot[find(&bigger, m->slot[i].key1)] = m->slot[i];
	free(m->slot);
	*m = bigger;
	return 0;
}

int umap_put(struct umap *m, uint64_t key, uint64_t value)
{
	size_t i;

	if ((m->nr + 1) * 4 > m->cap * 3 && grow(m))
		return -ENOMEM;
	i = find(m, key + 1);
	if (!m->slot[i].key1)
		m->nr++;
	m->slot[i] = (struct umap_slot){ key + 1, value };
	return 0;
}

uint64_t *umap_get(const struct umap *m, uint64_t key)
{
	size_t i;

	if (!m->nr)
		return NULL;
	i = find(m, key + 1);
	return m->slot[i].key1 ? &m->slot[i].value : NULL;
}

/* Closes the gap, so that no probe chain is cut and no tombstones pile up. */
void umap_del(struct umap *m, uint64_t key)
{
	size_t mask = m->cap - 1, gap, i;

	if (!m->nr)
		return;
	gap = find(m, key + 1);
	if (!m->slot[gap].key1)
		return;
	for (i = (gap + 1) & mask; m->slot[i].key1; i = (i + 1) & mask) {
		size_t h = home(m, m->slot[i].key1);

		/* May the entry at i move to the gap?  Not when its home lies after the gap. */
		if (((i - h) & mask) < ((i - gap) & mask))
			continue;
		m->slot[gap] = m->slot[i];
		gap = i;
	}
	m->slot[gap].key1 = 0;
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
		if (!m->slot[i].key1)
			continue;
		*key = m->slot[i].key1 - 1;
		*value = m->slot[i].value;
		return i + 1;
	}
	return 0;
}
