/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Which keys of a device are lost, dropped, likely or open.  A gap whose device has all the
 * mappings that its details promise, or that the maps prove, has lost nothing and is not reported.
 * Open are also all mappings of a data block that has more of them than the data map counts: one of them is of another time.
 */
#include <stdlib.h>

#include "pool/report/impl.h"

static void add_range(struct runs *r, uint64_t begin, uint64_t last)
{
	if (begin <= last)
		(void)runs_add(r, begin, last == UINT64_MAX ? last : last + 1);
}

/* The keys that a lost node was for, less those of the children that were found. */
static void tell_gap(struct telling *t, const struct snode *n, uint64_t begin, uint64_t last,
		     struct device_report *d)
{
	const struct salvage *s = t->s;

	for (uint32_t k = 0; k < n->nr_edges; k++) {
		const struct snode *c = &s->graph.node[s->graph.edge[n->edge + k].node];

		if (c->first > begin)
			add_range(&d->lost, begin, c->first - 1);
		if (c->last >= last)
			return;
		begin = MAX(begin, c->last + 1);
	}
	add_range(&d->lost, begin, last);
}

/* Does mapping @k of a leaf lead to a data block that has more of them than the data map counts? */
static bool is_over(const struct telling *t, const struct view *v, uint32_t k)
{
	return t->s->datamap.over && datamap_count(t->s->datamap.over, mapping_block(view_value(v, k)));
}

static void tell_leaf(struct telling *t, uint32_t i, struct device_report *d)
{
	const struct snode *n = &t->s->graph.node[i];
	struct run run[INTERNAL_MAX];
	struct runs kept;
	struct view v;
	uint32_t nr;

	if (graph_get(&t->s->graph, n->block, t->buf, NULL) < 0 || !view_open(&v, t->buf))
		return;
	nr = view_runs(&v, t->s->graph.nr_data_blocks, run);
	runs_init(&kept);
	for (uint32_t k = 0; k < nr; k++)
		(void)runs_add(&kept, run[k].vbegin, run[k].vbegin + run[k].len);
	for (uint32_t k = 0; k < v.nr; k++)
		if (!runs_has(&kept, view_key(&v, k)))
			add_range(&d->dropped, view_key(&v, k), view_key(&v, k));
	runs_fini(&kept);
	for (uint32_t k = 0; k < v.nr; k++)
		if (is_over(t, &v, k))
			add_range(&d->open, view_key(&v, k), view_key(&v, k));
}

/* How certain is it that a node belongs here?  @doubtful: unless numbers confirm it, no more than likely. */
static void tell_certainty(const struct telling *t, uint32_t i, bool doubtful, struct device_report *d)
{
	const struct snode *n = &t->s->graph.node[i];

	if ((n->certainty != CERTAINTY_PROVED || (doubtful && !d->confirmed)) && n->nr_mappings)
		add_range(n->certainty == CERTAINTY_OPEN ? &d->open : &d->likely, n->first, n->last);
}

static void walk(struct telling *t, uint32_t i, uint64_t begin, uint64_t last,
		 struct device_report *d, unsigned depth)
{
	const struct salvage *s = t->s;
	const struct graph *g = &s->graph;
	const struct snode *n = &g->node[i];

	if (!graph_has_holes(g, i, t->holes, 0) || depth > 200)
		return;
	if (n->flags & SN_LEAF) {
		tell_leaf(t, i, d);
		return;
	}
	if (n->flags & SN_VIRTUAL)
		tell_gap(t, n, MAX(begin, n->first), MIN(last, n->last), d);
	for (uint32_t k = 0; n->flags & SN_VIRTUAL && k < n->nr_edges; k++)
		if (g->edge[n->edge + k].node != NONE)
			tell_certainty(t, g->edge[n->edge + k].node, true, d);
	for (uint32_t k = 0; k < n->nr_edges; k++) {
		const struct edge *e = &g->edge[n->edge + k];
		uint64_t end = k + 1 < n->nr_edges ? g->edge[n->edge + k + 1].key - 1 : last;

		if (e->node != NONE)
			walk(t, e->node, MAX(begin, e->key), MIN(last, end), d, depth + 1);
	}
}

