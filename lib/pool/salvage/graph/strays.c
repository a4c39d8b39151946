/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Whole blocks in the wrong place, and where the content of a block is.
 */
#include <stdlib.h>

#include "base/bits.h"
#include "base/cleanup.h"
#include "base/overflow.h"
#include "pool/salvage/graph/graph.h"

#define HOLE_STEP 256 /* blocks: a file is asked for its holes so often */

/*
 * An intact block at the wrong place is used as the block whose number it carries, if that block is
 * not intact itself (two blocks swapped, or one written to the wrong place).  Otherwise only its
 * number may be wrong: it is used as the block of its place, unless it is a copy of the block it
 * names, or of another one that names it.
 */
static int place_strays(struct graph *g, struct err *err)
{
	for (size_t i = 0; i < g->strays.nr; i++) {
		struct stray *st = (struct stray *)g->strays.data + i;
		int r;

		if (st->own == NONE || g->kind[st->own] >= BLOCK_NODE)
			continue;
		r = graph_take_content(g, st->own, st->at, st->kind, err);
		if (r < 0)
			return r;
		if (!r)
			continue;
		st->used = true;
		if (vec_put(&g->moved, (struct moved){ st->own, st->at }))
			return err_nomem(err, "salvage: list of misplaced blocks");
	}
	vec_sort(&g->moved, sizeof(struct moved), order_u32); /* by block */
	return 0;
}

static bool same_entries(const void *a, const void *b)
{
	struct view va, vb;

	return view_open(&va, a) && view_open(&vb, b) && va.leaf == vb.leaf &&
	       view_nr_common(&va, &vb) * 2 > MIN(va.nr, vb.nr);
}

/* A bit a block: two blocks or more carry its number that are not at its place.  NULL: no memory. */
static uint64_t *written_twice(const struct graph *g)
{
	CLEANUP(free_ptr) uint64_t *once = calloc(div_up(g->nr_blocks, 64), sizeof(*once));
	uint64_t *twice = calloc(div_up(g->nr_blocks, 64), sizeof(*twice));
	const struct stray *st = g->strays.data;

	for (size_t i = 0; i < g->strays.nr && once && twice; i++)
		if (st[i].own != NONE)
			bits_set_word(bits_get(once, st[i].own) ? twice : once, st[i].own, 1);
	if (once)
		return twice;
	free(twice);
	return NULL;
}

