/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Events need a filter: a sink that lets the runs of one device through.  A device's shared parts
 * stand in defs before it; which of them it needs is known only behind it.  So a first pass notes the
 * names of its refs, and later passes keep the runs of just those defs until the refs come.
 */
#include "volume/map/source.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "dev/dev.h"
#include "pool/text/text.h"

/* A def that the device refers to. */
struct part {
	uint64_t name;
	struct run *run;
	size_t nr, cap;
};

#define MAX_LISTED 20 /* device ids in the message about a missing one */

struct event_source {
	map_drive_fn *drive;
	void (*drive_free)(void *drive_ctx);
	void *drive_ctx;
	uint32_t dev_id;

	/* what the first pass learns */
	bool learning;
	struct map_events_info info;
	bool found;
	struct part *part; /* ascending by name after the first pass */
	size_t nr_parts, cap_parts;
	size_t nr_devices, nr_listed;
	char listed[MAX_LISTED * 10 + 1];

	/* during a walk */
	map_runs_fn *fn;
	void *fn_ctx;
	bool in_device;
	struct part *in_part;
};

static int part_by_name(const void *a, const void *b)
{
	const struct part *x = a, *y = b;

	return x->name < y->name ? -1 : x->name > y->name;
}

static struct part *part_find(struct event_source *s, uint64_t name)
{
	struct part key = { .name = name };

	if (!s->nr_parts)
		return NULL;
	return bsearch(&key, s->part, s->nr_parts, sizeof(key), part_by_name);
}

static int part_note(struct event_source *s, uint64_t name, struct err *err)
{
	struct part *p = vec_add(s->part, s->nr_parts, s->cap_parts);

	if (!p)
		return err_nomem(err, "shared parts of the device");
	*p = (struct part){ .name = name };
	return 0;
}

static int part_add(struct part *p, const struct run *run, size_t nr, struct err *err)
{
	if (vec_reserve(p->run, p->cap, p->nr + nr))
		return err_nomem(err, "shared parts of the device");
	memcpy(p->run + p->nr, run, nr * sizeof(*run));
	p->nr += nr;
	return 0;
}

static int on_begin_pool(void *ctx, const struct pool_info *p, struct err *err)
{
	struct event_source *s = ctx;

	(void)err;
	s->info.pool = *p;
	return 0;
}

static int on_begin_def(void *ctx, uint64_t name, struct err *err)
{
	struct event_source *s = ctx;

	(void)err;
	s->in_part = s->learning ? NULL : part_find(s, name);
	if (s->in_part)
		s->in_part->nr = 0;
	return 0;
}

static int on_end_def(void *ctx, struct err *err)
{
	struct event_source *s = ctx;

	(void)err;
	s->in_part = NULL;
	return 0;
}

static int on_begin_device(void *ctx, const struct device_info *d, struct err *err)
{
	struct event_source *s = ctx;
	size_t len = strlen(s->listed);

	(void)err;
	s->in_device = d->dev_id == s->dev_id;
	if (s->in_device) {
		s->info.device = *d;
		s->found = true;
	}
	s->nr_devices++;
	if (s->learning && s->nr_listed < MAX_LISTED) {
		snprintf(s->listed + len, sizeof(s->listed) - len, " %u", d->dev_id);
		s->nr_listed++;
	}
	return 0;
}

static int on_runs(void *ctx, const struct run *run, size_t nr, struct err *err)
{
	struct event_source *s = ctx;

	if (s->learning)
		return 0;
	if (s->in_part)
		return part_add(s->in_part, run, nr, err);
	return s->in_device ? s->fn(s->fn_ctx, run, nr, err) : 0;
}

static int on_ref(void *ctx, uint64_t name, struct err *err)
{
	struct event_source *s = ctx;
	struct part *p;

	if (!s->in_device)
		return 0;
	if (s->learning)
		return part_note(s, name, err);
	p = part_find(s, name);
	return p && p->nr ? s->fn(s->fn_ctx, p->run, p->nr, err) : 0;
}

static int on_end_device(void *ctx, struct err *err)
{
	struct event_source *s = ctx;
	bool ours = s->in_device;

	s->in_device = false;
	return ours && !s->learning ? err_set(err, -ECANCELED, "enough read") : 0;
}

