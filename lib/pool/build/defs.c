/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "base/search.h"
#include "base/vec.h"
#include "pool/build/defs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK ((uint32_t)1 << DEFS_CHUNK_SHIFT)
#define CHUNK_OF(i) ((i) >> DEFS_CHUNK_SHIFT)
#define IN_CHUNK(i) ((i) & (CHUNK - 1))

void build_defs_fini(struct build_defs *d)
{
	for (size_t i = 0; i < d->cap_leaf_chunks; i++) {
		free(d->leaf_key[i]);
		free(d->leaf_nr[i]);
	}
	for (size_t i = 0; i < d->cap_def_chunks; i++)
		free(d->def[i]);
	free(d->leaf_key);
	free(d->leaf_nr);
	free(d->def);
	umap_fini(&d->by_name);
	free(d->span);
	*d = (struct build_defs){ 0 };
}

/* Doubles the table of chunks at *table; new places are NULL. */
static int grow_table(void *table, size_t cap, size_t new_cap)
{
	void **old = *(void ***)table, **t;

	t = reallocarray(old, new_cap, sizeof(*t));
	if (!t)
		return -ENOMEM;
	memset(t + cap, 0, (new_cap - cap) * sizeof(*t));
	*(void ***)table = t;
	return 0;
}

static int def_chunk(struct build_defs *d)
{
	size_t cap = d->cap_def_chunks ? d->cap_def_chunks * 2 : 16;

	if (CHUNK_OF(d->nr_defs) >= d->cap_def_chunks) {
		if (grow_table(&d->def, d->cap_def_chunks, cap) < 0)
			return -ENOMEM;
		d->cap_def_chunks = cap;
	}
	if (!d->def[CHUNK_OF(d->nr_defs)])
		d->def[CHUNK_OF(d->nr_defs)] = calloc(CHUNK, sizeof(struct build_def));
	return d->def[CHUNK_OF(d->nr_defs)] ? 0 : -ENOMEM;
}

static int leaf_chunk(struct build_defs *d)
{
	size_t cap = d->cap_leaf_chunks ? d->cap_leaf_chunks * 2 : 16, c = CHUNK_OF(d->nr_leaves);

	if (c >= d->cap_leaf_chunks) {
		if (grow_table(&d->leaf_key, d->cap_leaf_chunks, cap) < 0 ||
		    grow_table(&d->leaf_nr, d->cap_leaf_chunks, cap) < 0)
			return -ENOMEM;
		d->cap_leaf_chunks = cap;
	}
	if (!d->leaf_key[c])
		d->leaf_key[c] = malloc(CHUNK * sizeof(uint64_t));
	if (!d->leaf_nr[c])
		d->leaf_nr[c] = malloc(CHUNK);
	return d->leaf_key[c] && d->leaf_nr[c] ? 0 : -ENOMEM;
}

static struct build_def *def_at(const struct build_defs *d, uint32_t i)
{
	return &d->def[CHUNK_OF(i)][IN_CHUNK(i)];
}

int build_defs_begin(struct build_defs *d, uint64_t name)
{
	if (umap_get(&d->by_name, name))
		return -EEXIST;
	if (d->nr_defs == UINT32_MAX - 1 || def_chunk(d) < 0 ||
	    umap_put(&d->by_name, name, d->nr_defs + 1) < 0)
		return -ENOMEM;
	*def_at(d, d->nr_defs++) = (struct build_def){ .first_leaf = d->nr_leaves };
	return 0;
}

int build_defs_add_leaf(struct build_defs *d, uint64_t first_key, uint32_t nr, mblock_t at)
{
	struct leaf_span *s = d->nr_spans ? &d->span[d->nr_spans - 1] : NULL;
	uint32_t i = d->nr_leaves;

	if (i == UINT32_MAX || leaf_chunk(d) < 0)
		return -ENOMEM;
	if (!s || at - s->at != i - s->first_leaf) {
		s = vec_add(d->span, d->nr_spans, d->cap_spans);
		if (!s)
			return -ENOMEM;
		*s = (struct leaf_span){ .first_leaf = i, .at = at };
	}
	d->leaf_key[CHUNK_OF(i)][IN_CHUNK(i)] = first_key;
	d->leaf_nr[CHUNK_OF(i)][IN_CHUNK(i)] = (uint8_t)(nr - 1);
	d->nr_leaves++;
	return 0;
}

void build_defs_end(struct build_defs *d, uint64_t last_key, uint32_t newest)
{
	def_at(d, d->nr_defs - 1)->last_key = last_key;
	def_at(d, d->nr_defs - 1)->newest = newest;
}

const struct build_def *build_defs_find(const struct build_defs *d, uint64_t name, uint32_t *begin,
					uint32_t *end)
{
	uint32_t i = (uint32_t)umap_get(&d->by_name, name);

	if (!i)
		return NULL;
	*begin = def_at(d, i - 1)->first_leaf;
	*end = i == d->nr_defs ? d->nr_leaves : def_at(d, i)->first_leaf;
	return def_at(d, i - 1);
}

struct shared_leaf build_defs_leaf(const struct build_defs *d, uint32_t leaf)
{
	/* the last span that begins at or before the leaf */
	size_t after = search_first(i, d->nr_spans, d->span[i].first_leaf > leaf);
	const struct leaf_span *s = &d->span[after ? after - 1 : 0];

	return (struct shared_leaf){
		.first_key = d->leaf_key[CHUNK_OF(leaf)][IN_CHUNK(leaf)],
		.at = s->at + (leaf - s->first_leaf),
		.nr = d->leaf_nr[CHUNK_OF(leaf)][IN_CHUNK(leaf)] + 1u,
	};
}

uint32_t build_defs_leaf_at(const struct build_defs *d, mblock_t at)
{
	/* the last span that begins at or before the block */
	size_t after = search_first(i, d->nr_spans, d->span[i].at > at);
	const struct leaf_span *s = &d->span[after ? after - 1 : 0];

	return s->first_leaf + (uint32_t)(at - s->at);
}
