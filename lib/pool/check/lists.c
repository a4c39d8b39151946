/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* The two lists of devices, top level and details, joined by id. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/order.h"
#include "base/vec.h"
#include "pool/check/impl.h"
#include "pool/format/pool_info.h"

/* --- top level and details --- */

static int take_list_leaf(void *ctx, unsigned worker, mblock_t block, uint32_t attr,
			  const struct node *n)
{
	struct list *l = ctx;
	struct list_worker *me = &l->worker[worker];

	(void)attr;
	for (uint32_t i = 0; i < n->nr; i++) {
		struct list_entry *e = vec_add(me->e, me->nr, me->cap);
		struct device_info d;

		if (!e)
			return -ENOMEM;
		*e = (struct list_entry) { .key = node_key(n, i), .leaf = (uint32_t)block };
		if (l->area == AREA_TOP_LEVEL) {
			e->root = node_value64(n, i);
			continue;
		}
		device_info_decode(&d, (uint32_t)e->key, node_value(n, i));
		e->mapped = d.mapped_blocks;
		e->creation_time = d.creation_time;
		e->snap_time = d.snap_time;
	}
	return 0;
}

int check_by_key(const void *a, const void *b)
{
	const struct list_entry *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return x->leaf < y->leaf ? -1 : x->leaf > y->leaf;
}

/* Walks the tree under @root and adds its entries, but for those known already, to l->e. */
int check_list_add(struct check *c, struct list *l, mblock_t root)
{
	const struct walk_root r = { .block = root };
	unsigned nr_workers = stream_nr_workers(&c->stream);
	size_t nr = l->nr;
	struct list_entry *e;

	if (walk_add(l->walk, &r, 1, c->err))
		return -ENOMEM;
	for (unsigned i = 0; i < nr_workers; i++)
		nr += l->worker[i].nr;
	e = reallocarray(l->e, nr + 1, sizeof(*e));
	if (!e)
		return err_nomem(c->err, "list of devices");
	l->e = e;
	for (unsigned i = 0; i < nr_workers; i++) {
		struct list_worker *me = &l->worker[i];

		if (me->nr)
			memcpy(e + l->nr, me->e, me->nr * sizeof(*e));
		l->nr += me->nr;
		me->nr = 0;
	}
	qsort(e, l->nr, sizeof(*e), check_by_key);
	return 0;
}

int check_list_init(struct check *c, struct list *l, enum pool_area area, uint32_t value_size)
{
	unsigned nr_workers = stream_nr_workers(&c->stream);

	l->area = area;
	l->worker = aligned_alloc(64, nr_workers * sizeof(*l->worker));
	if (!l->worker)
		return err_nomem(c->err, "list of devices");
	memset(l->worker, 0, nr_workers * sizeof(*l->worker));
	l->walk = check_walk(c, area, value_size, take_list_leaf, l);
	return l->walk ? 0 : -ENOMEM;
}

void check_list_fini(struct check *c, struct list *l)
{
	for (unsigned i = 0; l->worker && i < stream_nr_workers(&c->stream); i++)
		free(l->worker[i].e);
	free(l->worker);
	free(l->e);
	walk_free(l->walk);
}

/* --- views: one set of devices, joined by id --- */

struct leaves {
	uint32_t *block;
	size_t nr, cap;
};

static int note_leaf(void *ctx, const struct walk_part *part)
{
	struct leaves *l = ctx;
	uint32_t *p;

	if (part->fault && part->fault != NODE_BAD_RANGE)
		return 0;
	p = vec_add(l->block, l->nr, l->cap);
	if (!p)
		return -ENOMEM;
	*p = (uint32_t)part->block;
	return 0;
}

