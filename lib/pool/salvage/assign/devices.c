/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Which device has which root, when the top level lost it: of the orphans the one with just as many
 * mappings as the details say, and of several the one most similar to the device's older trees.
 * Where the details are lost too, devices of the youngest older top level are tried.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/search.h"
#include "pool/salvage/assign/gaps.h"

static bool in_lost_top(const struct trees *trees, uint32_t id)
{
	for (size_t i = 0; i < trees->gaps.nr; i++)
		if (gap_at(trees, i)->tree == TREE_TOP && gap_at(trees, i)->begin <= id &&
		    gap_at(trees, i)->last >= id)
			return true;
	return false;
}

static int youngest_first(const void *pa, const void *pb, void *ctx)
{
	const struct super *super = ctx;
	uint32_t a = block_age(super, super->graph->node[*(const uint32_t *)pa].block);
	uint32_t b = block_age(super, super->graph->node[*(const uint32_t *)pb].block);

	return a < b ? -1 : a > b;
}

static bool has_key(const struct graph *g, const struct snode *n, uint64_t key)
{
	const struct edge *e = g->edge + n->edge;
	uint32_t at = search_first(i, n->nr_edges, e[i].key >= key);

	return at < n->nr_edges && e[at].key == key;
}

/* Older copies of top-level leaves, the youngest first. */
static int list_old_tops(struct super *super, struct vec *tops)
{
	for (uint32_t i = 0; i < super->graph->nr_nodes; i++) {
		const struct snode *n = &super->graph->node[i];

		if (n->tree == TREE_TOP && n->flags & SN_LEAF && push_number(tops, i) < 0)
			return -ENOMEM;
	}
	if (tops->nr)
		qsort_r(tops->data, tops->nr, sizeof(uint32_t), youngest_first, super);
	return 0;
}

/* Did the youngest of the older top levels that could name the device name it? */
static bool was_there_last(const struct graph *g, const struct vec *tops, const uint8_t *is_child,
			   uint32_t id)
{
	const uint32_t *top = tops->data;

	for (size_t i = 0; i < tops->nr; i++) {
		const struct snode *n = &g->node[top[i]];

		if (has_key(g, n, id))
			return true;
		if (!is_child[top[i]] || (n->first <= id && id <= n->last))
			return false;
	}
	return false;
}

/* Top level and details are lost: devices that an older top level names may be there yet. */
static int add_guesses(struct ages *ages, struct err *err)
{
	const struct graph *g = ages->graph;
	struct trees *trees = ages->trees;
	CLEANUP(free_ptr) uint8_t *is_child = calloc((size_t)g->nr_nodes + 1, 1);
	struct vec tops = { 0 };
	const struct old_root *o;
	int r = old_roots_read(ages, err);

	if (!r && (!is_child || list_old_tops(ages->super, &tops)))
		r = err_nomem(err, "salvage: older top levels");
	if (!r)
		graph_mark_children(g, is_child);
	o = ages->old_roots.data;
	for (size_t i = 0; i < ages->old_roots.nr && !r; i++) {
		const struct sdevice d = { .info = { .dev_id = o[i].dev_id }, .root_block = NONE,
					   .root = NONE, .source = DETAILS_INVENTED,
					   .is_guess = true };

		if ((!i || o[i - 1].dev_id != o[i].dev_id) && in_lost_top(trees, o[i].dev_id) &&
		    !trees_find_device(trees, o[i].dev_id) && node_of(g, o[i].root) != NONE &&
		    was_there_last(g, &tops, is_child, o[i].dev_id))
			r = trees_insert_device(trees, &d, err);
	}
	free(tops.data);
	return r;
}

static void drop_guesses(struct trees *trees)
{
	size_t nr = 0;

	for (size_t i = 0; i < trees->nr_devs; i++)
		if (!trees->dev[i].is_guess || trees->dev[i].root != NONE)
			trees->dev[nr++] = trees->dev[i];
	trees->nr_devs = nr;
}

