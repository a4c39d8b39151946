/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef BASE_UMAP_H
#define BASE_UMAP_H
/*
 * The hash table: from any u64 to a u64 other than 0.  Keys are block numbers, device ids, names;
 * values are a count, an index plus one, or a pointer.
 *
 * Open addressing, at most three quarters full: 22 to 43 bytes an entry.  An empty map holds no
 * memory, so { 0 } is one and umap_init() is optional.
 * Threads: one at a time; several may read while nobody changes it.
 */
#include "base/units.h"

struct umap_slot {
	uint64_t key;
	uint64_t value; /* 0: the slot is empty */
};

struct umap {
	struct umap_slot *slot;
	size_t nr, cap; /* entries, slots (a power of two, or 0) */
	unsigned shift; /* 64 - log2(cap) */
};

void umap_init(struct umap *m);
/* Forgets all entries and gives the memory back; the map is empty and can be used again. */
void umap_fini(struct umap *m);

/* Adds @key, or replaces its value.  @value must not be 0.  0 or -ENOMEM. */
int umap_put(struct umap *m, uint64_t key, uint64_t value);
/* The value of @key, or 0 when there is none. */
uint64_t umap_get(const struct umap *m, uint64_t key);
/* The same where the values are pointers. */
static inline void *umap_get_ptr(const struct umap *m, uint64_t key)
{
	return (void *)(uintptr_t)umap_get(m, key);
}
/* Removes @key if it is there. */
void umap_del(struct umap *m, uint64_t key);

/* All keys, ascending, in memory that the caller frees.  NULL: no memory, or no entries. */
uint64_t *umap_keys(const struct umap *m);

/*
 * for (size_t i = 0; (i = umap_next(m, i, &key, &value));) visits each entry once, in no order.
 * The map must not change meanwhile.
 */
size_t umap_next(const struct umap *m, size_t i, uint64_t *key, uint64_t *value);

#endif
