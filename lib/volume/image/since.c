/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "volume/image/since.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dev/dev.h"

/*
 * The size of a base that no table lists: --since-size, else the size that was given for the
 * device, else, for older metadata, that of the device.
 */
static int choose_size(struct since *s, const struct volume *now, const struct volume_options *opt,
		       const struct since_options *so, struct err *err)
{
	struct volume *b = &s->base;
	uint64_t size = b->map.size;

	s->size_is_guess = b->size_is_guess && !opt->has_size;
	if (b->size_is_guess && (opt->has_size || (so->metadata && !now->size_is_guess)))
		size = now->map.size;
	if (size == b->map.size)
		return 0;
	b->map.size = size;
	return map_scan(&b->map, false, &b->sum, err);
}

/*
 * Older metadata knows neither names nor sizes nor origins: these are in the line that the device's table has
 * for the base.  A base without a line is taken for an older state of the device, with its origin.
 */
static int look_in_table(const struct volume *now, const struct volume_options *opt,
			 const struct since_options *so, char id[16], struct volume_options *b, struct err *err)
{
	const struct table_thin *line = now->arg->table ? table_find(now->arg->table, b->device) : NULL;
	const bool own_origin = line && !opt->origin && !opt->no_origin;

	b->origin = opt->no_origin ? NULL : own_origin ? line->origin.path : now->origin_path;
	if (!line)
		return 0;
	snprintf(id, 16, "%u", line->dev_id);
	b->device = id;
	/* a snapshot keeps its size; the device may have had another one then */
	if (strcmp(so->base ? so->base : opt->device, opt->device) && !b->has_size) {
		b->has_size = true;
		b->size = line->length << SECTOR_SHIFT;
	}
	if (!own_origin || !b->origin)
		return 0;
	return pool_arg_device_numbers(now->arg, &line->origin, line->line, &opt->want, err);
}

static int open_base(struct since *s, const struct volume *now, const struct volume_options *opt,
		     const struct since_options *so, struct jobs *jobs, struct err *err)
{
	struct volume_options b = *opt;
	const struct table *t = now->arg->table;
	char id[16];
	int r = 0;

	b.want.table.other = NULL;
	b.device = so->base ? so->base : opt->device;
	b.has_size = so->has_size;
	b.size = so->size;
	b.force_share = true; /* the device holds the locks already */
	b.lost_ok = true; /* what the image of the base has there is not needed */
	if (so->metadata) {
		b.pool = so->metadata;
		b.want.table.pool = NULL;
		b.want.lvm = NULL; /* --pv, --seqno and --take-metadata-snap are about the pool */
		b.data = NULL;
		b.map_only = true;
		b.snap = b.repair = false;
		r = look_in_table(now, opt, so, id, &b, err);
	} else {
		if (t && t->nr_pools > 1) /* the base is a device of the same pool */
			b.want.table.pool = t->pool->name;
		if (dev_is_standard(opt->pool))
			lseek(STDIN_FILENO, 0, SEEK_SET); /* read once already; a pipe has become a file */
	}
	if (!r)
		r = volume_open(&s->base, &b, jobs, err);
	if (r == -EDOM && !so->has_size && opt->has_size) { /* not in the table: its size is the device's */
		b.has_size = true;
		b.size = opt->size;
		r = volume_open(&s->base, &b, jobs, err);
	}
	return r ? err_prefix(err, r, "--since") : choose_size(s, now, opt, so, err);
}

/* Where the device is whole and its base is not, the difference is larger, but right. */
static void judge_losses(struct since *s, const struct volume *now, const struct volume_options *opt)
{
	const struct table_want *want = &opt->want.table;
	const struct pool_salvage *b = &s->base.saved;
	char text[400];

	if (!b->salvage || salvage_device_is_whole(b->salvage, s->base.dev_id) ||
	    !salvage_device_is_whole(now->saved.salvage, now->dev_id))
		return;
	s->diff.unsure = true;
	snprintf(text, sizeof(text), "note: mappings of '%s' are lost, so all of '%s' counts as different", s->name,
		 opt->device);
	if (want->tell)
		want->tell(want->ctx, text);
}

static bool same_origin(const struct volume *a, const struct volume *b)
{
	if (!a->origin_path || !b->origin_path)
		return !a->origin_path && !b->origin_path;
	return dev_is_equal(a->origin_path, b->origin_path);
}

int since_open(struct since *s, struct volume *now, const struct volume_options *opt,
	       const struct since_options *so, struct jobs *jobs, struct err *err)
{
	struct diff *d = &s->diff;
	int r;

	*s = (struct since){ .now_source = { now->data, now->origin } };
	d->now = &now->map;
	if (!so->base && !so->metadata)
		return 0;
	if (now->other)
		return err_set(err, -EDOM, "--since: '%s' is not a thin device, so its changes "
					   "cannot be found",
			       now->other);
	s->name = so->base ? so->base : opt->device;
	r = open_base(s, now, opt, so, jobs, err);
	if (r)
		return r;
	s->base_source = (struct image_source){ s->base.data, s->base.origin };
	if (s->base.map.block_len != now->map.block_len)
		return err_set(err, -EINVAL, "--since-metadata: '%s' has another block size than the pool",
			       so->metadata);
	d->base = &s->base.map;
	d->same_origin = same_origin(now, &s->base);
	d->older = so->metadata;
	d->base_snap_time = s->base.snap_time;
	d->moved = d->older && now->nr_data_blocks < s->base.nr_data_blocks;
	now->map.timed = s->base.map.timed = d->older;
	judge_losses(s, now, opt);
	return 0;
}

void since_close(struct since *s)
{
	volume_close(&s->base);
	*s = (struct since){ 0 };
}