static uint32_t next_id(const struct trees *trees)
{
	return trees->nr_devs ? trees->dev[trees->nr_devs - 1].info.dev_id + 1 : 0;
}

/* A device with an invented id for the tree at @root. */
static int add_nameless(struct trees *trees, uint32_t root, struct err *err)
{
	const struct sdevice d = { .info = { .dev_id = next_id(trees) }, .root_block = NONE,
				   .root = root, .source = DETAILS_INVENTED,
				   .id_invented = true, .root_found = true };
	int r = trees_insert_device(trees, &d, err);

	return r ? r : trees_walk_mapping(trees, root, err);
}

/*
 * Trees whose device is not known, when device ids are lost: they get a new id rather than being
 * dropped.
 */
static int invent_ids(struct counts *counts, struct err *err)
{
	const struct graph *g = counts->graph;
	struct trees *trees = counts->trees;
	uint32_t nr_nodes = g->nr_nodes;
	int r = 0;

	for (uint32_t i = 0; i < nr_nodes && !r; i++) {
		uint32_t refs;

		if (g->node[i].flags & SN_VIRTUAL || g->node[i].tree != TREE_MAPPING)
			continue;
		refs = counts_missing_refs(counts, g->node[i].block);
		if (!refs || refs >= COUNT_MANY || !g->node[i].nr_mappings ||
		    next_id(trees) > MAX_DEV_ID)
			continue;
		r = add_nameless(trees, i, err);
	}
	return r;
}

#define MAX_INVENTED 1000 /* trees that are tried against the data map */

static int highest_newest(const void *pa, const void *pb, void *ctx)
{
	const struct super *super = ctx;
	const struct snode *a = &super->graph->node[*(const uint32_t *)pa],
			   *b = &super->graph->node[*(const uint32_t *)pb];
	uint32_t age_a = block_age(super, a->block), age_b = block_age(super, b->block);

	if (a->height != b->height)
		return a->height > b->height ? -1 : 1;
	return age_a < age_b ? -1 : age_a > age_b;
}

/*
 * Trees of which the data map still misses every mapping, when the metadata map is lost: they
 * belonged to a device that is not known.
 */
static int invent_by_data(struct assign *as, struct err *err)
{
	const struct graph *g = as->graph;
	struct trees *trees = as->trees;
	CLEANUP(free_ptr) uint8_t *is_child = calloc((size_t)g->nr_nodes + 1, 1);
	uint32_t nr_nodes = g->nr_nodes, nr = 0;
	CLEANUP(free_ptr) uint32_t *list = malloc(((size_t)nr_nodes + 1) * sizeof(*list));
	int r = is_child && list ? 0 : err_nomem(err, "salvage: orphans");

	if (!r)
		graph_mark_children(g, is_child);
	for (uint32_t i = 0; i < nr_nodes && !r; i++) {
		const struct snode *n = &g->node[i];

		if (n->tree == TREE_MAPPING && n->nr_mappings && !is_child[i] &&
		    !(n->flags & (SN_VIRTUAL | SN_BROKEN | SN_LIVE | SN_DENIED)) &&
		    (!as->counts->has_counts || as->counts->count[n->block] == COUNT_UNKNOWN))
			list[nr++] = i;
	}
	if (nr)
		qsort_r(list, nr, sizeof(*list), highest_newest, as->super);
	for (uint32_t i = 0; i < MIN(nr, (uint32_t)MAX_INVENTED) && !r; i++) {
		if (next_id(trees) > MAX_DEV_ID || !datamap_allows(as->datamap, list[i]))
			continue;
		as->guessed = true;
		datamap_take(as->datamap, list[i]);
		r = add_nameless(trees, list[i], err);
	}
	return r;
}

/* Devices that nothing but an older top level names, when top level and details are lost. */
int devices_guess(struct ages *ages, struct err *err)
{
	return trees_have_gap(ages->trees, TREE_TOP) && trees_have_gap(ages->trees, TREE_DETAILS)
		       ? add_guesses(ages, err)
		       : 0;
}

