/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Reads leaves once more, mended: those of mappings in the order of the device, those of other trees one by one. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/overflow.h"
#include "pool/salvage/graph/graph.h"

struct reading {
	struct graph *graph;
	const uint32_t *node;
	graph_leaf_fn *fn;
	void *ctx;
};

static int by_place(const void *pa, const void *pb, void *ctx)
{
	const struct graph *g = ctx;

	return ORDER(graph_where(g, g->node[*(const uint32_t *)pa].block),
		     graph_where(g, g->node[*(const uint32_t *)pb].block));
}

static int open_leaf(void *ctx, unsigned worker, size_t i, mblock_t at, const void *data, int status)
{
	const struct reading *r = ctx;
	uint8_t mended[MBLOCK_SIZE];
	struct view v;

	(void)worker;
	if (status < 0)
		return 0;
	if (r->graph->mends.nr) {
		memcpy(mended, data, MBLOCK_SIZE);
		graph_apply_mends(r->graph, (uint32_t)at, mended);
		data = mended;
	}
	if (view_open(&v, data) && v.leaf && v.value_size == 8)
		r->fn(r->ctx, r->node[i], &v);
	return 0;
}

int graph_read_leaves(struct graph *g, struct vec *list, graph_leaf_fn *fn, void *ctx,
		      struct err *err)
{
	CLEANUP(free_ptr) mblock_t *at = malloc((list->nr + 1) * sizeof(*at));
	struct reading r = { g, list->data, fn, ctx };

	if (!at)
		return err_nomem(err, "salvage: leaves");
	if (!list->nr)
		return 0;
	qsort_r(list->data, list->nr, sizeof(uint32_t), by_place, g);
	for (size_t i = 0; i < list->nr; i++)
		at[i] = graph_where(g, g->node[r.node[i]].block);
	return stream_read(&g->stream, at, list->nr, open_leaf, &r, err);
}

struct search {
	const struct graph *g;
	uint32_t value_size;
	graph_view_fn *fn;
	void *ctx;
	struct err *err;
	uint8_t buf[MBLOCK_SIZE] BLOCK_ALIGNED;
};

static int search_leaves(struct search *s, uint32_t node, unsigned depth)
{
	const struct snode *n = &s->g->node[node];
	struct view v;
	int r = 0;

	if (n->flags & SN_LEAF) {
		r = graph_get(s->g, n->block, s->buf, s->err);
		return r < 0 || !view_open(&v, s->buf) || v.value_size != s->value_size ? r : s->fn(s->ctx, &v);
	}
	for (uint32_t k = 0; k < n->nr_edges && !r && depth < BTREE_MAX_DEPTH; k++)
		if (graph_child(s->g, n, k) != NONE)
			r = search_leaves(s, graph_child(s->g, n, k), depth + 1);
	return r;
}

int graph_each_leaf(const struct graph *g, uint32_t node, uint32_t value_size, graph_view_fn *fn, void *ctx,
		    struct err *err)
{
	struct search s = { .g = g, .value_size = value_size, .fn = fn, .ctx = ctx, .err = err };

	return search_leaves(&s, node, 0);
}

struct index_call {
	const struct sm_root *map;
	graph_bitmap_fn *fn;
	void *ctx;
};

static int call_for_entries(void *ctx, const struct view *v)
{
	const struct index_call *c = ctx;

	for (uint32_t i = 0; i < v->nr; i++)
		c->fn(c->ctx, &(struct bitmap_entry){ c->map, view_key(v, i), view_value(v, i),
						      view_u32(v, i, offsetof(struct disk_index_entry, nr_free)) });
	return 0;
}

int graph_each_in_index_tree(const struct graph *g, const struct sm_root *map, uint32_t node, graph_bitmap_fn *fn, void *ctx)
{
	struct index_call c = { map, fn, ctx };

	return graph_each_leaf(g, node, sizeof(struct disk_index_entry), call_for_entries, &c, NULL);
}

/* The kernel leaves the other entries zero. */
static uint32_t nr_named(const struct graph *g, const struct disk_index *index)
{
	uint32_t nr = (uint32_t)div_up(g->nr_blocks, ENTRIES_PER_BITMAP);

	while (nr > 1 && !le64_get(index->entry[nr - 1].blocknr))
		nr--;
	return nr;
}

uint32_t graph_nr_bitmaps(const struct graph *g, uint64_t index)
{
	struct disk_index d BLOCK_ALIGNED;

	return graph_get_kind(g, index, BLOCK_INDEX, &d) ? nr_named(g, &d) : 0;
}

bool graph_each_in_index(const struct graph *g, const struct sm_root *map, graph_bitmap_fn *fn, void *ctx)
{
	struct disk_index index BLOCK_ALIGNED;
	uint32_t nr;

	if (!graph_get_kind(g, map->bitmap_root, BLOCK_INDEX, &index))
		return false;
	nr = nr_named(g, &index);
	for (uint32_t i = 0; i < nr; i++)
		fn(ctx, &(struct bitmap_entry){ map, i, le64_get(index.entry[i].blocknr), le32_get(index.entry[i].nr_free) });
	return true;
}
