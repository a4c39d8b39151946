/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "volume/open/volume.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "dev/dev.h"
#include "volume/map/source.h"
#include "volume/open/origin.h"
#include "volume/open/thin_io.h"
#include "volume/open/volume_active.h"
#include "volume/open/volume_line.h"

typedef unsigned long long ull;

static unsigned open_flags(const struct volume_options *opt, unsigned otherwise)
{
	return opt->snap || opt->force_share ? DEV_FORCE : otherwise;
}

/* LVM's text has the volume and the pool has not: lvremove sends the pool a message that deletes it. */
static const char lvm_ways[] =
	".  LVM's text has this volume, but the pool deleted the device or never created it.  An "
	"older root may have it: 'thin_repair --list-roots -i POOL' lists them, 'thin_repair "
	"--mapping-root BLOCK -i POOL -o FILE' writes FILE, to be named in place of POOL_tmeta "
	"in the table of 'thin_lvm PV...'.  Data blocks that other devices got since then hold their data";

static int no_device(const struct volume *v, const struct metadata_devices *d, struct err *err)
{
	char list[200] = "";
	size_t i, len = 0;

	if (d->nr_problems)
		return err_set(err, d->damage ? -EUCLEAN : -EIO,
			       "device %u was not found in %s, but the list of devices is damaged (%s): "
			       "'thin_repair --dry-run -i POOL' may find the device",
			       v->dev_id, v->arg->metadata, d->nr_kept ? d->problem[0] : "");
	for (i = 0; i < d->nr && len < sizeof(list) - 20; i++)
		len += (size_t)snprintf(list + len, sizeof(list) - len, " %u", d->dev[i].info.dev_id);
	return err_set(err, -ENODATA, "no device %u in %s: there %s %zu device%s%s%s%s%s", v->dev_id,
		       v->arg->metadata, d->nr == 1 ? "is" : "are", d->nr, d->nr == 1 ? "" : "s",
		       d->nr ? ":" : "", list, i < d->nr ? " ..." : "",
		       v->line && v->arg->table->nr_groups ? lvm_ways : "");
}

static int find_tree(struct volume *v, mblock_t *root, struct err *err)
{
	struct metadata_devices devices = { 0 };
	const struct metadata_device *d;
	int r = metadata_devices_read(&v->source.md, &v->source.stream, &devices, err);

	if (!r) {
		d = metadata_devices_find(&devices, v->dev_id);
		if (!d || !d->has_root) {
			r = no_device(v, &devices, err);
		} else {
			*root = d->root;
			v->has_claim = d->has_details;
			v->claimed_blocks = d->info.mapped_blocks;
			v->snap_time = d->has_details ? d->info.snap_time : 0;
		}
	}
	metadata_devices_fini(&devices);
	return r;
}

static int open_metadata(struct volume *v, const struct volume_options *opt, struct jobs *jobs,
			 struct pool_arg *arg, struct err *err)
{
	const struct pool_source_options so = {
		.metadata = { .snap = opt->snap, .snap_block = opt->snap_block },
		.force_share = opt->force_share,
		.jobs = jobs,
	};
	mblock_t root = 0;
	int r = pool_source_open_arg(arg, &so, &v->source, err);

	if (r < 0)
		return r;
	v->arg = &v->source.arg;
	r = table_device(v->arg->table, opt->device, opt->pool, &v->dev_id, &v->line, err);
	if (!r)
		r = find_tree(v, &root, err);
	if (r < 0)
		return r;
	v->map.block_len = (uint64_t)v->source.md.view.data_block_size << SECTOR_SHIFT;
	v->nr_data_blocks = v->source.md.nr_data_blocks;
	r = map_source_tree(&v->source.stream, root, &v->map.source, err);
	v->through = opt->active && v->line && !strcmp(v->line->name, v->arg->table->active.thin);
	return r || !v->through ? r : volume_open_active(v, opt, err);
}

/*
 * Takes and checks the pool's facts from events.  For salvage and text there is no metadata_open()
 * to check them.
 */
static int take_events_info(struct volume *v, const struct map_events_info *info, struct err *err)
{
	const uint32_t sectors = info->pool.data_block_size;

	if (!data_block_size_ok(sectors))
		return err_set(err, -EUCLEAN,
			       "%s: %u sectors is not a valid data block size: it must be a "
			       "multiple of 128 up to 2097152; 'thin_repair --data-block-size "
			       "SECTORS -i POOL -o FILE' corrects it",
			       v->arg->metadata, sectors);
	v->map.block_len = (uint64_t)sectors << SECTOR_SHIFT;
	v->nr_data_blocks = info->pool.nr_data_blocks;
	return pool_arg_fits(v->arg, sectors, err);
}

