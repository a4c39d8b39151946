/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * A plain volume beside the pool: people who hold the disk of a machine want its root filesystem too.
 * It reads as a device whose only mapping is all of it.
 */
#include "volume/open/volume_line.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_LEN 65536u

static int walk(void *ctx, map_runs_fn *fn, void *fn_ctx, struct err *err)
{
	const struct run *all = ctx;

	return all->len ? fn(fn_ctx, all, 1, err) : 0;
}

static int refuse_options(const struct volume_options *opt, const struct table_name *n,
			  struct err *err)
{
	const char *option = opt->snap	     ? "--metadata-snap"
			     : opt->origin   ? "--origin"
			     : opt->data     ? "--data-dev"
			     : opt->map_only ? "--map"
					     : NULL;

	if (!option)
		return 0;
	return err_set(err, -EDOM,
		       "'%s' is not a thin device, so %s cannot be used: leave it out%s", n->name, option,
		       opt->map_only ? "; the table says where its bytes are (of a disk with LVM, "
				       "'thin_lvm PV...' prints it)" : "");
}

int volume_open_line(struct volume *v, const struct volume_options *opt, struct pool_arg *arg,
		     struct err *err)
{
	struct table *t = arg->table;
	struct table_name *n = t->other;
	struct run *all;
	int r;

	v->xml = *arg;
	*arg = (struct pool_arg) { 0 };
	v->arg = &v->xml;
	r = refuse_options(opt, n, err);
	if (!r)
		r = table_tell_device(t, &t->device[n->index], &opt->want.table, err);
	if (r)
		return r;
	all = calloc(1, sizeof(*all));
	v->data_path = table_ref(t, n);
	v->other = n->name;
	v->map.block_len = BLOCK_LEN;
	v->map.size = t->device[n->index].length << SECTOR_SHIFT;
	v->map.source = (struct map_source) { walk, free, all };
	if (!all || !v->data_path)
		return err_nomem(err, "a volume");
	all->len = (v->map.size + BLOCK_LEN - 1) / BLOCK_LEN;
	return 0;
}
