/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Older copies.  A node may have been replaced by an older copy of itself.  Then a device lacks mappings though its
 * tree looks whole, and what the older copy did not have yet is left without a parent.  Or all nodes are older than
 * the superblock; their times tell.
 */
#include "pool/salvage/witness/datamap.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/overflow.h"
#include "pdata/block/refmap.h"

/*
 * Devices times orphans, of which a pool with a damage has few, and a disk made to cost time many.  Beyond that older copies
 * stay, and the devices that lack mappings are told.
 */
#define MAX_LOOKS ((size_t)50 << 20)
#define MANY_SNAPSHOTS 65536 /* a time later than this is a damaged one */

/*
 * Where in the tree at @root an orphan should hang: the node that would be its parent, or a root that is too low for
 * one.  NONE: in a part that is lost.
 */
static uint32_t host_of(const struct graph *g, uint32_t root, const struct snode *orphan)
{
	const uint32_t host = graph_descend(g, root, orphan->first, orphan->height + 1);

	return host != NONE && g->node[host].flags & SN_VIRTUAL ? NONE : host;
}

/*
 * The nodes of mappings that are in use and have fewer parents than the metadata map counts; where it is lost, those
 * that nothing points to.  Returns how many.
 */
static size_t find_orphans(const struct counts *counts, uint32_t *list)
{
	size_t nr = 0;

	for (uint32_t i = 0; i < counts->graph->nr_nodes; i++) {
		const struct snode *n = &counts->graph->node[i];

		if (n->tree == TREE_MAPPING && !(n->flags & SN_VIRTUAL) && n->nr_mappings &&
		    (counts_know(counts, n->block) ? counts_lack(counts, n->block) > 0 : !(n->flags & (SN_CHILD | SN_LIVE))))
			list[nr++] = i;
	}
	return nr;
}

struct question {
	const struct data_counts *data;
	bool any_missing;
};

/* 1 when the leaf maps a data block that is free. */
static int ask_data_map(void *ctx, const struct view *v)
{
	struct question *q = ctx;

	for (uint32_t i = 0; i < v->nr; i++) {
		uint64_t b = mapping_block(view_value(v, i));
		uint32_t stored = datamap_count(q->data->stored, b);

		if (!stored)
			return 1;
		q->any_missing |= stored > refmap_get(q->data->refs, b);
	}
	return 0;
}

/* Are all data blocks that the tree maps in use, and does one of them lack a mapping? */
static bool is_missing(const struct graph *g, uint32_t root, const struct data_counts *data)
{
	struct question q = { data, false };

	return !graph_each_leaf(g, root, 8, ask_data_map, &q, NULL) && q.any_missing;
}

/*
 * Is one of the orphans a whole tree of just as many mappings as the details of @d say?  Where the metadata map does
 * not know it, the data map must miss it.
 */
static bool has_orphan_of(const struct counts *counts, const struct sdevice *d, const uint32_t *orphan, size_t nr,
			  const struct data_counts *data)
{
	const struct graph *g = counts->graph;

	for (size_t i = 0; i < nr; i++) {
		const struct snode *n = &g->node[orphan[i]];

		if (n->nr_mappings != d->info.mapped_blocks || n->flags & SN_BROKEN)
			continue;
		return counts_know(counts, n->block) || !data->whole || is_missing(g, orphan[i], data);
	}
	return false;
}

/* Denies the leaves of the top level that name a device of which @wrong, by index, is set. */
static void deny_tops(const struct trees *trees, const uint8_t *wrong)
{
	const struct graph *g = trees->graph;

	for (uint32_t i = 0; i < g->nr_nodes; i++) {
		struct snode *n = &g->node[i];

		if (n->tree != TREE_TOP || !(n->flags & SN_LEAF) || !(n->flags & SN_LIVE))
			continue;
		for (uint32_t k = 0; k < n->nr_edges; k++) {
			const struct sdevice *d = trees_find_device(trees, g->edge[n->edge + k].key);

			if (d && wrong[d - trees->dev])
				n->flags |= SN_DENIED;
		}
	}
}

/* Does the node name an intact one that could be its child, but for the keys?  Else that one may have been replaced. */
static bool is_contradicted(const struct graph *g, const struct snode *n)
{
	for (uint32_t k = 0; k < n->nr_edges && !(n->flags & SN_LEAF); k++) {
		const uint32_t there = node_of(g, g->edge[n->edge + k].block);

		if (there != NONE && there != g->edge[n->edge + k].node && g->node[there].tree == TREE_MAPPING &&
		    g->node[there].height + 1 == n->height && !(g->node[there].flags & SN_VIRTUAL))
			return true;
	}
	return false;
}

/* Denies the nodes of the device's tree where orphans should hang; @holes: where the tree has gaps, of a child, too. */
static void deny_hosts(const struct counts *counts, const struct sdevice *d, const uint32_t *orphan, size_t nr,
		       bool holes)
{
	const struct graph *g = counts->graph;
	const uint64_t lacks = d->info.mapped_blocks - g->node[d->root].nr_mappings;

	for (size_t i = 0; i < nr; i++) {
		const struct snode *n = &g->node[orphan[i]];
		uint32_t host = n->nr_mappings > lacks ? NONE : host_of(g, d->root, n);

		if (host != NONE && counts_know(counts, n->block) && (!holes || is_contradicted(g, &g->node[host])))
			g->node[host].flags |= SN_DENIED;
	}
}

