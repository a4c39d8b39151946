/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "volume/open/lvm_look.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "volume/open/pool_source.h"

int lvm_look_init(struct lvm_look *k, const struct lvm *l, unsigned leg, bool force_share, struct err *err)
{
	*k = (struct lvm_look){ .l = l, .force_share = force_share };
	lvm_write_table(l, leg, &k->table);
	outbuf_add(&k->table, "", 1);
	return k->table.error ? err_nomem(err, "the table of LVM's volumes") : 0;
}

void lvm_look_fini(struct lvm_look *k)
{
	outbuf_fini(&k->table);
}

/* The pool's metadata as the table says where they are.  *src must be closed in any case. */
static int open_pool(const struct lvm_look *k, const struct lvm_vg *vg, const struct lvm_lv *pool,
		     struct pool_source *src, struct err *err)
{
	CLEANUP(free_ptr) char *text = strdup(k->table.data), *name = NULL;
	struct pool_source_options opt = { .metadata.any_block_size = true, .force_share = k->force_share,
					   .nr_jobs = 1 };
	struct pool_arg arg = { 0 };
	struct table *t = NULL;
	int r;

	*src = (struct pool_source){ 0 };
	if (!text || asprintf(&name, k->l->nr_vgs > 1 ? "%s/%s" : "%.0s%s", vg->shown, pool->name) < 0)
		return err_nomem(err, "the table of LVM's volumes");
	opt.want.table.pool = name;
	r = table_parse("thin_lvm's table", "/", text, &opt.want.table, &t, err);
	if (!r)
		r = pool_arg_open_table(t, &opt.want, &arg, err);
	return r ? r : pool_source_open_arg(&arg, &opt, src, err);
}

void lvm_look_fill(void *look, const struct lvm_vg *vg, const struct lvm_lv *pool, struct lvm_fill *fill)
{
	struct pool_source src;

	if (!open_pool(look, vg, pool, &src, NULL))
		*fill = (struct lvm_fill){ .known = true,
					   .data = src.md.live.data_sm.nr_blocks,
					   .used_data = src.md.live.data_sm.nr_allocated,
					   .metadata = src.md.live.metadata_sm.nr_blocks,
					   .used_metadata = src.md.live.metadata_sm.nr_allocated,
					   .transaction = src.md.live.transaction_id };
	pool_source_close(&src);
}

static int read_devices(struct pool_source *src, struct device_info **out, size_t *nr, struct err *err)
{
	struct metadata_devices devices = { 0 };
	int r = metadata_devices_read(&src->md, &src->stream, &devices, err);

	*out = r ? NULL : calloc(devices.nr + 1, sizeof(**out));
	if (!r && !*out)
		r = err_nomem(err, "the list of devices");
	if (!r && devices.nr_problems)
		r = err_set(err, devices.damage ? -EUCLEAN : -EIO,
			    "the list of devices is damaged: %s; 'thin_repair --dry-run -i POOL' may save the rest",
			    devices.nr_kept ? devices.problem[0] : "");
	for (*nr = 0; !r && *nr < devices.nr; ++*nr)
		(*out)[*nr] = devices.dev[*nr].info;
	metadata_devices_fini(&devices);
	return r;
}

static int check_pool(struct lvm_look *k, const struct lvm_vg *vg, const struct lvm_lv *pool,
		      struct lvm_findings *f, struct err *err)
{
	CLEANUP(free_ptr) struct device_info *device = NULL;
	struct lvm_pool_seen seen = { 0 };
	struct pool_source src;
	struct err why = { 0 };
	int r = open_pool(k, vg, pool, &src, &why);

	if (!r)
		r = read_devices(&src, &device, &seen.nr_devices, &why);
	if (!r) {
		seen.transaction = src.md.live.transaction_id;
		seen.data_block_size = src.md.live.data_block_size;
		seen.nr_data_blocks = src.md.nr_data_blocks;
		seen.nr_metadata_blocks = src.md.live.metadata_sm.nr_blocks;
		seen.needs_check = src.md.live.flags & THIN_NEEDS_CHECK;
		seen.device = device;
	} else {
		seen.error = pool->why ?: why.text;
	}
	lvm_check_pool(k->l, vg, pool, &seen, f);
	pool_source_close(&src);
	return r == -ENOMEM || f->no_memory ? err_nomem(err, "the comparison") : 0;
}

int lvm_look_check(struct lvm_look *k, struct lvm_findings *f, struct err *err)
{
	int r = 0;

	lvm_check_groups(k->l, f);
	for (size_t v = 0; v < k->l->nr_vgs && !r; v++)
		for (unsigned i = 0; i < k->l->vg[v].nr_lvs && !r; i++)
			if (lvm_seg_of(&k->l->vg[v].lv[i], LVM_THIN_POOL))
				r = check_pool(k, &k->l->vg[v], &k->l->vg[v].lv[i], f, err);
	return r;
}
