/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "pool/query/list.h"

#include <errno.h>
#include <stdlib.h>

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
		return err_set(err, -EUCLEAN, "metadata contains errors (run thin_check for details)");
	return 0;
}

static int count_usage(const struct metadata *md, bool exclusive, struct list *l, struct err *err)
{
	const struct forest *f = &l->forest;
	struct usage_row *usage = calloc(f->nr_devs + 1, sizeof(*usage));
	int r = usage ? new_rows(l, f->nr_devs, err) : err_nomem(err, "the list of devices");

	if (!r)
		r = usage_count(&l->forest, md->nr_data_blocks, exclusive, usage, err);
	if (!r)
		r = forest_verdict(f, err);
	for (size_t i = 0; !r && i < f->nr_devs; i++)
		l->row[l->nr++] = (struct list_row) { .dev = f->dev[i], .usage = usage[i] };
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
	return r ? r : count_usage(md, depth == LIST_EXCLUSIVE, out, err);
}

void list_fini(struct list *l)
{
	free(l->row);
	forest_fini(&l->forest);
	metadata_devices_fini(&l->devices);
}