/*
 * Denies roots that are leaves, of devices that have more mappings than a leaf: twice as many as that one, by their details, if
 * nodes that lack a parent, or may, have so many; or by older details, if such in use have.
 */
static int deny_small_roots(const struct counts *counts, const uint32_t *orphan, size_t nr)
{
	const struct graph *g = counts->graph;
	struct trees *trees = counts->trees;
	CLEANUP(free_ptr) struct older_details *of = NULL;
	uint64_t sum = 0, in_use = 0;

	for (size_t i = 0; i < nr; i++) {
		const struct snode *n = &g->node[orphan[i]];

		sum += n->nr_mappings;
		in_use += counts_know(counts, n->block) ? n->nr_mappings : 0;
	}
	if (in_use && !trees_have_details(trees) && trees_youngest_older(trees, &of, NULL) == -ENOMEM)
		return -ENOMEM;
	for (size_t k = 0; k < trees->nr_devs; k++) {
		const struct sdevice *d = &trees->dev[k];
		const bool live = d->source == DETAILS_LIVE;
		const uint64_t should = live ? d->info.mapped_blocks : of ? of[k].info.mapped_blocks : 0;

		if (d->root != NONE && !d->root_given && g->node[d->root].flags & SN_LEAF && should > INTERNAL_MAX &&
		    should / 2 <= (live ? sum : in_use) && (!live || should / 2 >= g->node[d->root].nr_mappings))
			g->node[d->root].flags |= SN_DENIED;
	}
	return 0;
}

int deny_outdated(struct counts *counts, const struct data_counts *data)
{
	const struct graph *g = counts->graph;
	const struct trees *trees = counts->trees;
	CLEANUP(free_ptr) uint8_t *memo = calloc((size_t)g->nr_nodes + 1, 1);
	CLEANUP(free_ptr) uint8_t *wrong = calloc(trees->nr_devs + 1, 1); /* named by the top level */
	CLEANUP(free_ptr) uint32_t *orphan = calloc((size_t)g->nr_nodes + 1, sizeof(*orphan));
	size_t nr, looks = 0;
	bool any = false;

	if (!memo || !wrong || !orphan)
		return -ENOMEM;
	graph_mark_children(counts->graph, 0);
	nr = find_orphans(counts, orphan);
	for (size_t k = 0; nr && k < trees->nr_devs && looks < MAX_LOOKS; k++) {
		const struct sdevice *d = &trees->dev[k];
		const uint64_t have = d->root == NONE ? 0 : g->node[d->root].nr_mappings, should = d->info.mapped_blocks;

		const bool holes = d->root != NONE && graph_has_holes(g, d->root, memo, 0);

		if (d->root == NONE || d->source != DETAILS_LIVE || d->root_given || have == should)
			continue;
		looks += nr;
		if (!holes && d->in_top && has_orphan_of(counts, d, orphan, nr, data))
			wrong[k] = any = true;
		else if (have < should)
			deny_hosts(counts, d, orphan, nr, holes);
	}
	if (!any)
		return deny_small_roots(counts, orphan, nr);
	deny_tops(trees, wrong);
	return 0;
}

/* Is it later than the superblock's time @now, and by so little that a superblock of some commits before explains it? */
static bool is_later(uint32_t time, uint32_t now)
{
	return time > now && time - now < MANY_SNAPSHOTS;
}

uint32_t nr_later(const struct trees *trees)
{
	const uint32_t now = trees->super->sb.time;
	uint32_t nr = 0;

	for (size_t i = 0; i < trees->nr_devs; i++) {
		const struct sdevice *d = &trees->dev[i];

		nr += d->source == DETAILS_LIVE &&
		      (is_later(d->info.creation_time, now) || (is_later(d->info.snap_time, now) && !d->snap_time_raised));
	}
	return nr;
}

struct snapshots {
	const struct trees *trees;
	uint32_t newest; /* time of the details */
	bool found;
};

/* Is it the same device, after a snapshot of it that the superblock's state has and the present trees have not? */
static void look_for_snapshot(void *ctx, struct sdevice *d, const struct device_info *then, uint32_t age)
{
	struct snapshots *s = ctx;

	(void)age;
	s->found |= d->source == DETAILS_LIVE && same_creation(&d->info, then) && then->snap_time > s->newest &&
		    then->snap_time <= s->trees->super->sb.time;
}

bool has_newer_details(struct counts *counts)
{
	struct trees *trees = counts->trees;
	struct snapshots s = { trees, trees_newest_time(trees), false };

	if (!trees_fit_details(trees))
		return false;
	s.found = s.newest < counts->super->sb.time && counts_lack_parents(counts);
	(void)trees_each_older(trees, look_for_snapshot, &s, NULL);
	return s.found;
}
