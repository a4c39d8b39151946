/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Damage in the mapping forest belongs to devices: to one, or with shared nodes to many.  Nodes
 * with a fault or an issue are marked, and the sets of devices that own marked nodes are found.
 * A small file may hold any number of pairs of a device and a marked node: all that is done for
 * each device of a set is done once a set, however many nodes have it.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/search.h"
#include "base/vec.h"
#include "pool/check/impl.h"
#include "pool/forest/owners.h"

/* Where the ids of a set's devices are in the findings. */
struct told_set {
	size_t at;
	uint32_t nr; /* 0: not there yet */
};

struct view_owners {
	struct view *view;
	struct owners *owners; /* device i of the view has number i + 1 */
	struct owners_list list;
	struct told_set *told; /* by set */
	uint8_t *damaged;      /* by set: its devices are marked so */
};

static void view_owners_fini(struct view_owners *vo)
{
	owners_free(vo->owners);
	owners_list_fini(&vo->list);
	free(vo->told);
	free(vo->damaged);
}

static int no_memory(struct check *c)
{
	return err_nomem(c->err, "owners of damaged nodes");
}

static int find_owners(struct check *c, struct view *v, struct view_owners *vo)
{
	CLEANUP(free_ptr) struct owners_root *root = malloc((v->nr + 1) * sizeof(*root));
	size_t nr = 0, nr_sets;

	if (!root)
		return no_memory(c);
	for (size_t i = 0; i < v->nr; i++)
		if (v->dev[i].has_root)
			root[nr++] = (struct owners_root) { v->dev[i].root, (uint32_t)i + 1 };
	vo->view = v;
	vo->owners = owners_new(c->devices, root, nr, (uint32_t)v->nr, c->nr_blocks, true, c->err);
	if (!vo->owners)
		return -ENOMEM;
	nr_sets = owners_nr_sets(vo->owners);
	vo->told = calloc(nr_sets + 1, sizeof(*vo->told));
	vo->damaged = calloc(nr_sets + 1, 1);
	return vo->told && vo->damaged ? 0 : no_memory(c);
}

/* --- nodes --- */

/* The node whose owners a fault concerns. */
static uint64_t fault_block(const struct walk_fault *wf)
{
	return wf->parent != WALK_NONE ? wf->parent : wf->block;
}

/*
 * Marks the devices of the set as damaged: their trees are incomplete, so their mappings are not
 * counted.
 */
static int mark_damaged(struct check *c, struct view_owners *vo, uint32_t set)
{
	if (vo->damaged[set])
		return 0;
	vo->damaged[set] = 1;
	if (owners_devices(vo->owners, set, &vo->list))
		return no_memory(c);
	for (size_t i = 0; i < vo->list.nr; i++)
		vo->view->dev[vo->list.dev[i] - 1].damaged = true;
	return 0;
}

/* Adds a finding that concerns the devices of @set. */
static int add_for_set(struct check *c, struct view_owners *vo, const struct finding *f,
		       uint32_t set)
{
	struct findings *fs = &c->out->findings;
	struct told_set *told = &vo->told[set];
	uint32_t *id;

	if (told->nr) {
		findings_add_again(fs, f, told->at, told->nr);
		return 0;
	}
	if (owners_devices(vo->owners, set, &vo->list))
		return no_memory(c);
	id = malloc((vo->list.nr + 1) * sizeof(*id));
	if (!id)
		return no_memory(c);
	for (size_t i = 0; i < vo->list.nr; i++)
		id[i] = vo->view->dev[vo->list.dev[i] - 1].id;
	told->at = fs->nr_dev;
	told->nr = (uint32_t)vo->list.nr;
	findings_add(fs, f, id, vo->list.nr);
	free(id);
	return 0;
}

static int node_finding(struct check *c, const struct walk_fault *wf, struct view_owners *vo,
			uint32_t set)
{
	struct finding f =
		finding_make(FOUND_NODE_UNREADABLE + (wf->fault - NODE_UNREADABLE), AREA_DEVICE);

	f.held = vo->view->held;
	f.block = wf->block;
	if (wf->parent != WALK_NONE)
		f.parent = wf->parent;
	f.has_range = true;
	f.begin = wf->begin;
	f.last = wf->last;
	f.error = wf->io_error;
	f.leaf = !walk_height(c->devices, wf->block);
	return add_for_set(c, vo, &f, set);
}

/* --- issues of leaves, one finding for each device and kind --- */

struct sum {
	uint64_t first, last, count, worst;
};

