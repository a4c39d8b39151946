/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "pool/query/list.h"

#include <errno.h>
#include <stdlib.h>

#include "pool/query/extents.h"
#include "pool/query/kin.h"
#include "pool/query/picture.h"

static int new_rows(struct list *l, size_t nr, struct err *err)
{
	l->row = calloc(nr + 1, sizeof(*l->row));
	return l->row ? 0 : err_nomem(err, "the list of devices");
}

static int read_details(const struct metadata *md, struct stream *s, forest_problem_fn *problem,
			void *ctx, struct list *l, struct err *err)
{
	const struct metadata_devices *d = &l->devices;
	int r = metadata_devices_read(md, s, &l->devices, err);

	if (!r)
		r = new_rows(l, d->nr, err);
	if (r)
		return r;
	for (size_t i = 0; i < d->nr; i++)
		if (d->dev[i].has_details && d->dev[i].has_root)
			l->row[l->nr++].dev = &d->dev[i];
	for (size_t i = 0; i < d->nr_kept; i++)
		problem(ctx, d->problem[i]);
	if (d->nr_problems)
		return err_set(err, d->damage ? -EUCLEAN : -EIO, "metadata contains errors (run thin_check for details: 'thin_check POOL')");
	return 0;
}

/* What LIST_ALL collects while the leaves are read. */
struct looking {
	struct list *list;
	struct extents *extents;
	struct kin *kin;
};

static int take_leaf(void *ctx, unsigned worker, mblock_t block, const struct node *n)
{
	struct looking *k = ctx;

	extents_take(k->extents, block, n);
	return kin_take(k->kin, worker, block, n);
}

/* Takes the owners of data blocks. */
static void take_cells(void *ctx, const struct cells *c)
{
	struct list *l = ((struct looking *)ctx)->list;

	picture_take(l->picture, c);
}

static int look(const struct metadata *md, struct looking *k, struct usage_want *want, struct err *err)
{
	struct forest *f = &k->list->forest;

	want->leaf = take_leaf;
	want->cells = take_cells;
	k->extents = extents_new(md->nr_blocks);
	k->kin = kin_new(f);
	k->list->picture = calloc(1, sizeof(*k->list->picture));
	if (!k->extents || !k->kin || !k->list->picture ||
	    picture_init(k->list->picture, md->nr_data_blocks, f->nr_devs))
		return err_nomem(err, "the extents of the devices");
	return 0;
}

/* Puts the collected facts into the rows. */
static int learn(const struct metadata *md, struct looking *k, struct err *err)
{
	struct list *l = k->list;
	struct forest *f = &l->forest;
	struct kin_origin *origin = calloc(l->nr + 1, sizeof(*origin));
	int r = origin ? kin_origins(k->kin, md->nr_blocks, origin, err) :
			 err_nomem(err, "the list of devices");

	picture_end(l->picture);
	for (size_t i = 0; i < l->picture->nr_cells; i++) {
		l->nr_alone += l->picture->cell[i].nr_alone;
		l->nr_shared += l->picture->cell[i].nr_shared;
	}
	for (size_t i = 0; !r && i < l->nr; i++) {
		l->row[i].nr_extents = extents_count(k->extents, f->walk, f->dev[i]->root);
		l->row[i].snapshot_of = origin[i].device == KIN_NONE ? LIST_NO_ROW : origin[i].device;
		l->row[i].snapshot_certain = origin[i].certain;
	}
	free(origin);
	return r;
}

static int count_usage(const struct metadata *md, enum list_depth depth, struct list *l,
		       struct err *err)
{
	const struct forest *f = &l->forest;
	struct looking k = { .list = l };
	struct usage_want want = { .exclusive = depth >= LIST_EXCLUSIVE, .ctx = &k };
	struct usage_row *usage = calloc(f->nr_devs + 1, sizeof(*usage));
	int r = usage ? new_rows(l, f->nr_devs, err) : err_nomem(err, "the list of devices");

	if (!r && depth == LIST_ALL)
		r = look(md, &k, &want, err);
	if (!r)
		r = usage_count(&l->forest, md->nr_data_blocks, &want, usage, err);
	if (!r)
		r = forest_verdict(f, err);
	for (size_t i = 0; !r && i < f->nr_devs; i++)
		l->row[l->nr++] = (struct list_row) { .dev = f->dev[i], .usage = usage[i] };
	if (!r && depth == LIST_ALL)
		r = learn(md, &k, err);
	extents_free(k.extents);
	kin_free(k.kin);
	free(usage);
	if (r) {
		free(l->row);
		l->row = NULL;
	}
	return r;
}

int list_read(const struct metadata *md, struct stream *s, enum list_depth depth,
	      forest_problem_fn *problem, void *ctx, struct list *out, struct err *err)
{
	int r;

	*out = (struct list) { 0 };
	if (depth == LIST_DETAILS)
		return read_details(md, s, problem, ctx, out, err);
	r = forest_init(&out->forest, md, s, problem, ctx, err);
	return r ? r : count_usage(md, depth, out, err);
}

void list_fini(struct list *l)
{
	free(l->row);
	if (l->picture)
		picture_fini(l->picture);
	free(l->picture);
	forest_fini(&l->forest);
	metadata_devices_fini(&l->devices);
}
