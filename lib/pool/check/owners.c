/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Damage in the mapping forest belongs to devices: to one, or with shared nodes to many.  Nodes
 * with a fault or an issue are marked; each device's tree is searched for marks, without
 * entering what has none; the pairs found are joined with the faults.  Devices with one root are
 * searched once, as one group: a small file may hold any number of them.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/search.h"
#include "base/vec.h"
#include "pool/check/impl.h"

struct owner {
	uint64_t block;
	uint32_t group;
};

struct owner_list {
	struct owner *o;
	size_t nr, cap;
	uint32_t group; /* being searched */
	uint32_t *dev;	/* indices in the view, those with one root beside each other */
	uint32_t *begin; /* of each group in dev, and the end of the last */
};

static void owner_list_fini(struct owner_list *os)
{
	free(os->o);
	free(os->dev);
	free(os->begin);
}

static int note_owner(void *ctx, mblock_t block)
{
	struct owner_list *os = ctx;
	struct owner *p = vec_add(os->o, os->nr, os->cap);

	if (!p)
		return -ENOMEM;
	*p = (struct owner) { block, os->group };
	return 0;
}

static int by_block(const void *a, const void *b)
{
	const struct owner *x = a, *y = b;

	if (x->block != y->block)
		return x->block < y->block ? -1 : 1;
	return x->group < y->group ? -1 : x->group > y->group;
}

/* A damaged tree may lead to a node twice: an owner all the same is one owner. */
static void drop_repeated(struct owner_list *os)
{
	size_t nr = 0;

	for (size_t i = 0; i < os->nr; i++)
		if (!nr || by_block(&os->o[nr - 1], &os->o[i]))
			os->o[nr++] = os->o[i];
	os->nr = nr;
}

