/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * When was a block written?  Every commit leaves a metadata space map behind, and older ones stay on the
 * device until their blocks are used again.  A block that is in use now and was in use in the last
 * n older maps is at least n commits old.  A child is never younger than its parent: a parent is
 * written anew whenever a child of it is.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/cleanup.h"
#include "base/overflow.h"
#include "pool/salvage/witness/ages.h"

#define MAX_BYTES ((uint64_t)64 << 20) /* for the sets of blocks of all older states */
#define MAX_STATES 250		       /* a generation is a byte */

/*
 * Blocks that may have been written between two states: those behind the index of the older, which its commit
 * wrote last, up to the index of the newer.  When the newer has others that the older had not, any block may have been
 * written then.
 */
struct span {
	uint32_t after, last;
	bool any;
};

struct past {
	const struct graph *graph;
	uint32_t index;
	bool lost;  /* a part of its space map is */
	bool whole; /* nothing was overwritten, and it is not of another pool */
	uint32_t common; /* blocks that are in use in the newest state too */
	uint64_t *live;	 /* a bit a block */
	struct span span; /* up to the next newer one */
};

static void set_live(void *ctx, const struct bitmap_entry *e)
{
	struct past *p = ctx;
	struct disk_bitmap map BLOCK_ALIGNED;
	const uint32_t begin = (uint32_t)e->i * ENTRIES_PER_BITMAP;
	const uint32_t nr = MIN((uint32_t)ENTRIES_PER_BITMAP, p->graph->nr_blocks - begin);

	p->lost = p->lost || !graph_get_kind(p->graph, e->block, BLOCK_BITMAP, &map);
	for (uint32_t i = 0; i < nr && !p->lost; i++)
		if (bitmap_count(map.bits, i))
			bits_set_word(p->live, begin + i, 1);
}

static bool is_live_now(const struct counts *counts, uint32_t b)
{
	if (counts->has_counts && counts->count[b] != COUNT_UNKNOWN)
		return counts->count[b];
	return graph_is_live(counts->graph, b);
}

/*
 * Does no node that the state uses name a block that it does not use, or one that is something else now, and
 * has each node of mappings that it uses a parent?  @named: room for a byte a block.
 */
static bool is_whole(const struct graph *g, const uint64_t *live, uint8_t *named)
{
	memset(named, 0, g->nr_blocks);
	for (uint32_t i = 0; i < g->nr_nodes; i++) {
		const struct snode *n = &g->node[i];

		if (n->flags & SN_VIRTUAL || !bits_get(live, n->block))
			continue;
		for (uint32_t k = 0; k < n->nr_edges; k++) {
			const struct edge *e = &g->edge[n->edge + k];

			if (e->block == NONE || !bits_get(live, e->block) ||
			    (!(n->flags & SN_LEAF) && g->kind[e->block] >= BLOCK_NODE &&
			     (e->node == NONE || g->node[e->node].block != e->block)))
				return false;
			named[e->block] = 1;
		}
	}
	return !any_of(i, g->nr_nodes, g->node[i].tree == TREE_MAPPING && !(g->node[i].flags & SN_VIRTUAL) &&
			       bits_get(live, g->node[i].block) && !named[g->node[i].block]);
}

static int newest_first(const void *pa, const void *pb, void *ctx)
{
	const struct past *a = pa, *b = pb;
	uint32_t age_a = block_age(ctx, a->index), age_b = block_age(ctx, b->index);

	return ORDER(b->common, a->common) ?: ORDER(age_a, age_b);
}

/* The older states, newest first. */
static int list_past(struct counts *counts, struct vec *out)
{
	struct graph *g = counts->graph;
	const uint64_t words = div_up(g->nr_blocks, 64);
	const size_t max = (size_t)MIN((uint64_t)MAX_STATES, MAX_BYTES / (8 * words));
	CLEANUP(free_ptr) uint8_t *named = malloc(g->nr_blocks);

	if (!named)
		return -ENOMEM;
	for (uint32_t age = 1; age < g->nr_blocks && out->nr < max; age++) {
		const uint32_t index = (state_cursor(counts->super) + g->nr_blocks - age) % g->nr_blocks;
		const struct sm_root root = { .bitmap_root = index };
		struct past *p;

		if (g->kind[index] != BLOCK_INDEX)
			continue;
		p = vec_push(out, sizeof(*p));
		if (!p)
			return -ENOMEM;
		*p = (struct past){ .graph = g, .index = index, .live = graph_noted(g, calloc(words, sizeof(*p->live))) };
		if (!p->live || !graph_each_in_index(g, &root, set_live, p) || p->lost || !bits_get(p->live, index)) {
			free(p->live);
			out->nr--;
			continue;
		}
		p->whole = is_whole(g, p->live, named);
		p->common = count_of(i, g->nr_blocks, bits_get(p->live, i) && is_live_now(counts, i));
	}
	if (out->nr)
		qsort_r(out->data, out->nr, sizeof(struct past), newest_first, counts->super);
	return 0;
}

static bool in_span(const struct span *p, uint32_t b)
{
	if (p->any)
		return true;
	return p->after < p->last ? b > p->after && b <= p->last : b > p->after || b <= p->last;
}

/* @newer: NULL for the state that is salvaged. */
static struct span span_between(const struct counts *counts, const struct past *older, const struct past *newer)
{
	uint32_t last = (newer ? newer->index : state_cursor(counts->super)) + BEHIND_INDEX;
	struct span p = { older->index, last % counts->graph->nr_blocks, false };

	for (uint32_t b = 1; b < counts->graph->nr_blocks && !p.any; b++)
		p.any = (newer ? bits_get(newer->live, b) : is_live_now(counts, b)) && !bits_get(older->live, b) && !in_span(&p, b);
	return p;
}

/* How many states back the block was in use with this content: for certain, and at most. */
static struct age find_age(const struct counts *counts, const struct vec *past, uint32_t b)
{
	const struct past *p = past->data;
	struct age age = { 0 };
	size_t k = 0;

	while (k < past->nr && bits_get(p[k].live, b) && !in_span(&p[k].span, b))
		k++;
	age.least = (uint8_t)k;
	while (k < past->nr && bits_get(p[k].live, b))
		k++;
	age.most = (uint8_t)k;
	for (k = 0; k < past->nr && !bits_get(p[k].live, b);)
		k++;
	age.seen = k == past->nr || is_live_now(counts, b) ? 0 : (uint8_t)(k + 1);
	age.trusted = any_of(i, past->nr, p[i].whole && bits_get(p[i].live, b));
	return age;
}

void ages_fini(struct ages *ages)
{
	free(ages->of);
	free_vec(&ages->old_roots);
	free_vec(&ages->rows);
	free_vec(&ages->commits);
}

int ages_read(struct ages *ages, struct err *err)
{
	const struct graph *g = ages->graph;
	struct vec past = { 0 };
	struct past *p;
	int r;

	ages->of = calloc(g->nr_blocks, sizeof(*ages->of));
	r = ages->of ? list_past(ages->counts, &past) : -ENOMEM;
	p = past.data;
	for (size_t k = 0; k < past.nr && !r; k++)
		p[k].span = span_between(ages->counts, &p[k], k ? &p[k - 1] : NULL);
	for (uint32_t b = 0; b < g->nr_blocks && !r; b++)
		ages->of[b] = find_age(ages->counts, &past, b);
	ages->nr_past = (uint32_t)past.nr;
	for (size_t k = 0; k < past.nr; k++)
		free(p[k].live);
	free_vec(&past);
	return r ? err_nomem(err, "salvage: older states") : old_roots_read(ages, err);
}
