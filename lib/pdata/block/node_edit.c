/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "pdata/block/node_edit.h"

#include "base/search.h"

#define SPREAD_MAX 3

static void set_nr(struct disk_node *n, uint32_t nr)
{
	n->h.nr_entries = le32_make(nr);
}

int ne_search(const struct disk_node *n, uint64_t key)
{
	return (int)search_first(i, ne_nr(n), ne_key(n, i) > key) - 1;
}

void ne_insert(struct disk_node *n, uint32_t i, uint64_t key, const void *value)
{
	uint32_t nr = ne_nr(n), size = ne_value_size(n);

	memmove(&n->keys[i + 1], &n->keys[i], (nr - i) * sizeof(n->keys[0]));
	memmove(ne_value_mut(n, i + 1), ne_value(n, i), (size_t)(nr - i) * size);
	n->keys[i] = le64_make(key);
	memcpy(ne_value_mut(n, i), value, size);
	set_nr(n, nr + 1);
}

void ne_remove(struct disk_node *n, uint32_t i, uint32_t nr)
{
	uint32_t left = ne_nr(n) - nr, size = ne_value_size(n);

	memmove(&n->keys[i], &n->keys[i + nr], (left - i) * sizeof(n->keys[0]));
	memmove(ne_value_mut(n, i), ne_value(n, i + nr), (size_t)(left - i) * size);
	memset(&n->keys[left], 0, nr * sizeof(n->keys[0]));
	memset(ne_value_mut(n, left), 0, (size_t)nr * size);
	set_nr(n, left);
}

void ne_spread(struct disk_node *const *nodes, unsigned nr, const uint32_t *want)
{
	uint8_t values[SPREAD_MAX * MBLOCK_SIZE];
	le64 keys[SPREAD_MAX * INTERNAL_MAX * 2]; /* a leaf of 4-byte values has 336 */
	uint32_t size = ne_value_size(nodes[0]), total = 0, at = 0;

	static_assert(NODE_MAX_ENTRIES(4) <= INTERNAL_MAX * 2, "room for the keys of any leaf");
	for (unsigned k = 0; k < nr; k++) {
		uint32_t n = ne_nr(nodes[k]);

		memcpy(&keys[total], nodes[k]->keys, n * sizeof(keys[0]));
		memcpy(&values[(size_t)total * size], ne_value(nodes[k], 0), (size_t)n * size);
		total += n;
	}
	for (unsigned k = 0; k < nr; k++) {
		struct disk_node *n = nodes[k];
		uint32_t max = ne_max(n);

		memset(n->keys, 0, MBLOCK_SIZE - sizeof(n->h));
		memcpy(n->keys, &keys[at], MIN(want[k], max) * sizeof(keys[0]));
		memcpy(ne_value_mut(n, 0), &values[(size_t)at * size],
		       (size_t)MIN(want[k], max) * size);
		set_nr(n, MIN(want[k], max));
		at += want[k];
	}
}
