/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* What a rescue brought: a sink of events that lists every mapping of every device. */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rescue.h"
#include "pool/report/impl.h"

#define PUSH(arr, nr, cap)                                              \
	({                                                              \
		if ((nr) == (cap)) {                                    \
			(cap) = (cap) ? (cap)*2 : 256;                  \
			(arr) = realloc((arr), (cap) * sizeof(*(arr))); \
			if (!(arr))                                     \
				err(1, "memory");                       \
		}                                                       \
		&(arr)[(nr)++];                                         \
	})

static int on_pool(void *ctx, const struct pool_info *p, struct err *e)
{
	struct result *r = ctx;

	(void)e;
	r->info = *p;
	return 0;
}

static int on_def(void *ctx, uint64_t name, struct err *e)
{
	struct result *r = ctx;

	(void)e;
	r->in_def = true;
	r->def = name;
	return 0;
}

static int on_end_def(void *ctx, struct err *e)
{
	struct result *r = ctx;

	(void)e;
	r->in_def = false;
	return 0;
}

static int on_device(void *ctx, const struct device_info *d, struct err *e)
{
	struct result *r = ctx;

	(void)e;
	*PUSH(r->dev, r->nr_dev, r->cap_dev) =
		(struct details) { d->dev_id, d->mapped_blocks, d->transaction, d->creation_time,
				   d->snap_time };
	r->in_dev = d->dev_id;
	return 0;
}

static void add_run(struct result *r, const struct run *run)
{
	for (uint64_t i = 0; i < run->len; i++) {
		struct mapped *last = r->nr ? &r->map[r->nr - 1] : NULL;

		if (last && last->dev == r->in_dev && last->key >= run->vbegin + i)
			r->broken = true;
		*PUSH(r->map, r->nr, r->cap) =
			(struct mapped) { r->in_dev, 0, run->vbegin + i,
					  (run->dbegin + i) << 24 | run->time };
	}
}

static int on_runs(void *ctx, const struct run *run, size_t nr, struct err *e)
{
	struct result *r = ctx;

	(void)e;
	for (size_t i = 0; i < nr; i++) {
		if (r->in_def)
			*PUSH(r->defs, r->nr_defs, r->cap_defs) =
				(struct run_of_def) { r->def, run[i] };
		else
			add_run(r, &run[i]);
	}
	return 0;
}

static int on_ref(void *ctx, uint64_t name, struct err *e)
{
	struct result *r = ctx;
	bool any = false;

	(void)e;
	for (size_t i = 0; i < r->nr_defs; i++)
		if (r->defs[i].def == name) {
			add_run(r, &r->defs[i].run);
			any = true;
		}
	r->broken |= !any;
	return 0;
}

static int on_end(void *ctx, struct err *e)
{
	(void)ctx;
	(void)e;
	return 0;
}

const struct events_ops result_ops = {
	.begin_pool = on_pool,
	.begin_def = on_def,
	.end_def = on_end_def,
	.begin_device = on_device,
	.runs = on_runs,
	.ref = on_ref,
	.end_device = on_end,
	.end_pool = on_end,
};

void result_free(struct result *r)
{
	free(r->map);
	free(r->dev);
	free(r->defs);
}

/* Of a device that is called likely or open as a whole no range is named. */
static bool is_in_range(const struct sdevice *dev, const struct device_report *d, uint64_t key)
{
	const struct runs *const named[] = { &d->lost, &d->likely, &d->open };
	bool any = false;

	for (size_t i = 0; i < 3; i++)
		if (runs_has(named[i], key))
			return true;
		else
			any |= named[i]->nr;
	return dev->id_invented || (!any && strcmp(certainty_text(dev, d), "proved"));
}

void result_note_named(struct result *r, struct salvage *s)
{
	struct telling t;
	size_t k = 0;

	if (telling_init(&t, s))
		err(1, "memory");
	for (size_t i = 0; i < s->trees.nr_devs; i++) {
		const struct sdevice *dev = &s->trees.dev[i];
		struct device_report d = { 0 };

		report_device(&t, dev, &d);
		for (; k < r->nr && r->map[k].dev <= dev->info.dev_id; k++)
			r->map[k].leaf = is_in_range(dev, &d, r->map[k].key) ? IN_RANGE : state_has_newer(&s->state) ? IN_STATE : 0;
		device_report_fini(&d);
	}
	telling_fini(&t);
}

int by_dev_key(const void *pa, const void *pb)
{
	const struct mapped *a = pa, *b = pb;

	if (a->dev != b->dev)
		return a->dev < b->dev ? -1 : 1;
	return a->key < b->key ? -1 : a->key > b->key;
}

void print_report(struct salvage *s, const char *error)
{
	struct outbuf out;

	outbuf_init(&out);
	if (s)
		salvage_report(s, true, &out);
	printf("%.*s%s\n", (int)out.len, out.data ? out.data : "", error);
	outbuf_fini(&out);
}
