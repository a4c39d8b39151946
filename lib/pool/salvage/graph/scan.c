/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Reading and classifying.  Why this is not btree_walk: blocks are read here before it is known
 * what they are and which device has them, a block in the wrong place is used as the block whose
 * number it carries, and a bad checksum does not end the search.  On a whole pool it reads level by
 * level like the walker, so that nothing but the trees is read.
 *
 * Workers note what they see in lists of their own, which are joined and sorted by
 * block when a load is done.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/zero.h"
#include "pool/salvage/graph/graph.h"

/* What one worker saw. */
struct sight {
	struct vec nodes, edges, mends, strays;
	uint64_t mapped_sum;
};

struct loader {
	struct graph *graph;
	struct sight *sight;
};

/*
 * Is this leaf of 8-byte values one of the top level?  Its keys are device ids and its values
 * small; a mapping below 2^24 names data block 0, of which a leaf has at most one.
 */
static bool points_to_blocks(const struct graph *g, const struct view *v)
{
	uint32_t small = 0;

	for (uint32_t i = 0; i < v->nr; i++) {
		uint64_t value = view_value(v, i);

		small += view_key(v, i) <= MAX_DEV_ID && value && value < MAX_METADATA_BLOCKS;
	}
	if (v->nr == 1)
		return small && view_value(v, 0) < g->nr_blocks;
	return small >= 2 && small * 2 > v->nr;
}

static enum tree leaf_tree(const struct graph *g, const struct view *v)
{
	switch (v->value_size) {
	case 24:
		return TREE_DETAILS;
	case 16:
		return TREE_INDEX;
	case 4:
		return TREE_OVERFLOW;
	}
	if (!v->nr)
		return TREE_EMPTY;
	return points_to_blocks(g, v) ? TREE_TOP : TREE_MAPPING;
}

static void sum_leaf(struct sight *g, const struct view *v, struct snode *n)
{
	struct run run[INTERNAL_MAX];
	uint64_t kept = v->nr, sum = 0;
	uint32_t nr;

	if (v->unsorted) {
		nr = view_runs(v, UINT64_MAX, run);
		kept = 0;
		for (uint32_t i = 0; i < nr; i++)
			kept += run[i].len;
		n->first = nr ? run[0].vbegin : 0;
		n->last = nr ? run[nr - 1].vbegin + run[nr - 1].len - 1 : 0;
	}
	n->min_time = UINT32_MAX;
	for (uint32_t i = 0; i < v->nr; i++) {
		uint64_t value = view_value(v, i);

		n->min_time = MIN(n->min_time, mapping_time(value));
		n->max_time = MAX(n->max_time, mapping_time(value));
		n->max_data = MAX(n->max_data, mapping_block(value));
		sum += data_mark(mapping_block(value));
	}
	g->mapped_sum += sum;
	n->nr_mappings = kept;
	n->nr_bad = (uint16_t)(v->nr - kept);
}

static int note_edges(const struct graph *graph, struct sight *g, const struct view *v,
		      struct snode *n)
{
	struct edge *e;

	n->edge = (uint32_t)g->edges.nr;
	n->nr_edges = v->nr;
	for (uint32_t i = 0; i < v->nr; i++) {
		const uint64_t value = view_value(v, i);
		const uint32_t block = value < graph->nr_blocks ? (uint32_t)value : NONE;

		if (vec_put(&g->edges, (struct edge){ view_key(v, i), block, NONE }))
			return -ENOMEM;
	}
	if (v->unsorted) {
		e = (struct edge *)g->edges.data + n->edge;
		qsort(e, v->nr, sizeof(*e), order_u64); /* by key */
		n->first = e[0].key;
		n->last = e[v->nr - 1].key;
	}
	return 0;
}

static int note_node(const struct graph *graph, struct sight *g, uint32_t block, const void *data,
		     bool mended)
{
	struct snode *n;
	struct view v;

	if (!view_open(&v, data))
		return 1;
	n = vec_push(&g->nodes, sizeof(*n));
	if (!n)
		return -ENOMEM;
	*n = (struct snode){ .block = block, .nr = (uint16_t)v.nr };
	n->flags = (v.leaf ? SN_LEAF : 0) | (v.unsorted ? SN_UNSORTED : 0) |
		   (v.mended || mended ? SN_MENDED : 0);
	if (v.nr) {
		n->first = view_key(&v, 0);
		n->last = view_key(&v, v.nr - 1);
	}
	if (v.leaf) {
		n->tree = (uint8_t)leaf_tree(graph, &v);
		if (n->tree == TREE_MAPPING)
			sum_leaf(g, &v, n);
	}
	return !v.leaf || n->tree == TREE_TOP ? note_edges(graph, g, &v, n) : 0;
}

