/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * The space maps as witnesses.  The metadata map says how many parents each node of a state has,
 * the data map how many mappings each data block has (of distinct leaves; those of the held
 * metadata snapshot count, too).  Trees that were put together correctly agree with both.
 *
 * A leaf that replaced another one (a misdirected write, an older copy) is intact in itself.  It is
 * recognized here: it maps data blocks that are free, or that another leaf maps.  It is only denied
 * when also no device that reaches it has the number of mappings that its details say: one witness
 * can be wrong; two that agree are believed.
 */
#include <errno.h>

#include "base/overflow.h"
#include "pdata/block/refmap.h"
#include "pool/salvage/witness/datamap.h"

#define MAX_BLOCKS ((uint64_t)1 << 31) /* of data; beyond that the data map is not asked */

struct witness {
	struct datamap *datamap;
	struct data_counts data; /* no @refs of a huge pool */
	struct vec leaves;	 /* uint32_t: nodes that are reached */
};

static void witness_fini(struct witness *w)
{
	data_counts_fini(&w->data);
	free_vec(&w->leaves);
}

/* --- the leaves' mappings --- */

static void count_leaf(void *ctx, uint32_t node, const struct view *v)
{
	const struct witness *w = ctx;

	(void)node;
	view_add_refs(v, w->data.refs);
}

/* More mappings than references. */
static bool is_excess(const struct witness *w, uint32_t stored, uint32_t refs)
{
	return refs > stored && !datamap_is_open(w->datamap, stored);
}

static void deny_leaf(void *ctx, uint32_t node, const struct view *v)
{
	struct witness *w = ctx;
	struct snode *n = &w->datamap->graph->node[node];
	uint32_t nr = 0;

	if (n->flags & SN_VOUCHED)
		return;
	for (uint32_t k = 0; k < v->nr; k++) {
		uint64_t b = mapping_block(view_value(v, k));

		if (b < refmap_nr_blocks(w->data.refs) && w->data.known[b / ENTRIES_PER_BITMAP])
			nr += is_excess(w, refmap_get(w->data.stored, b), refmap_get(w->data.refs, b));
	}
	if (nr * 2 > v->nr)
		n->flags |= SN_DENIED;
}

static int witness_init(struct witness *w, struct datamap *datamap, struct err *err)
{
	int r;

	*w = (struct witness) { .datamap = datamap };
	trees_sum(datamap->trees);
	super_mark_held(datamap->super);
	r = datamap_counts(datamap, &w->data, err);
	if (!r && datamap->graph->nr_data_blocks <= MAX_BLOCKS) {
		w->data.refs = refmap_new(datamap->graph->nr_data_blocks, true);
		r = w->data.refs ? 0 : err_nomem(err, "salvage: witnesses");
	}
	return r;
}

/* Reads the leaves that are reached, and counts their references. */
static int count_references(struct witness *w, struct err *err)
{
	struct graph *g = w->datamap->graph;
	int r = 0;

	for (uint32_t i = 0; i < g->nr_nodes && !r; i++)
		if (g->node[i].tree == TREE_MAPPING && g->node[i].flags & SN_LEAF && g->node[i].flags & (SN_LIVE | SN_HELD))
			r = vec_put(&w->leaves, i);
	if (!r && w->data.refs)
		r = graph_read_leaves(g, &w->leaves, count_leaf, w, err);
	if (!r && w->data.refs && refmap_failed(w->data.refs))
		r = -ENOMEM;
	return r == -ENOMEM ? err_nomem(err, "salvage: witnesses") : r;
}

/* --- the metadata map --- */

static bool names_unused(const struct counts *counts, const struct snode *n)
{
	const struct edge *e = counts->graph->edge + n->edge;

	return any_of(k, n->nr_edges, counts_know(counts, e[k].block) && !counts->count[e[k].block]);
}

/* Internal nodes and leaves of the top level that name blocks which are not in use. */
static void deny_parents(struct witness *w)
{
	const struct graph *g = w->datamap->graph;

	for (uint32_t i = 0; i < g->nr_nodes; i++) {
		struct snode *n = &g->node[i];

		if (n->flags & SN_LIVE && !(n->flags & SN_VIRTUAL) && !(n->flags & SN_VOUCHED) &&
		    names_unused(w->datamap->counts, n))
			n->flags |= SN_DENIED;
	}
}

