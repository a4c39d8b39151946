/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "volume/open/thin_io.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "volume/map/source.h"
#include "volume/open/pool_source.h"

/* What the extents of the device become. */
struct pieces {
	struct stack stack;
	size_t dev[EXTENT_ORIGIN + 1]; /* by kind */
};

static int add_extent(void *ctx, const struct extent *e, struct err *err)
{
	struct pieces *to = ctx;
	const struct stack_leg leg = { to->dev[e->kind], e->from };
	const bool zero = e->kind == EXTENT_ZERO;
	const struct stack_piece piece = { .len = e->len, .kind = zero ? STACK_ZERO : STACK_LINEAR,
					   .nr_legs = zero ? 0 : 1 };

	return stack_add(&to->stack, &piece, &leg, err);
}

static int find_map(struct pool_source *s, const struct table_pool *pool, const struct table_thin *d,
		    struct map *m, struct err *err)
{
	struct metadata_devices devices = { 0 };
	const struct metadata_device *found;
	const uint32_t sectors = s->md.view.data_block_size;
	int r;

	if (sectors != pool->data_block_size)
		return err_set(err, -EINVAL,
			       "line %u: '%u' is the table's data block size in sectors, but the "
			       "metadata in %s "
			       "says %u: this is not the table of this pool",
			       pool->line, pool->data_block_size, pool->metadata.path, sectors);
	r = metadata_devices_read(&s->md, &s->stream, &devices, err);
	found = r ? NULL : metadata_devices_find(&devices, d->dev_id);
	if (!r && (!found || !found->has_root))
		r = err_set(err, -ENODATA, "no device %u in %s; 'thin_ls POOL' lists the devices",
			    d->dev_id, pool->metadata.path);
	m->block_len = (uint64_t)sectors << SECTOR_SHIFT;
	m->size = d->length << SECTOR_SHIFT;
	if (!r)
		r = map_source_tree(&s->stream, found->root, &m->source, err);
	metadata_devices_fini(&devices);
	return r;
}

/* The origin's length counts: behind it are zeros. */
static int origin_len(const struct table_thin *d, unsigned flags, struct map *m, struct err *err)
{
	struct io *origin;
	int r = d->origin.path ? dev_open(d->origin.path, flags, &origin, err) : 0;

	if (r || !d->origin.path)
		return r;
	m->has_origin = true;
	m->origin_len = origin->size;
	io_free(origin);
	return 0;
}

static int walk(const struct table_thin *d, const struct table_pool *pool, unsigned flags,
		struct map *m, struct io **out, struct err *err)
{
	struct pieces to = { 0 };
	struct map_summary sum;
	int r = origin_len(d, flags, m, err);

	if (!r)
		r = map_scan(m, false, &sum, err);
	if (r)
		return r;
	to.dev[EXTENT_DATA] = stack_device(&to.stack, pool->data.path);
	to.dev[EXTENT_ORIGIN] = d->origin.path ? stack_device(&to.stack, d->origin.path) : 0;
	if (to.dev[EXTENT_DATA] == SIZE_MAX || to.dev[EXTENT_ORIGIN] == SIZE_MAX)
		r = err_nomem(err, "thin device");
	if (!r)
		r = map_walk(m, add_extent, &to, err);
	if (!r)
		r = stack_open(&to.stack, d->name, flags, out, err);
	stack_fini(&to.stack);
	return r;
}

int thin_io_open(struct table *t, const struct table_thin *d, unsigned flags, struct io **out,
		 struct err *err)
{
	const struct pool_source_options opt = { .force_share = flags & DEV_FORCE, .nr_jobs = 1 };
	const struct table_pool *pool = d->pool == TABLE_NO_POOL ? NULL : &t->pools[d->pool];
	struct pool_arg arg = { .kind = POOL_METADATA };
	struct pool_source s;
	struct map m = { 0 };
	int r;

	if (!pool)
		return err_set(err, -EINVAL, "%s: line %u: '%s': no thin-pool line of the file has that name",
			       t->path, d->line, d->pool_dev);
	arg.metadata = strdup(pool->metadata.path);
	if (!arg.metadata)
		return err_nomem(err, "path of the metadata");
	r = pool_source_open_arg(&arg, &opt, &s, err);
	if (r)
		return r;
	r = find_map(&s, pool, d, &m, err);
	if (!r)
		r = walk(d, pool, DEV_SHARED | (flags & (DEV_FORCE | DEV_BUFFERED)), &m, out, err);
	map_source_free(&m.source);
	pool_source_close(&s);
	return r;
}