static int drive_salvage(void *ctx, const struct events *to, struct err *err)
{
	struct volume *v = ctx;
	const struct emit_options only = { .dev_ids = &v->dev_id, .nr_dev_ids = 1 };

	return salvage_emit(v->saved.salvage, &only, to, err);
}

/* Opens damaged metadata as thin_repair would rebuild it. */
static int open_salvage(struct volume *v, const struct volume_options *opt, struct jobs *jobs,
			struct pool_arg *arg, struct err *err)
{
	const struct pool_salvage_options so = { .want = opt->want, .force_share = opt->force_share, .jobs = jobs };
	struct map_events_info info;
	int r = pool_salvage_open_arg(arg, &so, &v->saved, err);

	v->arg = &v->saved.arg;
	if (!r)
		r = table_device(v->arg->table, opt->device, opt->pool, &v->dev_id, &v->line, err);
	if (r < 0)
		return r;
	r = map_source_events(drive_salvage, NULL, v, v->dev_id, &info, &v->map.source, err);
	if (r == -ENODATA)
		return err_prefix(err, r, "%s", v->arg->metadata);
	return r ? r : take_events_info(v, &info, err);
}

static int open_xml(struct volume *v, const struct volume_options *opt, struct pool_arg *arg,
		    struct err *err)
{
	struct map_events_info info;
	int r;

	v->xml = *arg;
	*arg = (struct pool_arg){ 0 };
	v->arg = &v->xml;
	if (opt->snap)
		return err_set(err, -EINVAL,
			       "%s: is XML, which has no metadata snapshot (it may be a dump of one)",
			       v->arg->metadata);
	r = table_device(v->arg->table, opt->device, opt->pool, &v->dev_id, &v->line, err);
	if (r < 0)
		return r;
	r = map_source_xml(v->arg->metadata, v->dev_id, &info, &v->map.source, err);
	if (r == -ENODATA)
		return err_prefix(err, r, "%s", v->arg->metadata);
	v->has_claim = true;
	v->claimed_blocks = info.device.mapped_blocks;
	v->snap_time = info.device.snap_time;
	return r ? r : take_events_info(v, &info, err);
}

/* The names of the data device and the origin.  One file in two roles would be read as garbage. */
static int find_sources(struct volume *v, const struct volume_options *opt, struct err *err)
{
	struct table *t = v->arg->table;
	const bool from_line = v->line && !opt->no_origin && !opt->origin;
	int r = 0;

	if (!v->through && !v->other)
		r = pool_arg_data_path(v->arg, opt->data, opt->map_only ? NULL : &opt->want, &v->data_path, err);
	v->origin_path = opt->origin ? table_device_path(t, opt->origin) : from_line ? v->line->origin.path : NULL;
	if (!r && from_line && v->origin_path)
		r = pool_arg_device_numbers(v->arg, &v->line->origin, v->line->line, &opt->want, err);
	return r ? r : pool_arg_parts_apart(v->arg, opt->pool, v->data_path, v->origin_path, err);
}

static int open_data(struct volume *v, const struct volume_options *opt, struct err *err)
{
	unsigned flags = v->through ? volume_active_flags(v, opt) : open_flags(opt, DEV_SHARED);

	return dev_open(v->data_path, flags, &v->data, err);
}

static int open_sources(struct volume *v, const struct volume_options *opt, struct err *err)
{
	int r = find_sources(v, opt, err);

	if (r < 0)
		return r;
	if (!opt->map_only && !v->data_path)
		return err_set(err, -EDOM,
			       "%s is %s, which does not name the data device: give --data-dev DEV, or a "
			       "table file",
			       opt->pool, v->arg->kind == POOL_XML ? "XML" : "bare metadata");
	if (!opt->map_only && (r = open_data(v, opt, err)) < 0)
		return err_prefix(err, r, "data device");
	v->map.data = v->data;
	if (!v->origin_path)
		return 0;
	r = origin_open(v->origin_path, open_flags(opt, opt->map_only ? DEV_FORCE : 0),
			opt->origin_raw, &v->origin, err);
	if (r < 0)
		return r;
	v->map.has_origin = true;
	v->map.origin_len = v->origin->size;
	v->map.origin = opt->map_only ? NULL : v->origin;
	return 0;
}