/* The entries of @l under @root: a list of their own, ascending. */
static int list_under(struct check *c, struct list *l, mblock_t root, struct list_entry **out,
		      size_t *nr)
{
	struct leaves leaves = { 0 };
	int r = walk_each(l->walk, root, note_leaf, &leaves);

	*nr = 0;
	*out = malloc((l->nr + 1) * sizeof(**out));
	if (!*out || r) {
		free(leaves.block);
		return err_nomem(c->err, "list of devices");
	}
	if (leaves.nr)
		qsort(leaves.block, leaves.nr, sizeof(uint32_t), order_u32);
	for (size_t i = 0; i < l->nr && leaves.nr; i++)
		if (bsearch(&l->e[i].leaf, leaves.block, leaves.nr, sizeof(uint32_t), order_u32) &&
		    (!*nr || (*out)[*nr - 1].key != l->e[i].key))
			(*out)[(*nr)++] = l->e[i];
	free(leaves.block);
	return 0;
}

/* Does the key lie in a part of the tree that could not be read? */
static bool key_lost(struct list *l, uint64_t key)
{
	const struct walk_fault *f;
	size_t nr;

	f = walk_faults(l->walk, &nr);
	for (size_t i = 0; i < nr; i++)
		if (key >= f[i].begin && key <= f[i].last)
			return true;
	return false;
}

void check_found_device(struct check *c, const struct view *v, enum finding_kind kind,
			const struct device *d, uint64_t stored, uint64_t expected)
{
	struct finding f = finding_make(kind, AREA_DEVICE);

	f.held = v->held;
	f.has_values = stored || expected;
	f.stored = stored;
	f.expected = expected;
	findings_add(&c->out->findings, &f, &d->id, 1);
}

static void check_device(struct check *c, const struct view *v, const struct device *d)
{
	uint32_t now = c->out->sb.time, newest = MAX(d->creation_time, d->snap_time);

	if (!d->has_details && !key_lost(&c->details, d->id))
		check_found_device(c, v, FOUND_NO_DETAILS, d, 0, 0);
	if (!d->has_root && !key_lost(&c->top, d->id))
		check_found_device(c, v, FOUND_NO_MAPPINGS, d, 0, 0);
	if (d->has_details && newest > now)
		check_found_device(c, v, FOUND_DEVICE_TIME, d, newest, now);
}

static void found_big_id(struct check *c, const struct view *v, enum pool_area area, uint64_t key)
{
	struct finding f = finding_make(FOUND_DEVICE_ID, area);

	f.held = v->held;
	f.has_values = true;
	f.stored = key;
	f.expected = MAX_DEV_ID;
	check_found(c, &f);
}

static void add_device(struct check *c, struct view *v, const struct list_entry *top,
		       const struct list_entry *details)
{
	struct device *d = &v->dev[v->nr];
	uint64_t key = top ? top->key : details->key;

	if (key > MAX_DEV_ID) {
		found_big_id(c, v, top ? AREA_TOP_LEVEL : AREA_DETAILS, key);
		return;
	}
	*d = (struct device) { .id = (uint32_t)key, .has_root = top, .has_details = details };
	if (top)
		d->root = top->root;
	if (details) {
		d->mapped = details->mapped;
		d->creation_time = details->creation_time;
		d->snap_time = details->snap_time;
	}
	v->nr++;
}

int check_view_make(struct check *c, struct view *v)
{
	CLEANUP(free_ptr) struct list_entry *top = NULL, *det = NULL;
	size_t nr_top, nr_det, i = 0, k = 0;

	if (list_under(c, &c->top, v->mapping_root, &top, &nr_top) ||
	    list_under(c, &c->details, v->details_root, &det, &nr_det))
		return -ENOMEM;
	v->dev = malloc((nr_top + nr_det + 1) * sizeof(*v->dev));
	if (!v->dev)
		return err_nomem(c->err, "list of devices");
	while (i < nr_top || k < nr_det) {
		bool has_top = i < nr_top && (k == nr_det || top[i].key <= det[k].key);
		bool has_det = k < nr_det && (i == nr_top || det[k].key <= top[i].key);

		add_device(c, v, has_top ? &top[i] : NULL, has_det ? &det[k] : NULL);
		i += has_top;
		k += has_det;
	}
	for (i = 0; i < v->nr; i++)
		check_device(c, v, &v->dev[i]);
	return 0;
}