static int by_root(const void *a, const void *b, void *ctx)
{
	const struct view *v = ctx;
	const struct device *x = &v->dev[*(const uint32_t *)a], *y = &v->dev[*(const uint32_t *)b];

	if (x->root != y->root)
		return x->root < y->root ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

/* Groups the devices that have a tree by its root; returns how many groups there are. */
static uint32_t group_devices(const struct view *v, struct owner_list *os)
{
	uint32_t nr = 0, groups = 0;

	for (size_t i = 0; i < v->nr; i++)
		if (v->dev[i].has_root)
			os->dev[nr++] = (uint32_t)i;
	if (nr)
		qsort_r(os->dev, nr, sizeof(*os->dev), by_root, (void *)(uintptr_t)v);
	for (uint32_t i = 0; i < nr; i++)
		if (!i || v->dev[os->dev[i]].root != v->dev[os->dev[i - 1]].root)
			os->begin[groups++] = i;
	os->begin[groups] = nr;
	return groups;
}

static int find_owners(struct check *c, const struct view *v, struct owner_list *os)
{
	uint32_t groups;

	os->dev = malloc((v->nr + 1) * sizeof(*os->dev));
	os->begin = malloc((v->nr + 1) * sizeof(*os->begin));
	if (!os->dev || !os->begin)
		return err_nomem(c->err, "owners of damaged nodes");
	groups = group_devices(v, os);
	for (os->group = 0; os->group < groups; os->group++)
		if (walk_marked(c->devices, v->dev[os->dev[os->begin[os->group]]].root, note_owner, os))
			return err_nomem(c->err, "owners of damaged nodes");
	if (os->nr)
		qsort(os->o, os->nr, sizeof(*os->o), by_block);
	drop_repeated(os);
	return 0;
}

/* The owners of a block: os->o[first..end) */
static size_t list_owners(const struct owner_list *os, uint64_t block, size_t *end)
{
	size_t first = search_first(i, os->nr, os->o[i].block >= block);

	for (*end = first; *end < os->nr && os->o[*end].block == block; ++*end)
		;
	return first;
}

/* --- nodes --- */

/* The node whose owners a fault concerns. */
static uint64_t fault_block(const struct walk_fault *wf)
{
	return wf->parent != WALK_NONE ? wf->parent : wf->block;
}

/* What can be seen of the owners' trees is not all: nobody shall count there. */
static void mark_damaged(const struct walk_fault *wf, struct view *v, const struct owner_list *os)
{
	size_t end;

	for (size_t i = list_owners(os, fault_block(wf), &end); i < end; i++)
		for (uint32_t k = os->begin[os->o[i].group]; k < os->begin[os->o[i].group + 1]; k++)
			v->dev[os->dev[k]].damaged = true;
}

static int by_id(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static int node_finding(struct check *c, const struct walk_fault *wf, const struct view *v,
			const struct owner_list *os)
{
	struct finding f =
		finding_make(FOUND_NODE_UNREADABLE + (wf->fault - NODE_UNREADABLE), AREA_DEVICE);
	size_t end, nr = 0, first = list_owners(os, fault_block(wf), &end);
	uint32_t *dev;

	for (size_t i = first; i < end; i++)
		nr += os->begin[os->o[i].group + 1] - os->begin[os->o[i].group];
	dev = malloc((nr + 1) * sizeof(*dev));
	if (!dev)
		return err_nomem(c->err, "owners of damaged nodes");
	f.held = v->held;
	f.block = wf->block;
	if (wf->parent != WALK_NONE)
		f.parent = wf->parent;
	f.has_range = true;
	f.begin = wf->begin;
	f.last = wf->last;
	f.error = wf->io_error;
	f.leaf = !walk_height(c->devices, wf->block);
	nr = 0;
	for (size_t i = first; i < end; i++)
		for (uint32_t k = os->begin[os->o[i].group]; k < os->begin[os->o[i].group + 1]; k++)
			dev[nr++] = v->dev[os->dev[k]].id;
	if (nr)
		qsort(dev, nr, sizeof(*dev), by_id);
	findings_add(&c->out->findings, &f, dev, nr);
	free(dev);
	return 0;
}

/* --- issues of leaves, one finding for each device and kind --- */

struct sum {
	uint64_t first, last, count, worst;
};

static void add_to_sum(struct sum *s, const struct leaf_issue *i)
{
	s->first = s->count ? MIN(s->first, i->first) : i->first;
	s->last = MAX(s->last, i->last);
	s->count += i->count;
	s->worst = MAX(s->worst, i->worst);
}

static void sum_finding(struct check *c, const struct view *v, const struct device *d,
			enum finding_kind kind, const struct sum *s)
{
	struct finding f = finding_make(kind, AREA_DEVICE);

	f.held = v->held;
	f.has_range = f.has_values = true;
	f.begin = s->first;
	f.last = s->last;
	f.count = s->count;
	f.stored = s->worst;
	f.expected = kind == FOUND_DATA_OUTSIDE	  ? c->nr_data
		     : kind == FOUND_MAPPING_TIME ? c->out->sb.time
						  : d->snap_time;
	findings_add(&c->out->findings, &f, &d->id, 1);
}

/* Adds @i, of a leaf that the devices of @group own, to their sums. */
static void add_to_group(const struct view *v, const struct owner_list *os, uint32_t group,
			 enum finding_kind kind, const struct leaf_issue *i, struct sum *sum)
{
	for (uint32_t k = os->begin[group]; k < os->begin[group + 1]; k++) {
		const struct device *d = &v->dev[os->dev[k]];

		if (kind != FOUND_SHARED_TIME || (d->has_details && i->worst >= d->snap_time))
			add_to_sum(&sum[os->dev[k]], i);
	}
}

static int issue_findings(struct check *c, const struct view *v, const struct owner_list *os,
			  enum finding_kind kind, const struct owner_list *before)
{
	struct sum *sum = calloc(v->nr + 1, sizeof(*sum));

	if (!sum)
		return err_nomem(c->err, "findings");
	for (unsigned w = 0; w < stream_nr_workers(&c->stream); w++) {
		for (size_t k = 0; k < c->map_worker[w].nr_issues; k++) {
			const struct leaf_issue *i = &c->map_worker[w].issue[k];
			size_t end,
				o = i->kind == kind ? list_owners(os, i->block, &end) : (end = 0);
			size_t live_end;

			if (before && i->kind == kind &&
			    list_owners(before, i->block, &live_end) != live_end)
				continue;
			for (; o < end; o++)
				add_to_group(v, os, os->o[o].group, kind, i, sum);
		}
	}
	for (size_t i = 0; i < v->nr; i++)
		if (sum[i].count)
			sum_finding(c, v, &v->dev[i], kind, &sum[i]);
	free(sum);
	return 0;
}

static bool nothing_wrong(struct check *c)
{
	size_t nr;

	walk_faults(c->devices, &nr);
	for (unsigned w = 0; w < stream_nr_workers(&c->stream); w++)
		nr += c->map_worker[w].nr_issues;
	return !nr;
}

/* All findings of one view; those that the live view has (@before) are not repeated. */
static int view_findings(struct check *c, struct view *v, struct owner_list *os,
			 const struct owner_list *before)
{
	static const enum finding_kind kinds[] = { FOUND_DATA_OUTSIDE, FOUND_MAPPING_TIME,
						   FOUND_SHARED_TIME };
	const struct walk_fault *fault;
	size_t nr, end;
	int r = find_owners(c, v, os);

	fault = walk_faults(c->devices, &nr);
	for (size_t i = 0; i < nr && !r; i++) {
		uint64_t key = fault_block(&fault[i]);

		mark_damaged(&fault[i], v, os);
		if (before ? list_owners(before, key, &end) == end
			   : list_owners(os, key, &end) != end || v == &c->held)
			r = node_finding(c, &fault[i], v, os);
	}
	for (unsigned k = 0; k < ARRAY_SIZE(kinds) && !r; k++)
		r = issue_findings(c, v, os, kinds[k], before);
	return r;
}

int check_device_findings(struct check *c)
{
	struct owner_list live = { 0 }, held = { 0 };
	int r = 0;

	if (nothing_wrong(c))
		return 0;
	for (unsigned w = 0; w < stream_nr_workers(&c->stream); w++)
		for (size_t k = 0; k < c->map_worker[w].nr_issues; k++)
			walk_mark(c->devices, c->map_worker[w].issue[k].block);
	if (c->opt->snap) {
		r = view_findings(c, &c->held, &held, NULL);
	} else {
		r = view_findings(c, &c->live, &live, NULL);
		if (!r)
			r = view_findings(c, &c->held, &held, &live);
	}
	owner_list_fini(&live);
	owner_list_fini(&held);
	return r;
}