static int place_misnumbered(struct graph *g, struct err *err)
{
	uint8_t a[MBLOCK_SIZE] BLOCK_ALIGNED;
	uint8_t b[MBLOCK_SIZE] BLOCK_ALIGNED;
	CLEANUP(free_ptr) uint64_t *twice = written_twice(g);

	if (!twice)
		return err_nomem(err, "salvage: list of misplaced blocks");
	for (size_t i = 0; i < g->strays.nr; i++) {
		struct stray *st = (struct stray *)g->strays.data + i;
		int r;

		if (st->used || st->kind != BLOCK_NODE || g->kind[st->at] != BLOCK_STRAY || (st->own != NONE && bits_get(twice, st->own)))
			continue;
		if (st->own != NONE && g->kind[st->own] == BLOCK_NODE &&
		    (graph_get(g, st->at, a, NULL) < 0 || graph_get(g, st->own, b, NULL) < 0 || same_entries(a, b)))
			continue;
		r = graph_take_content(g, st->at, st->at, st->kind, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int graph_scan_all(struct graph *g, struct err *err)
{
	CLEANUP(free_ptr) mblock_t *list = NULL;
	uint64_t data = 0; /* holes of a file are before it */
	size_t nr = 0;
	int r;

	if (g->scanned)
		return 0;
	list = malloc(sizeof(*list) * g->nr_blocks);
	if (!list)
		return err_nomem(err, "salvage: list of blocks");
	for (uint32_t b = 0; b < g->nr_blocks; b++) {
		if (b >= data && b % HOLE_STEP == 0)
			data = io_next_data(g->io, (uint64_t)b * MBLOCK_SIZE) / MBLOCK_SIZE;
		if (g->kind[b] > BLOCK_WANTED)
			continue;
		if (b < data)
			g->kind[b] = BLOCK_ZERO;
		else
			list[nr++] = b;
	}
	r = graph_load(g, list, nr, err);
	if (r < 0)
		return r;
	g->scanned = true;
	r = place_strays(g, err);
	return r < 0 ? r : place_misnumbered(g, err);
}

/* NULL: its content is in its own place, or nowhere. */
static struct moved *find_moved(const struct graph *g, uint32_t block)
{
	struct moved *m = g->moved.data;
	const size_t k = search_first(i, g->moved.nr, m[i].block >= block);

	return k < g->moved.nr && m[k].block == block ? &m[k] : NULL;
}

void graph_end_before_zeros(struct graph *g, uint64_t nr_blocks)
{
	uint32_t nr = g->nr_blocks;

	while (nr > nr_blocks && g->kind[nr - 1] == BLOCK_ZERO)
		nr--;
	if (nr <= nr_blocks)
		g->nr_blocks = nr;
}

uint32_t graph_where(const struct graph *g, uint32_t block)
{
	const struct moved *m = find_moved(g, block);

	return m ? m->at : block;
}

bool graph_had_wrong_field(const struct graph *g, const struct snode *n)
{
	return n->flags & SN_MENDED && graph_where(g, n->block) == n->block && !graph_mend_at(g, n->block);
}

int graph_get(const struct graph *g, uint32_t block, void *buf, struct err *err)
{
	uint32_t at = graph_where(g, block);
	int r = io_read(g->io, buf, MBLOCK_SIZE, (uint64_t)at * MBLOCK_SIZE, err);

	if (r < 0)
		return r;
	graph_apply_mends(g, at, buf);
	if (at != block && g->kind[block] == BLOCK_SUPER) /* it may have the number of where it is */
		csum_seal(buf, block, SALT_SUPERBLOCK);
	return 0;
}

bool graph_get_kind(const struct graph *g, uint64_t block, enum block_kind kind, void *buf)
{
	return block < g->nr_blocks && g->kind[block] == kind && !graph_get(g, (uint32_t)block, buf, NULL);
}

/* The content of @block is at @at.  0 or -ENOMEM. */
static int set_place(struct graph *g, uint32_t block, uint32_t at, struct err *err)
{
	struct moved *m = find_moved(g, block);

	if (m && at != block)
		m->at = at;
	else if (m)
		*m = ((struct moved *)g->moved.data)[--g->moved.nr];
	else if (at != block && vec_put(&g->moved, (struct moved){ block, at }))
		return err_nomem(err, "salvage: list of misplaced blocks");
	vec_sort(&g->moved, sizeof(struct moved), order_u32); /* by block */
	return 0;
}

int graph_take_stray(struct graph *g, const struct stray *st, struct stray_undo *undo, struct err *err)
{
	int r;

	*undo = (struct stray_undo) { .block = { st->own, st->at }, .where = graph_where(g, st->own), .nr_nodes = g->nr_nodes,
				      .nr_edges = g->nr_edges, .mapped_sum = g->mapped_sum };
	for (int i = 0; i < 2; i++) {
		const uint32_t block = undo->block[i], slot = g->slot[block];

		undo->slot[i] = slot;
		undo->kind[i] = g->kind[block];
		if (slot != NONE) {
			undo->flags[i] = g->node[slot].flags;
			g->node[slot].flags |= SN_DENIED; /* what it names is not named by this state */
		}
		g->slot[block] = NONE;
	}
	g->kind[st->at] = BLOCK_STRAY;
	r = graph_take_content(g, st->own, st->at, st->kind, err);
	if (r > 0 && !set_place(g, st->own, st->at, err))
		return r;
	return graph_leave_stray(g, undo, err) < 0 || r > 0 ? -ENOMEM : r;
}

int graph_leave_stray(struct graph *g, const struct stray_undo *undo, struct err *err)
{
	g->nr_nodes = undo->nr_nodes;
	g->nr_edges = undo->nr_edges;
	g->mapped_sum = undo->mapped_sum;
	for (int i = 0; i < 2; i++) {
		g->slot[undo->block[i]] = undo->slot[i];
		g->kind[undo->block[i]] = undo->kind[i];
		if (undo->slot[i] != NONE)
			g->node[undo->slot[i]].flags = undo->flags[i];
	}
	return set_place(g, undo->block[0], undo->where, err);
}

int graph_exchange(struct graph *g, uint32_t a, uint32_t b, struct err *err)
{
	const uint32_t at_a = graph_where(g, a), at_b = graph_where(g, b), slot = g->slot[a];
	const uint8_t kind = g->kind[a];
	int r;

	g->slot[a] = g->slot[b];
	g->slot[b] = slot;
	g->kind[a] = g->kind[b];
	g->kind[b] = kind;
	if (g->slot[a] != NONE)
		g->node[g->slot[a]].block = a;
	if (slot != NONE)
		g->node[slot].block = b;
	r = set_place(g, a, at_b, err);
	return r ? r : set_place(g, b, at_a, err);
}

bool graph_view(const struct graph *g, uint32_t i, void *buf, struct view *v)
{
	return !graph_get(g, g->node[i].block, buf, NULL) && view_open(v, buf);
}

void graph_bound(struct graph *g)
{
	struct run run[INTERNAL_MAX];
	uint8_t buf[MBLOCK_SIZE] BLOCK_ALIGNED;

	for (uint32_t i = 0; i < g->nr_nodes; i++) {
		struct snode *n = &g->node[i];
		uint64_t kept = 0;
		struct view v;
		uint32_t nr;

		if (n->tree != TREE_MAPPING || !(n->flags & SN_LEAF) ||
		    (n->max_data < g->nr_data_blocks && !n->nr_bad) || !graph_view(g, i, buf, &v))
			continue;
		nr = view_runs(&v, g->nr_data_blocks, run);
		for (uint32_t k = 0; k < nr; k++)
			kept += run[k].len;
		n->nr_mappings = kept;
		n->nr_bad = (uint16_t)(v.nr - kept);
	}
}