/* Marks what the devices reach whose count is right. */
static void vouch(const struct trees *trees)
{
	graph_unmark(trees->graph, SN_VOUCHED);
	for (size_t i = 0; i < trees->nr_devs; i++)
		if (has_its_count(trees->graph, &trees->dev[i]) || trees->dev[i].root_given)
			graph_mark(trees->graph, trees->dev[i].root, SN_VOUCHED);
}

static uint32_t nr_denied(const struct graph *g)
{
	return count_of(i, g->nr_nodes, g->node[i].flags & SN_DENIED);
}

/* What a denied node names is of another state: its children are judged when it is out of the way. */
int witness_deny(struct datamap *datamap, uint32_t *nr, struct err *err)
{
	struct graph *g = datamap->graph;
	uint32_t before = nr_denied(g);
	struct witness w;
	int r = witness_init(&w, datamap, err);

	vouch(datamap->trees);
	if (!r)
		deny_parents(&w);
	if (!r && nr_denied(g) == before)
		r = count_references(&w, err);
	if (!r && nr_denied(g) == before && deny_outdated(datamap->counts, &w.data))
		r = err_nomem(err, "salvage: witnesses");
	if (!r && nr_denied(g) == before && w.data.stored)
		r = graph_read_leaves(g, &w.leaves, deny_leaf, &w, err);
	*nr = nr_denied(g);
	witness_fini(&w);
	return r;
}

/* --- the result --- */

/* Data block @b has more mappings than the map counts.  This is not noted by a map that may itself be of another state. */
static void note_over(struct datamap *datamap, uint64_t b)
{
	if (datamap->has_other)
		return;
	if (!datamap->over)
		datamap->over = graph_noted(datamap->graph, refmap_new(datamap->graph->nr_data_blocks, false));
	if (datamap->over)
		refmap_set(datamap->over, b, 1);
}

/* Have the 32 data blocks from @b on as many mappings as the map counts, and none of them three or more? */
static bool word_agrees(const struct data_counts *d, uint64_t b)
{
	const uint64_t word = refmap_word(d->refs, b / 32);

	return word == refmap_word(d->stored, b / 32) && !(word & word >> 1 & 0x5555555555555555u);
}

static void compare_data(const struct witness *w, struct agreement *a)
{
	const struct data_counts *d = &w->data;

	for (uint64_t b = 0; b < refmap_nr_blocks(d->refs); b++) {
		uint32_t stored, refs;

		/* a bitmap has whole words */
		if (!(b % 32) && (!d->known[b / ENTRIES_PER_BITMAP] || word_agrees(d, b))) {
			b += 31;
			continue;
		}
		stored = refmap_get(d->stored, b);
		refs = refmap_get(d->refs, b);
		a->missing += stored > refs;
		if (is_excess(w, stored, refs)) {
			a->excess++;
			note_over(w->datamap, b);
		}
	}
}

/* The blocks that are named as parts of the space maps. */
struct map_blocks {
	const struct super *super;
	uint64_t root[NR_SUPER_ROOTS];
	/*
	 * How many are also named as another part, or as a part of the trees?  Then the superblock, the maps and the trees are not all
	 * of one state.
	 */
	uint32_t twice;
	uint32_t other; /* hold something else that is intact: their writes were lost */
};

static void note_bitmap(void *ctx, const struct bitmap_entry *e)
{
	struct map_blocks *m = ctx;
	const struct graph *g = m->super->graph;

	if (e->map == &m->super->sb.data_sm && e->i >= div_up(e->map->nr_blocks, ENTRIES_PER_BITMAP))
		return; /* behind the last one entries mean nothing */
	m->twice += graph_is_live(g, e->block);
	m->twice += count_of(i, NR_SUPER_ROOTS, e->block && e->block == m->root[i]);
	m->other += graph_has_other(g, e->block, BLOCK_BITMAP);
}

/* Is something else intact in the place of that root of the space maps? */
static bool has_other_root(const struct super *super, uint64_t block, uint8_t tree)
{
	const struct graph *g = super->graph;
	const uint32_t i = node_of(g, block);

	if (tree == TREE_NONE)
		return super_has_other_index(super);
	return block && block < g->nr_blocks && g->kind[block] >= BLOCK_NODE &&
	       (i == NONE || (g->node[i].tree != tree && g->node[i].tree != TREE_NONE));
}

