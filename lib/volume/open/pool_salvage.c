/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "volume/open/pool_salvage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/order.h"
#include "dev/dev.h"
#include "pool/format/format.h"
#include "pool/format/superblock.h"
#include "volume/lvm/backup.h"

static int hints_of_backup(const struct pool_salvage_options *opt, struct salvage_options *o, uint32_t **ids,
			   struct err *err)
{
	struct lvm_backup_pool vg = { 0 };
	int r = lvm_backup_pool(opt->vg_backup, opt->vg_pool, &vg, err);

	if (r < 0)
		return r;
	o->hint.has_transaction = true;
	o->hint.transaction = vg.transaction;
	if (data_block_size_ok(vg.chunk_size)) {
		o->hint.has_data_block_size = true;
		o->hint.data_block_size = vg.chunk_size;
	}
	o->data_sectors = vg.data_sectors;
	free(*ids);
	*ids = vg.ids;
	o->nr_ids = vg.nr_ids;
	return 0;
}

/* LVM's text names all devices of its pools; a table file need not. */
static int ids_of_table(const struct table *t, struct salvage_options *o, uint32_t **ids, struct err *err)
{
	*ids = calloc(t->nr_thins + 1, sizeof(**ids));
	if (!*ids)
		return err_nomem(err, "thin volumes");
	for (size_t i = 0; i < t->nr_thins; i++)
		(*ids)[i] = t->thin[i].dev_id;
	o->nr_ids = t->nr_thins;
	qsort(*ids, o->nr_ids, sizeof(**ids), order_u32);
	return 0;
}

/* A later source overrides an earlier one. */
static int collect_hints(const struct pool_salvage_options *opt, const struct table *t,
			 struct salvage_options *o, uint32_t **ids, struct err *err)
{
	struct io *data;
	int r = 0;

	if (t) {
		o->hint.has_data_block_size = true;
		o->hint.data_block_size = t->pool->data_block_size;
		o->hint.has_transaction = t->pool->of_lvm;
		o->hint.transaction = t->pool->transaction;
		o->data_sectors = t->pool->length;
	}
	if (t && t->pool->of_lvm)
		r = ids_of_table(t, o, ids, err);
	if (!r && opt->vg_backup)
		r = hints_of_backup(opt, o, ids, err);
	o->ids = *ids;
	if (r < 0 || !opt->data_dev)
		return r;
	r = dev_open(opt->data_dev, DEV_FORCE, &data, err); /* for its size only */
	if (r < 0)
		return r;
	o->data_sectors = data->size >> SECTOR_SHIFT;
	io_free(data);
	return 0;
}

int pool_salvage_open(const char *path, const struct pool_salvage_options *opt,
		      struct pool_salvage *out, struct err *err)
{
	struct pool_want want = opt->want;
	struct pool_arg arg;
	int r;

	*out = (struct pool_salvage){ 0 };
	want.damaged = true;
	r = pool_arg_open(path, &want, &arg, err);
	return r ? r : pool_salvage_open_arg(&arg, opt, out, err);
}

/* What an interrupted writer left can be salvaged, but there is something better. */
static void tell_unfinished(struct io *io, const struct table_want *want)
{
	char text[200];

	if (!want->tell || !superblock_is_invalidated(io))
		return;
	snprintf(text, sizeof(text), "%s: run that command again; a repair finds only what it wrote, or what was here before",
		 sb_fault_text(SB_UNFINISHED));
	want->tell(want->ctx, text);
}

int pool_salvage_open_arg(struct pool_arg *arg, const struct pool_salvage_options *opt,
			  struct pool_salvage *out, struct err *err)
{
	struct salvage_options o = opt->salvage;
	enum sb_fault fault;
	struct superblock sb;
	int r;

	*out = (struct pool_salvage){ .arg = *arg };
	*arg = (struct pool_arg){ 0 };
	if (out->arg.kind == POOL_XML)
		return err_set(err, -EINVAL,
			       "This looks like XML.  This tool only supports the binary metadata "
			       "format.");
	r = collect_hints(opt, out->arg.table, &o, &out->ids, err);
	if (!r)
		r = dev_open(out->arg.metadata, opt->force_share ? DEV_FORCE : 0, &out->io, err);
	if (r < 0)
		return r;
	if (!o.given.has_data_block_size && !superblock_read(out->io, 0, &sb, &fault, NULL) && !fault)
		r = pool_arg_fits(&out->arg, sb.data_block_size, err);
	if (r)
		return r;
	tell_unfinished(out->io, &opt->want.table);
	out->io->meter = opt->meter;
	out->own_jobs = !opt->jobs;
	out->jobs = opt->jobs ? opt->jobs : jobs_new(opt->nr_jobs);
	if (!out->jobs)
		return err_nomem(err, "workers");
	r = salvage_new(out->io, out->jobs, &o, &out->salvage, err);
	return pool_arg_nothing_found(&out->arg, r, err);
}

void pool_salvage_close(struct pool_salvage *p)
{
	salvage_free(p->salvage);
	if (p->own_jobs && p->jobs)
		jobs_free(p->jobs);
	io_free(p->io);
	free(p->ids);
	pool_arg_fini(&p->arg);
	*p = (struct pool_salvage) { 0 };
}