/*
 * After the roots are assigned: guessed devices without a tree are dropped, trees without a device
 * get an id.
 */
int devices_settle(struct assign *as, struct err *err)
{
	struct trees *trees = as->trees;
	struct counts *counts = as->counts;
	bool nameless = trees_have_gap(trees, TREE_TOP) && trees_have_gap(trees, TREE_DETAILS);
	int r = 0;

	drop_guesses(trees);
	counts_read_edges(counts);
	if (nameless)
		r = invent_ids(counts, err);
	if (!r && nameless && counts_have_unknown(counts))
		r = datamap_begin(as->datamap, err);
	if (!r && nameless && as->datamap->missing)
		r = invent_by_data(as, err);
	return r;
}

/* --- devices whose root is lost too --- */

static uint64_t mapped_of(const struct sdevice *d)
{
	return d->source == DETAILS_LIVE ? d->info.mapped_blocks : UINT64_MAX;
}

static int by_mapped(const void *pa, const void *pb, void *ctx)
{
	uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;
	uint64_t nr_a = mapped_of((const struct sdevice *)ctx + a);
	uint64_t nr_b = mapped_of((const struct sdevice *)ctx + b);

	if (nr_a != nr_b)
		return nr_a < nr_b ? -1 : 1;
	return a < b ? -1 : a > b;
}

/* The first device behind @dev[@i] whose details say another number of mappings, or none. */
static uint32_t end_of_group(const struct trees *trees, const uint32_t *dev, uint32_t i,
			     uint32_t nr)
{
	uint64_t mapped = mapped_of(&trees->dev[dev[i++]]);

	while (i < nr && mapped != UINT64_MAX && mapped_of(&trees->dev[dev[i]]) == mapped)
		i++;
	return i;
}

/*
 * How many mappings can the nodes that lack a parent, and the lost blocks that do, give to devices without a root at
 * most?  UINT64_MAX: not known.
 */
static uint64_t nr_to_give(const struct counts *counts)
{
	const struct graph *g = counts->graph;
	uint64_t sum = 0;

	for (uint32_t b = 1; b < g->nr_blocks; b++) {
		const uint32_t refs = counts_missing_refs(counts, b), i = node_of(g, b);
		const bool lost = g->kind[b] <= BLOCK_IO_ERROR;

		if (!refs || (!lost && (i == NONE || g->node[i].tree != TREE_MAPPING)))
			continue;
		if (refs >= COUNT_MANY || (!lost && g->node[i].flags & SN_BROKEN))
			return UINT64_MAX;
		sum += refs * (lost ? INTERNAL_MAX : g->node[i].nr_mappings);
	}
	return sum;
}

/* Which devices without a root had one together? */
struct lost_roots {
	uint32_t *dev, nr; /* the devices, by their number of mappings */
	uint64_t give;	   /* how many mappings there are for them at most */
	uint64_t want;	   /* how many they need when all that have the same number have one root */
	uint8_t *lost;	   /* by number: a lost block lacks just so many parents */
};

static void find_lost_roots(const struct counts *counts, struct lost_roots *l)
{
	const struct graph *g = counts->graph;

	for (uint32_t b = 1; b < g->nr_blocks; b++)
		if (g->kind[b] <= BLOCK_IO_ERROR)
			l->lost[MIN(counts_missing_refs(counts, b), l->nr + 1)] = 1;
	for (uint32_t i = 0; i < l->nr; i = end_of_group(counts->trees, l->dev, i, l->nr))
		if (mapped_of(&counts->trees->dev[l->dev[i]]) != UINT64_MAX)
			l->want += mapped_of(&counts->trees->dev[l->dev[i]]);
	l->give = nr_to_give(counts);
}

/*
 * Had the devices [i, end) one root together, which have the same number of mappings?  They had if a lost block lacks
 * just so many parents, and if there are not enough mappings for a tree of each.
 */