static struct map_blocks look_at_maps(const struct super *super)
{
	struct map_blocks m = { .super = super };

	super_roots(&super->sb, m.root);
	for (size_t i = MAP_ROOTS; i < END_MAP_ROOTS; i++) {
		m.twice += graph_is_live(super->graph, m.root[i]);
		m.other += has_other_root(super, m.root[i], super_root_tree[i]);
	}
	super_each_bitmap(super, note_bitmap, &m);
	return m;
}

/* Without the data map the superblock still says how many data blocks are in use. */
static uint32_t denied_by_superblock(const struct witness *w)
{
	const struct datamap *datamap = w->datamap;
	const struct superblock *sb = &datamap->super->sb;
	const uint64_t nr = sb->data_sm.nr_allocated;

	if (!datamap->agrees.data_whole)
		return w->data.refs && refmap_nr_allocated(w->data.refs) > nr;
	/* those that a held snapshot has are compared one by one */
	return !datamap->trees->nr_devs && !sb->held_root && nr;
}

/* Have the nodes as many parents as the metadata map counts? */
static void ask_metadata_map(const struct counts *counts, struct agreement *a)
{
	for (uint32_t i = 0; i < counts->graph->nr_nodes; i++) {
		const struct snode *n = &counts->graph->node[i];

		if (!counts_know(counts, n->block))
			continue;
		if (n->flags & SN_LIVE)
			a->surplus += counts->count[n->block] < MAX(counts->found[n->block], 1);
		a->orphans += !(n->flags & SN_VIRTUAL) && tree_fits(n->tree, TREE_MAPPING) && counts_lack(counts, n->block);
	}
}

/*
 * Are the mappings of all leaves that were read just those that the data map counts?  Then the superblock's trees
 * are whole, and their leaves need not be read once more.
 */
static bool is_sum_right(const struct witness *w)
{
	uint64_t sum = w->datamap->graph->mapped_sum;

	for (uint64_t i = 0; i * 32 < refmap_nr_blocks(w->data.stored); i++) {
		uint64_t word = refmap_word(w->data.stored, i), two = word & 0x5555555555555555u;

		for (uint64_t one = (word >> 1 & ~two) & 0x5555555555555555u; one; one &= one - 1)
			sum -= data_mark(i * 32 + (uint64_t)__builtin_ctzll(one) / 2);
		for (; two; two &= two - 1) {
			uint64_t b = i * 32 + (uint64_t)__builtin_ctzll(two) / 2;

			sum -= refmap_get(w->data.stored, b) * data_mark(b);
		}
	}
	return !sum;
}

int witness_agreement(struct datamap *datamap, struct err *err)
{
	const struct graph *g = datamap->graph;
	const struct super *super = datamap->super;
	struct counts *counts = datamap->counts;
	struct agreement *a = &datamap->agrees;
	struct map_blocks maps;
	struct witness w;
	int r;

	refmap_free(datamap->over);
	datamap->over = NULL;
	if (has_given_roots(super))
		return 0; /* the space maps are those of another state */
	maps = look_at_maps(super);
	r = witness_init(&w, datamap, err);
	*a = (struct agreement) { .data_whole = w.data.whole, .replaced = maps.other + counts->has_other };
	if (!r && (g->scanned || !a->data_whole || !is_sum_right(&w))) {
		r = count_references(&w, err);
		if (!r && w.data.stored)
			compare_data(&w, a);
	}
	if (!r && super->has_sb) {
		a->twice = maps.twice;
		a->later = nr_later(datamap->trees);
		a->strange += denied_by_superblock(&w) + counts_differ(counts) + (g->scanned && has_newer_details(counts));
	}
	if (!r && super->has_sb && !a->data_whole && w.data.refs &&
	    super->sb.data_sm.nr_allocated > refmap_nr_allocated(w.data.refs))
		a->missing = super->sb.data_sm.nr_allocated - refmap_nr_allocated(w.data.refs);
	if (!r)
		ask_metadata_map(counts, a);
	witness_fini(&w);
	return r;
}