/* Bytes that the image needs and no device has are an error, unless --repair asks for the rest. */
static int check_lost(struct volume *v, bool repair, struct err *err)
{
	struct outbuf text;
	int r = volume_find_lost(v, err);

	if (r || !v->nr_lost || repair)
		return r;
	outbuf_init(&text);
	volume_tell_lost(v, &text);
	outbuf_add(&text, "", 1);
	r = text.error ? err_nomem(err, "lost ranges") :
			 err_set(err, -EUCLEAN, "%s; --repair writes the rest, with zeros in the "
						"lost places", (char *)text.data);
	outbuf_fini(&text);
	return r;
}

/* A device that the table does not list can only be read with --size; the message says so. */
static int judge_unlisted(const struct volume *v, const struct volume_options *opt, struct err *err)
{
	char text[300];

	if (!opt->has_size)
		return table_not_listed(v->arg->table, v->dev_id, v->mapped_len >> SECTOR_SHIFT,
					"--size SIZE, with --origin DEV if it has one", err);
	if (opt->origin || opt->no_origin || !opt->want.table.tell || !table_has_origins(v->arg->table))
		return 0;
	snprintf(text, sizeof(text),
		 "warning: device %u has no line in the table and is read without an external "
		 "origin, but other devices in the table have one: --origin DEV names it, "
		 "--no-origin confirms that there is none",
		 v->dev_id);
	opt->want.table.tell(opt->want.table.ctx, text);
	return 0;
}

static int scan(struct volume *v, const struct volume_options *opt, struct err *err)
{
	struct map *m = &v->map;
	int r;

	if (opt->has_size)
		m->size = opt->size;
	else if (v->line)
		m->size = v->line->length << SECTOR_SHIFT;
	else if (!v->other)
		v->size_is_guess = true;
	if (m->size > INT64_MAX)
		return err_set(err, opt->has_size ? -EDOM : -ERANGE, "%llu bytes are too large a size for a device", (ull)m->size);
	r = map_scan(m, v->size_is_guess, &v->sum, err);
	if (r < 0)
		return err_prefix(err, r, "device %u", v->dev_id);
	v->mapped_len = v->sum.mapped_end * m->block_len;
	if (v->arg->table && !v->line && !v->other)
		r = judge_unlisted(v, opt, err);
	return r ? r : check_lost(v, opt->repair || opt->lost_ok, err);
}

static int open_pool(struct volume *v, struct volume_options *opt, struct jobs *jobs,
		     struct err *err)
{
	struct pool_want want = opt->want;
	struct pool_arg arg;
	int r;

	want.table.device[0] = opt->device;
	want.table.open_thin = thin_io_open;
	want.damaged = opt->repair;
	want.active_thin = opt->active;
	want.prints = true;
	r = pool_arg_open(opt->pool, &want, &arg, err);
	if (r < 0)
		return r;
	if (opt->active && !opt->device)
		opt->device = arg.table->active.thin;
	if (want.table.other && arg.table && !want.table.pool)
		r = table_is_unique(arg.table, opt->device, err);
	if (r < 0) {
		pool_arg_fini(&arg);
		return r;
	}
	if (arg.kind == POOL_LINE)
		r = volume_open_line(v, opt, &arg, err);
	else if (arg.kind == POOL_XML)
		r = open_xml(v, opt, &arg, err);
	else if (!opt->repair)
		r = open_metadata(v, opt, jobs, &arg, err);
	else if (opt->snap)
		r = err_set(err, -EINVAL, "--repair cannot read the metadata snapshot");
	else
		r = open_salvage(v, opt, jobs, &arg, err);
	pool_arg_fini(&arg);
	return r;
}

int volume_open(struct volume *v, const struct volume_options *opt, struct jobs *jobs,
		struct err *err)
{
	struct volume_options o = *opt;
	int r;

	*v = (struct volume){ 0 };
	r = open_pool(v, &o, jobs, err);
	if (!r)
		r = open_sources(v, &o, err);
	if (!r)
		r = scan(v, &o, err);
	if (r < 0)
		volume_close(v);
	return r;
}

void volume_close(struct volume *v)
{
	map_source_free(&v->map.source);
	pool_salvage_close(&v->saved);
	pool_source_close(&v->source);
	pool_arg_fini(&v->xml);
	io_free(v->data);
	io_free(v->origin);
	free(v->lost);
	*v = (struct volume){ 0 };
}