static int on_end_pool(void *ctx, struct err *err)
{
	(void)ctx;
	(void)err;
	return 0;
}

static const struct events_ops filter_ops = {
	.begin_pool = on_begin_pool,
	.begin_def = on_begin_def,
	.end_def = on_end_def,
	.begin_device = on_begin_device,
	.runs = on_runs,
	.ref = on_ref,
	.end_device = on_end_device,
	.end_pool = on_end_pool,
};

static int event_walk(void *ctx, map_runs_fn *fn, void *fn_ctx, struct err *err)
{
	struct event_source *s = ctx;
	const struct events to = { .ops = &filter_ops, .ctx = s };
	int r;

	s->fn = fn;
	s->fn_ctx = fn_ctx;
	s->in_device = false;
	s->in_part = NULL;
	r = s->drive(s->drive_ctx, &to, err);
	return r == -ECANCELED ? 0 : r;
}

static void event_free(void *ctx)
{
	struct event_source *s = ctx;
	size_t i;

	for (i = 0; i < s->nr_parts; i++)
		free(s->part[i].run);
	free(s->part);
	if (s->drive_free)
		s->drive_free(s->drive_ctx);
	free(s);
}

/* A ref may stand several times; its part stands once. */
static void parts_sort(struct event_source *s)
{
	size_t i, nr = 0;

	if (!s->nr_parts)
		return;
	qsort(s->part, s->nr_parts, sizeof(*s->part), part_by_name);
	for (i = 0; i < s->nr_parts; i++)
		if (!nr || s->part[nr - 1].name != s->part[i].name)
			s->part[nr++] = s->part[i];
	s->nr_parts = nr;
}

int map_source_events(map_drive_fn *drive, void (*drive_free)(void *drive_ctx), void *drive_ctx,
		      uint32_t dev_id, struct map_events_info *info, struct map_source *out,
		      struct err *err)
{
	struct event_source *s = calloc(1, sizeof(*s));
	const struct events to = { .ops = &filter_ops, .ctx = s };
	int r;

	if (!s)
		return err_nomem(err, "map");
	s->drive = drive;
	s->drive_ctx = drive_ctx;
	s->dev_id = dev_id;
	s->learning = true;
	r = drive(drive_ctx, &to, err);
	if (!r && !s->found)
		r = err_set(err, -ENODATA, s->nr_devices ? "no device %u: it has %zu device%s:%s%s" :
							   "no device %u: it has %zu device%s%s%s",
			    dev_id, s->nr_devices, s->nr_devices == 1 ? "" : "s", s->listed,
			    s->nr_devices > s->nr_listed ? " ..." : "");
	if (r < 0) {
		event_free(s);
		return r;
	}
	s->learning = false;
	s->drive_free = drive_free;
	parts_sort(s);
	*info = s->info;
	*out = (struct map_source){ .walk = event_walk, .free = event_free, .ctx = s };
	return 0;
}

struct xml_source {
	int fd;
	char *path;
};

static int xml_drive(void *drive_ctx, const struct events *to, struct err *err)
{
	const struct xml_source *x = drive_ctx;
	const struct xml_options opt = { 0 };

	if (lseek(x->fd, 0, SEEK_SET) < 0)
		return err_sys(err, -errno, "%s", x->path);
	return xml_read(x->fd, x->path, &opt, to, err);
}

static void xml_free(void *drive_ctx)
{
	struct xml_source *x = drive_ctx;

	if (x->fd >= 0)
		close(x->fd);
	free(x->path);
	free(x);
}

int map_source_xml(const char *path, uint32_t dev_id, struct map_events_info *info,
		   struct map_source *out, struct err *err)
{
	struct xml_source *x = calloc(1, sizeof(*x));
	int r;

	if (!x)
		return err_nomem(err, "map");
	x->fd = dev_open_text(path, err);
	if (x->fd < 0) {
		r = x->fd;
	} else {
		x->path = strdup(path);
		r = x->path ? map_source_events(xml_drive, xml_free, x, dev_id, info, out, err) :
			      err_nomem(err, "map");
	}
	if (r < 0)
		xml_free(x);
	return r;
}
