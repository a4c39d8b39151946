/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Which device has which root, when the top level lost it: of the orphans the one with just as many
 * mappings as the details say, and of several the one most similar to the device's older trees.
 * Where the details are lost too, devices of the youngest older top level are tried.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "pool/salvage/assign/gaps.h"

static bool in_lost_top(const struct trees *trees, uint32_t id)
{
	const struct gap *g = trees->gaps.data;

	return any_of(i, trees->gaps.nr, g[i].tree == TREE_TOP && g[i].begin <= id && g[i].last >= id);
}

/* Are parts of the top level lost, and of the details?  Then a device may be there that nothing names. */
static bool may_lack_names(const struct trees *trees)
{
	return trees_have_gap(trees, TREE_TOP) && trees_have_gap(trees, TREE_DETAILS);
}

/* The age of the youngest older top level, of those that are a single leaf: it names each device of its time. */
static uint32_t youngest_top(const struct ages *ages)
{
	const struct graph *g = ages->graph;
	const struct old_root *o = ages->old_roots.data;
	uint32_t age = UINT32_MAX;

	for (size_t i = 0; i < ages->old_roots.nr; i++) {
		const uint32_t top = node_of(g, o[i].top); /* none: its block was found to hold something else */

		if (top != NONE && !(g->node[top].flags & SN_CHILD))
			age = MIN(age, o[i].age);
	}
	return age;
}

/* Adds a device without details, of which only the tree is known, if that. */
static int add_device(struct trees *trees, struct sdevice d, struct err *err)
{
	d.root_block = NONE;
	d.source = DETAILS_INVENTED;
	return trees_insert_device(trees, &d, err);
}