static void note_over(void *ctx, uint32_t node, const struct view *v)
{
	const struct telling *t = ctx;

	for (uint32_t k = 0; k < v->nr; k++)
		if (is_over(t, v, k))
			t->holes[node] = HOLES_SOME;
}

/* Notes the leaves which have such mappings. */
static int note_leaves(struct telling *t)
{
	struct graph *g = &t->s->graph;
	struct vec leaves = { 0 };
	int r = 0;

	for (uint32_t i = 0; t->s->datamap.over && i < g->nr_nodes && !r; i++)
		if (g->node[i].tree == TREE_MAPPING && (g->node[i].flags & (SN_LEAF | SN_LIVE)) == (SN_LEAF | SN_LIVE))
			r = vec_put(&leaves, i);
	if (!r && leaves.nr)
		r = graph_read_leaves(g, &leaves, note_over, t, NULL);
	free(leaves.data);
	return r;
}

int telling_init(struct telling *t, struct salvage *s)
{
	*t = (struct telling) { .s = s,
				.holes = calloc((size_t)s->graph.nr_nodes + 1, 1),
				.gaps = calloc((size_t)s->graph.nr_nodes + 1, 1),
				.buf = io_alloc(MBLOCK_SIZE) };
	return t->holes && t->gaps && t->buf && !note_leaves(t) ? 0 : -1;
}

void telling_fini(struct telling *t)
{
	free(t->holes);
	free(t->gaps);
	free(t->buf);
}

/*
 * Was the tree found, or named by a top level that was?  Or has it another number of mappings than it should, though nothing is lost: is a part
 * of it an older content?
 */
static bool root_is_doubtful(const struct telling *t, const struct sdevice *dev)
{
	const struct graph *g = &t->s->graph;
	const uint32_t top = t->s->trees.map_root;

	return dev->root_found || (top != NONE && g->node[top].flags & SN_VIRTUAL) ||
	       (!graph_has_holes(g, dev->root, t->gaps, 0) && tell_tree_may_be_older(&t->s->tell, dev));
}

void report_device(struct telling *t, const struct sdevice *dev, struct device_report *d)
{
	runs_init(&d->lost);
	runs_init(&d->dropped);
	runs_init(&d->likely);
	runs_init(&d->open);
	d->confirmed = tell_device_is_confirmed(&t->s->tell, dev);
	if (dev->root != NONE)
		tell_certainty(t, dev->root, root_is_doubtful(t, dev), d);
	if (dev->root != NONE)
		walk(t, dev->root, 0, UINT64_MAX, d, 0);
	if (t->s->tell.mappings_back || (dev->source == DETAILS_LIVE && dev->info.mapped_blocks == dev->nr_mappings))
		runs_fini(&d->lost);
}

void device_report_fini(struct device_report *d)
{
	runs_fini(&d->lost);
	runs_fini(&d->dropped);
	runs_fini(&d->likely);
	runs_fini(&d->open);
}

uint64_t nr_missing(const struct sdevice *d)
{
	return d->source == DETAILS_LIVE && d->info.mapped_blocks > d->nr_mappings
		       ? d->info.mapped_blocks - d->nr_mappings
		       : 0;
}

const char *certainty_text(const struct sdevice *dev, const struct device_report *d)
{
	return nr_missing(dev) || d->lost.nr || d->dropped.nr	     ? "lost"
	       : d->open.nr || dev->id_invented ? "open"
	       : d->likely.nr || (dev->root_found && !dev->root_given && !d->likely.nr &&
				  dev->source != DETAILS_LIVE)
		       ? "likely"
		       : "proved";
}