enum block_kind graph_kind_of(const void *data)
{
	static const uint8_t kind[] = {
		[CSUM_NONE] = BLOCK_JUNK,	 [CSUM_FOREIGN] = BLOCK_JUNK, [CSUM_IS_SUPERBLOCK] = BLOCK_SUPER,
		[CSUM_IS_NODE] = BLOCK_NODE, [CSUM_IS_BITMAP] = BLOCK_BITMAP, [CSUM_IS_INDEX] = BLOCK_INDEX,
	};

	return kind[csum_classify(data, NULL)];
}

static int look(void *ctx, unsigned worker, size_t i, mblock_t at, const void *data, int status)
{
	const struct loader *l = ctx;
	struct sight *g = &l->sight[worker];
	struct graph *graph = l->graph;
	enum block_kind kind;
	uint8_t buf[MBLOCK_SIZE] BLOCK_ALIGNED;
	bool mended = false;
	int r;

	(void)i;
	if (status < 0) {
		graph->kind[at] = BLOCK_IO_ERROR;
		return 0;
	}
	if (at && at == graph->refused) {
		graph->kind[at] = BLOCK_REFUSED;
		return 0;
	}
	kind = graph_kind_of(data);
	if (kind == BLOCK_JUNK && all_zero(data, MBLOCK_SIZE)) {
		graph->kind[at] = BLOCK_ZERO;
		return 0;
	}
	if (kind == BLOCK_JUNK) {
		struct mend m;

		memcpy(buf, data, MBLOCK_SIZE);
		if (mend_block(graph, buf, (uint32_t)at, &m)) {
			if (vec_put(&g->mends, m))
				return -ENOMEM;
			data = buf;
			kind = graph_kind_of(data);
			mended = true;
		}
	}
	if (kind != BLOCK_JUNK && block_own_nr(data) != at) {
		const uint64_t own = block_own_nr(data);
		const struct stray st = { .at = (uint32_t)at, .own = own < graph->nr_blocks ? (uint32_t)own : NONE,
					  .kind = (uint8_t)kind };

		graph->kind[at] = BLOCK_STRAY;
		return vec_put(&g->strays, st);
	}
	if (!at && kind != BLOCK_SUPER)
		kind = BLOCK_JUNK; /* whatever it is, it is not part of the pool there */
	if (kind == BLOCK_NODE) {
		r = note_node(graph, g, (uint32_t)at, data, mended);
		if (r < 0)
			return r;
		if (r)
			kind = BLOCK_JUNK;
	}
	graph->kind[at] = (uint8_t)kind;
	return 0;
}

/* Room for so many more.  Their numbers are below NONE. */
static int make_room(struct graph *g, size_t nodes, size_t edges, struct err *err)
{
	if (g->nr_nodes + nodes >= NONE || g->nr_edges + edges >= NONE)
		return err_set(err, -EFBIG, "salvage: too many children of internal nodes");
	if (vec_reserve(g->node, g->cap_nodes, g->nr_nodes + nodes) ||
	    vec_reserve(g->edge, g->cap_edges, g->nr_edges + edges))
		return err_nomem(err, "salvage: summaries of nodes");
	return 0;
}

static int join_vec(struct vec *to, const struct vec *from, size_t size)
{
	for (size_t i = 0; i < from->nr; i++) {
		void *p = vec_push(to, size);

		if (!p)
			return -ENOMEM;
		memcpy(p, (const char *)from->data + i * size, size);
	}
	return 0;
}