int devices_guess(struct ages *ages, struct err *err)
{
	const struct graph *g = ages->graph;
	struct trees *trees = ages->trees;
	const struct old_root *o = ages->old_roots.data;
	uint32_t youngest;
	int r = 0;

	if (!may_lack_names(trees))
		return 0;
	graph_mark_children(ages->graph, 0);
	youngest = youngest_top(ages);
	for (size_t i = 0; i < ages->old_roots.nr && !r; i++)
		if ((!i || o[i - 1].dev_id != o[i].dev_id) && in_lost_top(trees, o[i].dev_id) &&
		    super_may_have_device(ages->super, o[i].dev_id) && !trees_find_device(trees, o[i].dev_id) &&
		    node_of(g, o[i].root) != NONE && o[i].age <= youngest)
			r = add_device(trees, (struct sdevice){ .info.dev_id = o[i].dev_id, .root = NONE, .is_guess = true }, err);
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

#define FIRST_NEW_ID 10000000 /* LVM counts from 1: a volume must not show the tree of another one */

static uint32_t next_id(const struct trees *trees)
{
	return trees->nr_devs ? MAX(trees->dev[trees->nr_devs - 1].info.dev_id + 1, FIRST_NEW_ID) : FIRST_NEW_ID;
}

/* The device of LVM's text that is all that is lacking: then what lacks a device is its.  NONE: there is no such. */
static uint32_t last_known(const struct trees *trees, const struct salvage_options *opt)
{
	uint32_t lacking = NONE, nr = 0;

	for (size_t i = 0; opt->ids && i < opt->nr_ids; i++)
		if (in_lost_top(trees, opt->ids[i]) && !trees_find_device(trees, opt->ids[i])) {
			lacking = opt->ids[i];
			nr++;
		}
	return nr == 1 ? lacking : NONE;
}

#define MAX_INVENTED 1000 /* trees that are tried against the data map */

/* Whole trees first. */
static int highest_newest(const void *pa, const void *pb, void *ctx)
{
	const struct super *super = ctx;
	const struct snode *a = &super->graph->node[*(const uint32_t *)pa],
			   *b = &super->graph->node[*(const uint32_t *)pb];
	uint32_t age_a = block_age(super, a->block), age_b = block_age(super, b->block);

	return ORDER(a->flags & SN_BROKEN, b->flags & SN_BROKEN) ?: ORDER(b->height, a->height) ?: ORDER(age_a, age_b);
}

/*
 * Does the node lack a parent?  One whose count is lost does, if nothing refers to it (@unknown); then the data map must
 * still miss each of its mappings, those that are there.
 */
static bool lacks_device(const struct counts *counts, uint32_t i, bool unknown)
{
	const struct snode *n = &counts->graph->node[i];
	uint32_t refs;

	if (n->tree != TREE_MAPPING || n->flags & SN_VIRTUAL || !n->nr_mappings || !graph_is_there(counts->graph, i))
		return false;
	refs = counts_missing_refs(counts, n->block);
	return unknown ? refs == COUNT_UNKNOWN && !(n->flags & (SN_CHILD | SN_LIVE | SN_DENIED))
		       : refs && refs < COUNT_MANY;
}

/*
 * Trees whose device is not known, when device ids are lost: they get a new id rather than being
 * dropped, or that of the last device.
 */
static int invent_ids(struct assign *as, bool unknown, struct err *err)
{
	struct trees *trees = as->trees;
	struct vec list = { 0 };
	const uint32_t last = unknown ? NONE : last_known(trees, &as->super->opt);
	int r = 0;

	graph_mark_children(as->graph, 0);
	for (uint32_t i = 0; i < as->graph->nr_nodes && !r; i++)
		if (lacks_device(as->counts, i, unknown))
			r = vec_put(&list, i);
	if (r)
		err_nomem(err, "salvage: orphans");
	if (last != NONE && list.nr > 1 && !r) { /* the parts of its tree */
		r = add_device(trees, (struct sdevice){ .info.dev_id = last, .root = NONE }, err);
		list.nr = 0;
	}
	if (list.nr)
		qsort_r(list.data, list.nr, sizeof(uint32_t), highest_newest, as->super);
	for (size_t i = 0; i < list.nr && (!unknown || i < MAX_INVENTED) && !r; i++) {
		const uint32_t root = ((uint32_t *)list.data)[i];
		struct sdevice d;

		if (next_id(trees) > MAX_DEV_ID || (unknown && !datamap_allows(as->datamap, root)))
			continue;
		as->guessed |= unknown;
		if (unknown)
			datamap_take(as->datamap, root);
		d = (struct sdevice){ .info.dev_id = last == NONE ? next_id(trees) : last, .root = root, .root_found = true,
				      .id_invented = last == NONE };
		r = add_device(trees, d, err) ?: trees_walk_mapping(trees, root, err);
	}
	free(list.data);
	return r;
}

int devices_settle(struct assign *as, struct err *err)
{
	struct datamap *datamap = as->datamap;
	int r;

	drop_guesses(as->trees);
	counts_read_edges(as->counts);
	if (!may_lack_names(as->trees))
		return 0;
	r = invent_ids(as, false, err);
	if (!r && counts_have_unknown(as->counts))
		r = datamap_begin(datamap, err);
	if (!r && datamap->missing)
		r = invent_ids(as, true, err);
	if (r || datamap->missing || as->trees->nr_devs)
		return r;
	r = datamap_assume(datamap, err); /* better old trees than none */
	if (!r && datamap->missing) {
		r = invent_ids(as, true, err);
		datamap_forget(datamap);
	}
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

	return ORDER(nr_a, nr_b) ?: ORDER(a, b);
}

/* The first device behind @dev[@i] whose details say another number of mappings, or none. */
static uint32_t end_of_group(const struct trees *trees, const uint32_t *dev, uint32_t i, uint32_t nr)
{
	uint64_t mapped = mapped_of(&trees->dev[dev[i++]]);

	while (i < nr && mapped != UINT64_MAX && mapped_of(&trees->dev[dev[i]]) == mapped)
		i++;
	return i;
}

/* Which devices without a root had one together? */
struct lost_roots {
	uint32_t *dev, nr; /* the devices, by their number of mappings */
	uint64_t give;	   /* how many mappings there are for them at most; UINT64_MAX: not known */
	uint64_t want;	   /* how many they need when all that have the same number have one root */
	bool all;	   /* all that have the same number had: the data map misses no more than that */
	uint32_t nr_lost;    /* lost blocks that lack a parent; UINT32_MAX: not known */
	struct vec orphans;  /* uint64_t: the mappings of nodes that lack a parent; UINT64_MAX: a part of them is lost */
};

#define MAX_ORPHANS 4096 /* more are not compared with each number of mappings */

/* What do the nodes that lack a parent, and the lost blocks that do, have to give?  0 or -ENOMEM. */
static int find_orphans(const struct counts *counts, struct lost_roots *l, struct err *err)
{
	const struct graph *g = counts->graph;
	bool is_open = false;

	for (uint32_t b = 1; b < g->nr_blocks; b++) {
		const uint32_t refs = counts_missing_refs(counts, b), i = node_of(g, b);
		const bool lost = g->kind[b] <= BLOCK_IO_ERROR, broken = !lost && i != NONE && g->node[i].flags & SN_BROKEN;

		if (!refs || (!lost && (i == NONE || g->node[i].tree != TREE_MAPPING)))
			continue;
		is_open |= refs >= COUNT_MANY || broken;
		l->give += refs * (lost ? INTERNAL_MAX : g->node[i].nr_mappings);
		l->nr_lost += lost;
		if (!lost && l->orphans.nr < MAX_ORPHANS && vec_put(&l->orphans, broken ? UINT64_MAX : g->node[i].nr_mappings))
			return err_nomem(err, "salvage: orphans");
	}
	if (is_open)
		l->give = UINT64_MAX;
	if (counts_have_unknown(counts) || l->orphans.nr == MAX_ORPHANS)
		l->nr_lost = UINT32_MAX;
	return 0;
}

/* May more than one block that lacks a parent have been the root of a device with @mapped mappings? */
static bool have_two_roots(const struct lost_roots *l, uint64_t mapped)
{
	const uint64_t *nr = l->orphans.data;

	return l->nr_lost > 1 || l->nr_lost + count_of(k, l->orphans.nr, nr[k] == mapped || nr[k] == UINT64_MAX) > 1;
}

/*
 * Had the devices [i, end) one root together, which have the same number of mappings?  They had if there are not enough
 * mappings for a tree of each, or not more than one block that may have been a root.
 */
static bool had_common_root(const struct trees *trees, const struct lost_roots *l, uint32_t i, uint32_t end)
{
	const uint32_t nr = end - i;
	const uint64_t mapped = mapped_of(&trees->dev[l->dev[i]]);

	return l->all || (nr > 1 && (l->want + (nr - 1) * mapped > l->give || !have_two_roots(l, mapped)));
}

int devices_add_gaps(struct assign *as, struct err *err)
{
	struct trees *trees = as->trees;
	CLEANUP(free_ptr) uint32_t *dev = malloc((trees->nr_devs + 1) * sizeof(*dev));
	struct lost_roots l = { .dev = dev };
	int r;

	if (!dev)
		return err_nomem(err, "salvage: devices");
	for (size_t i = 0; i < trees->nr_devs; i++)
		if (trees->dev[i].root == NONE)
			dev[l.nr++] = (uint32_t)i;
	if (!l.nr)
		return 0;
	qsort_r(dev, l.nr, sizeof(*dev), by_mapped, trees->dev);
	for (uint32_t i = 0; i < l.nr; i = end_of_group(trees, dev, i, l.nr))
		if (mapped_of(&trees->dev[dev[i]]) != UINT64_MAX)
			l.want += mapped_of(&trees->dev[dev[i]]);
	r = find_orphans(as->counts, &l, err);
	l.all = counts_have_unknown(as->counts) && datamap_sum(as->datamap) <= l.want;
	for (uint32_t i = 0, end; i < l.nr && !r; i = end) {
		uint32_t root = trees_make_gap(trees, TREE_MAPPING, NONE, -1, 0, UINT64_MAX, err);

		r = root == NONE ? -ENOMEM : 0;
		end = end_of_group(trees, dev, i, l.nr);
		end = had_common_root(trees, &l, i, end) ? end : i + 1;
		for (uint32_t k = i; k < end; k++)
			trees->dev[dev[k]].root = root;
	}
	free(l.orphans.data);
	return r;
}