static bool had_common_root(const struct trees *trees, const struct lost_roots *l, uint32_t i, uint32_t end)
{
	const uint32_t nr = end - i;

	return nr > 1 && l->lost[nr] && l->want + (nr - 1) * mapped_of(&trees->dev[l->dev[i]]) > l->give;
}

/* A device whose root is lost too: a gap over all keys. */
static uint32_t add_gap(struct trees *trees, struct err *err)
{
	uint32_t v = graph_add_virtual(trees->graph, TREE_MAPPING, -1, err);
	struct gap *g = v == NONE ? NULL : vec_push(&trees->gaps, sizeof(*g));

	if (!g)
		return NONE;
	*g = (struct gap){ .last = UINT64_MAX, .node = v, .block = NONE, .height = -1,
			   .tree = TREE_MAPPING, .why = BLOCK_JUNK };
	trees->graph->node[v].last = UINT64_MAX;
	return v;
}

int devices_add_gaps(struct counts *counts, struct err *err)
{
	struct trees *trees = counts->trees;
	CLEANUP(free_ptr) uint32_t *dev = malloc((trees->nr_devs + 1) * sizeof(*dev));
	CLEANUP(free_ptr) uint8_t *lost = calloc(trees->nr_devs + 2, 1);
	struct lost_roots l = { .dev = dev, .lost = lost };

	if (!dev || !lost)
		return err_nomem(err, "salvage: devices");
	for (size_t i = 0; i < trees->nr_devs; i++)
		if (trees->dev[i].root == NONE)
			dev[l.nr++] = (uint32_t)i;
	if (!l.nr)
		return 0;
	qsort_r(dev, l.nr, sizeof(*dev), by_mapped, trees->dev);
	find_lost_roots(counts, &l);
	for (uint32_t i = 0, end; i < l.nr; i = end) {
		uint32_t root = add_gap(trees, err);

		if (root == NONE)
			return err_nomem(err, "salvage: list of lost nodes");
		end = end_of_group(trees, dev, i, l.nr);
		end = had_common_root(trees, &l, i, end) ? end : i + 1;
		for (uint32_t k = i; k < end; k++)
			trees->dev[dev[k]].root = root;
	}
	return 0;
}

/* Of @dev[i..end), the one whose tree has as many mappings as its details say, or NULL. */
static const struct sdevice *whole_one(const struct trees *trees, const uint32_t *dev, uint32_t i, uint32_t end)
{
	for (; i < end; i++)
		if (has_its_count(trees->graph, &trees->dev[dev[i]]))
			return &trees->dev[dev[i]];
	return NULL;
}

int devices_share_roots(struct trees *trees, bool *any, struct err *err)
{
	CLEANUP(free_ptr) uint32_t *dev = malloc((trees->nr_devs + 1) * sizeof(*dev));
	uint32_t nr = (uint32_t)trees->nr_devs;

	if (!dev)
		return err_nomem(err, "salvage: devices");
	for (uint32_t i = 0; i < nr; i++)
		dev[i] = i;
	if (nr)
		qsort_r(dev, nr, sizeof(*dev), by_mapped, trees->dev);
	trees_sum(trees);
	for (uint32_t i = 0, end; i < nr; i = end) {
		const struct sdevice *whole;

		end = end_of_group(trees, dev, i, nr);
		whole = end - i > 1 ? whole_one(trees, dev, i, end) : NULL;
		for (uint32_t k = i; whole && k < end; k++) {
			struct sdevice *d = &trees->dev[dev[k]];
			const struct snode *n = d->root == NONE ? NULL : &trees->graph->node[d->root];

			if (!n || !(n->flags & SN_VIRTUAL) || n->block != NONE || n->nr_edges ||
			    !d->info.mapped_blocks)
				continue;
			d->root = whole->root;
			*any = true;
		}
	}
	return 0;
}