static int join_sight(struct graph *graph, const struct sight *g, struct err *err)
{
	uint32_t edges = graph->nr_edges;
	const struct snode *from = g->nodes.data;
	int r = make_room(graph, g->nodes.nr, g->edges.nr, err);

	if (r)
		return r;
	if (g->edges.nr)
		memcpy(graph->edge + edges, g->edges.data, g->edges.nr * sizeof(*graph->edge));
	graph->nr_edges += (uint32_t)g->edges.nr;
	graph->mapped_sum += g->mapped_sum;
	for (size_t i = 0; i < g->nodes.nr; i++) {
		graph->node[graph->nr_nodes] = from[i];
		graph->node[graph->nr_nodes++].edge += edges;
	}
	if (join_vec(&graph->mends, &g->mends, sizeof(struct mend)) < 0 ||
	    join_vec(&graph->strays, &g->strays, sizeof(struct stray)) < 0)
		return err_nomem(err, "salvage: list of misplaced blocks");
	return 0;
}

static void sight_fini(struct sight *g)
{
	free(g->nodes.data);
	free(g->edges.data);
	free(g->mends.data);
	free(g->strays.data);
}

static int join_all(struct graph *g, struct sight *sight, unsigned nr, struct err *err)
{
	uint32_t begin = g->nr_nodes;
	size_t mends = g->mends.nr, strays = g->strays.nr;

	for (unsigned i = 0; i < nr; i++) {
		int r = join_sight(g, &sight[i], err);

		if (r < 0)
			return r;
	}
	if (g->nr_nodes > begin)
		qsort(g->node + begin, g->nr_nodes - begin, sizeof(*g->node), order_u32); /* by block */
	for (uint32_t i = begin; i < g->nr_nodes; i++)
		g->slot[g->node[i].block] = i;
	if (g->mends.nr > mends)
		qsort(g->mends.data, g->mends.nr, sizeof(struct mend), order_u32); /* by @at */
	if (g->strays.nr > strays)
		qsort(g->strays.data, g->strays.nr, sizeof(struct stray), order_u32);
	return 0;
}

int graph_load(struct graph *g, mblock_t *list, size_t nr, struct err *err)
{
	unsigned nr_workers = stream_nr_workers(&g->stream);
	struct sight *sight = calloc(nr_workers, sizeof(*sight));
	struct loader l = { .graph = g, .sight = sight };
	int r;

	if (!sight)
		return err_nomem(err, "salvage: workers");
	r = stream_read(&g->stream, list, nr, look, &l, err);
	if (!r)
		r = join_all(g, sight, nr_workers, err);
	for (unsigned i = 0; i < nr_workers; i++)
		sight_fini(&sight[i]);
	free(sight);
	return r;
}

int graph_take_content(struct graph *graph, uint32_t block, uint32_t at, uint8_t kind,
		       struct err *err)
{
	uint8_t buf[MBLOCK_SIZE] BLOCK_ALIGNED;
	struct sight g = { 0 };
	int r;

	r = io_read(graph->io, buf, MBLOCK_SIZE, (uint64_t)at * MBLOCK_SIZE, err);
	if (r < 0)
		return 0;
	graph_apply_mends(graph, at, buf);
	if (kind == BLOCK_NODE) {
		r = note_node(graph, &g, block, buf, true);
		if (!r)
			r = join_all(graph, &g, 1, err);
		sight_fini(&g);
		if (r)
			return MIN(r, 0);
	}
	graph->kind[block] = kind;
	return 1;
}

uint32_t graph_add_virtual(struct graph *g, uint8_t tree, int height, struct err *err)
{
	if (make_room(g, 1, 0, err) < 0)
		return NONE;
	g->node[g->nr_nodes] = (struct snode){ .block = NONE,
					       .tree = tree,
					       .height = height < 0 ? 0 : (uint8_t)height,
					       .flags = SN_VIRTUAL | SN_LINKED | SN_LIVE };
	return g->nr_nodes++;
}

int graph_add_edges(struct graph *g, uint32_t node, const uint32_t *child, uint32_t nr,
		    struct err *err)
{
	struct snode *n;
	int r = make_room(g, 0, nr, err);

	if (r < 0)
		return r;
	n = &g->node[node];
	n->edge = g->nr_edges;
	n->nr_edges = nr;
	for (uint32_t i = 0; i < nr; i++)
		g->edge[g->nr_edges++] = (struct edge){ g->node[child[i]].first,
							g->node[child[i]].block, child[i] };
	return 0;
}
