/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PDATA_UMAP_H
#define PDATA_UMAP_H
/*
 * A hash map from u64 to u64 (block numbers to whatever is kept about them), open
 * addressing, at most three quarters full: 22 to 43 bytes an entry.  Keys up to UINT64_MAX - 1.
 * Threads: one at a time.
 */
#include "base/units.h"

struct umap_slot {
	uint64_t key1; /* key + 1; 0: empty */
	uint64_t value;
};

struct umap {
	struct umap_slot *slot;
	size_t nr, cap; /* cap: a power of two or 0 */
};

void umap_init(struct umap *m);
void umap_fini(struct umap *m);
/* Forgets all entries and gives the memory back. */
void umap_clear(struct umap *m);
/* 0 or -ENOMEM; replaces. */
int umap_put(struct umap *m, uint64_t key, uint64_t value);
/* Valid until the next put or del; NULL: no such key. */
uint64_t *umap_get(const struct umap *m, uint64_t key);
void umap_del(struct umap *m, uint64_t key);

/* All keys, ascending, in new memory (free()); NULL: no memory, or no entries. */
uint64_t *umap_keys(const struct umap *m);

/* for (size_t i = 0; (i = umap_next(m, i, &key, &value)); ) visits all, in no order. */
size_t umap_next(const struct umap *m, size_t i, uint64_t *key, uint64_t *value);

#endif
