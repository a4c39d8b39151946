/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Did a later commit than that of the newest state that was found write something, and is its index block lost? */
#include "base/bits.h"
#include "pool/salvage/state/state.h"

/* Blocks that a commit which changes mappings writes at least: top level, details, and a bitmap and the index of the metadata map. */
#define MIN_COMMIT 4

/* Does the leaf of the top level name for a device the root that the top level at @top names for it? */
static bool names_a_root_of(const struct graph *g, const struct snode *n, uint32_t top)
{
	for (uint32_t k = 0; k < n->nr_edges; k++) {
		const struct edge *e = &g->edge[n->edge + k];
		const uint32_t leaf = graph_descend(g, top, e->key, 0);
		const struct edge *of_top = leaf == NONE ? NULL : &g->edge[g->node[leaf].edge];

		if (of_top && any_of(i, g->node[leaf].nr_edges, of_top[i].key == e->key && of_top[i].block == e->block))
			return true;
	}
	return false;
}

/* Are the details, a leaf, of the pool whose state @best is, and not of an older state of it, nor just those of @best? */
static bool are_later_details(struct graph *g, uint32_t node, const struct pool_state *best)
{
	struct details_sum sum = { 0 };

	return best->dated && !details_add(g, node, &sum, NULL) && sum.transaction >= best->sum.transaction &&
	       sum.time >= best->sum.time &&
	       (sum.transaction > best->sum.transaction || sum.time > best->sum.time || sum.mappings != best->sum.mappings) &&
	       details_share_device(g, node, g->slot[best->details_root], false);
}

/* Was the block, which an older state used, written since the metadata were written anew, though its content stands for itself? */
static bool is_later(struct graph *g, const struct pool_state *best, uint32_t b)
{
	const uint32_t i = node_of(g, b);

	if (!best->row || i == NONE || bits_get(best->live, b) || !(g->node[i].flags & SN_LEAF))
		return false;
	return g->node[i].tree == TREE_TOP ? best->map_root && names_a_root_of(g, &g->node[i], g->slot[best->map_root]) :
	       g->node[i].tree == TREE_DETAILS && are_later_details(g, i, best);
}

/*
 * Did a commit write the block?  Behind metadata that were written @anew an empty tree, which a pool or a device begins with, may stand
 * for itself: 0.9.0 leaves one behind.
 */
static bool is_of_a_commit(const struct graph *g, uint32_t b, bool anew)
{
	const uint32_t i = node_of(g, b);

	return g->kind[b] == BLOCK_BITMAP ||
	       (g->kind[b] == BLOCK_NODE && !(anew && i != NONE && g->node[i].tree == TREE_EMPTY));
}

/*
 * Are there intact blocks from @b on, before the next index block, that no state has?  A later commit wrote them, and its
 * index block is lost, or it was never completed.  Behind metadata that were written @anew are the older ones: only if a block is lost
 * there, too, or the state of that index block, and more than an empty tree was written.  @judged: a bit a block: index blocks of states
 * whose counts are there.
 */
static bool something_follows(struct graph *g, const struct pool_state *best, uint32_t b, const uint64_t *used,
			      const uint64_t *judged)
{
	bool found = false, lost = false;

	for (; b < g->nr_blocks && g->kind[b] != BLOCK_INDEX; b++) {
		found |= bits_get(used, b) ? is_later(g, best, b) : is_of_a_commit(g, b, best->row);
		lost |= g->kind[b] < BLOCK_NODE;
	}
	lost |= b < g->nr_blocks && !bits_get(judged, b);
	return found && (lost || !best->row);
}

/*
 * May the first commit since the metadata were written anew be lost?  It takes the blocks behind them, up to an older state's index block at
 * most: as many as it writes at least are lost there.  Or each of the first ones is lost, so many or up to the zeros at the device's
 * end, or is a block of a space map that is not known to be an older state's.
 */
static bool first_may_be_lost(const struct graph *g, const struct pool_state *best, const uint64_t *judged)
{
	uint32_t begin = g->nr_blocks, end = begin, nr = 0, lost = 0;

	while (begin > 1 && !bits_get(best->live, begin - 1))
		begin--;
	while (end > begin && g->kind[end - 1] == BLOCK_ZERO)
		end--;
	for (uint32_t b = begin; b < end && lost < MIN_COMMIT && !(g->kind[b] == BLOCK_INDEX && bits_get(judged, b)); b++) {
		lost += g->kind[b] < BLOCK_NODE;
		nr += nr == b - begin &&
		      (g->kind[b] < BLOCK_NODE || (b > begin && (g->kind[b] == BLOCK_BITMAP || g->kind[b] == BLOCK_INDEX)));
	}
	return lost == MIN_COMMIT || nr >= MIN_COMMIT || (nr && begin + nr == end);
}

bool state_has_later(struct graph *g, const struct pool_state *best, const uint64_t *used, const uint64_t *judged)
{
	return something_follows(g, best, best->index + 1, used, judged) || something_follows(g, best, 1, used, judged) ||
	       (best->row && first_may_be_lost(g, best, judged));
}