/* An issue of a leaf that the devices of a set own; then the sum of it and those before it in the set. */
struct owned_issue {
	uint32_t set;
	uint64_t worst; /* its own */
	struct sum sum;
};

static void add_to_sum(struct sum *s, const struct sum *i)
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

/* By set, the worst of each first. */
static int by_set(const void *va, const void *vb)
{
	const struct owned_issue *a = va, *b = vb;

	if (a->set != b->set)
		return a->set < b->set ? -1 : 1;
	return a->worst > b->worst ? -1 : a->worst < b->worst;
}

/* The issues of @kind that some device has; those that the view @before has are left out. */
static int gather_issues(struct check *c, const struct view_owners *vo, enum finding_kind kind,
			 const struct view_owners *before, struct owned_issue **out, size_t *nr)
{
	size_t cap = 0;

	for (unsigned w = 0; w < stream_nr_workers(&c->stream); w++) {
		for (size_t k = 0; k < c->map_worker[w].nr_issues; k++) {
			const struct leaf_issue *i = &c->map_worker[w].issue[k];
			uint32_t set = i->kind == kind ? owners_of(vo->owners, i->block) : 0;
			struct owned_issue *to;

			if (!set || (before && owners_of(before->owners, i->block)))
				continue;
			to = vec_add(*out, *nr, cap);
			if (!to)
				return no_memory(c);
			*to = (struct owned_issue) { set,
						     i->worst,
						     { i->first, i->last, i->count, i->worst } };
		}
	}
	if (*nr)
		qsort(*out, *nr, sizeof(**out), by_set);
	return 0;
}

/* Adds @nr issues of one set, the worst first, to the sums of its devices. */
static int add_to_devices(struct check *c, struct view_owners *vo, enum finding_kind kind,
			  struct owned_issue *issue, size_t nr, struct sum *sum)
{
	for (size_t i = 1; i < nr; i++)
		add_to_sum(&issue[i].sum, &issue[i - 1].sum);
	if (owners_devices(vo->owners, issue->set, &vo->list))
		return no_memory(c);
	for (size_t i = 0; i < vo->list.nr; i++) {
		const uint32_t at = vo->list.dev[i] - 1;
		const struct device *d = &vo->view->dev[at];
		size_t n = nr;

		if (kind == FOUND_SHARED_TIME)
			n = d->has_details ? search_first(k, nr, issue[k].worst < d->snap_time) : 0;
		if (n)
			add_to_sum(&sum[at], &issue[n - 1].sum);
	}
	return 0;
}

static int issue_findings(struct check *c, struct view_owners *vo, enum finding_kind kind,
			  const struct view_owners *before)
{
	const struct view *v = vo->view;
	CLEANUP(free_ptr) struct sum *sum = calloc(v->nr + 1, sizeof(*sum));
	CLEANUP(free_ptr) struct owned_issue *issue = NULL;
	size_t nr = 0, end;
	int r;

	if (!sum)
		return no_memory(c);
	r = gather_issues(c, vo, kind, before, &issue, &nr);
	for (size_t i = 0; i < nr && !r; i = end) {
		for (end = i; end < nr && issue[end].set == issue[i].set; end++)
			;
		r = add_to_devices(c, vo, kind, issue + i, end - i, sum);
	}
	for (size_t i = 0; i < v->nr && !r; i++)
		if (sum[i].count)
			sum_finding(c, v, &v->dev[i], kind, &sum[i]);
	return r;
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
static int view_findings(struct check *c, struct view *v, struct view_owners *vo,
			 const struct view_owners *before)
{
	static const enum finding_kind kinds[] = { FOUND_DATA_OUTSIDE, FOUND_MAPPING_TIME,
						   FOUND_SHARED_TIME };
	const struct walk_fault *fault;
	size_t nr;
	int r = find_owners(c, v, vo);

	fault = walk_faults(c->devices, &nr);
	for (size_t i = 0; i < nr && !r; i++) {
		uint64_t key = fault_block(&fault[i]);
		uint32_t set = owners_of(vo->owners, key);

		if (set)
			r = mark_damaged(c, vo, set);
		if (!r && (before ? !owners_of(before->owners, key) : set || v == &c->held))
			r = node_finding(c, &fault[i], vo, set);
	}
	for (unsigned k = 0; k < ARRAY_SIZE(kinds) && !r; k++)
		r = issue_findings(c, vo, kinds[k], before);
	return r;
}

int check_device_findings(struct check *c)
{
	struct view_owners live = { 0 }, held = { 0 };
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
	view_owners_fini(&live);
	view_owners_fini(&held);
	return r;
}
