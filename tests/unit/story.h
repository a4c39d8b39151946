/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef UNIT_STORY_H
#define UNIT_STORY_H
/* A random story of events for the sink that builds metadata, and what the result must be. */
#include <errno.h>

#include "dumb.h"
#include "pool/build/build.h"
#include "pool/format/format.h"
#include "tap.h"
#include "random.h"

#define NR_DATA 60000
#define MAX_MAP 40000

struct model {
	struct dumb_mapping *map;
	size_t nr;
};

static const struct pool_info info = {
	.time = 9, .data_block_size = 128, .nr_data_blocks = NR_DATA
};

static struct err err;

static struct events sink(struct io *io)
{
	struct events e = { 0 };

	check_eq(build_new(io, NULL, &e, &err), 0);
	return e;
}

static uint64_t transaction = 77;

static int begin(struct events *e)
{
	struct pool_info p = info;

	p.transaction = transaction;
	return e->ops->begin_pool(e->ctx, &p, &err);
}

static int begin_device(struct events *e, uint32_t id)
{
	struct device_info d = { .dev_id = id, .transaction = id + 1, .creation_time = 1, .snap_time = 9 };

	return e->ops->begin_device(e->ctx, &d, &err);
}

static int run(struct events *e, uint64_t v, uint64_t d, uint64_t len)
{
	struct run r = { .vbegin = v, .dbegin = d, .len = len, .time = 3 };

	return e->ops->runs(e->ctx, &r, 1, &err);
}

__attribute__((unused)) static int one_def(struct events *e, uint64_t name, uint64_t from, uint64_t len)
{
	return e->ops->begin_def(e->ctx, name, &err) ?: run(e, from, from, len) ?:
							e->ops->end_def(e->ctx, &err);
}

/* A device as a list of parts: runs of its own and defs. */
#define NR_DEFS 40
#define SLOT 3000 /* virtual blocks: def k lies in [k * SLOT, ...) */

struct def_model {
	struct dumb_mapping map[SLOT];
	size_t nr;
};

static int random_runs(struct events *e, uint64_t from, size_t nr, struct dumb_mapping *out)
{
	uint64_t v = from, d, len;
	int r = 0;

	for (size_t i = 0; i < nr && !r;) {
		v += rnd(2);
		len = rnd(4) ? 1 : 1 + rnd(nr - i);
		d = rnd(NR_DATA - len + 1);
		r = run(e, v, d, len);
		for (uint64_t k = 0; k < len; k++)
			out[i++] = (struct dumb_mapping){ 0, v + k, d + k, 3 };
		v += len;
	}
	return r;
}

static size_t some_length(void)
{
	switch (rnd(6)) {
	case 0:
		return 1 + rnd(83);
	case 1:
		return 84 + rnd(3);
	case 2:
		return 250 + rnd(5);
	case 3:
		return 1;
	default:
		return 1 + rnd(1200);
	}
}

static void add_model(struct model *m, uint32_t dev, const struct dumb_mapping *map, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		m->map[m->nr] = map[i];
		m->map[m->nr++].dev = dev;
	}
}

static int random_device(struct events *e, uint32_t id, const struct def_model *defs, struct model *m)
{
	static struct dumb_mapping own[SLOT];
	int r = begin_device(e, id);

	for (uint64_t k = 0; !r && k < NR_DEFS; k++) {
		size_t n = some_length() / 2 + 1;

		switch (rnd(id % 3 ? 4 : 2)) {
		case 0:
			r = e->ops->ref(e->ctx, k * 7 + 1, &err);
			add_model(m, id, defs[k].map, defs[k].nr);
			break;
		case 1:
			if (!rnd(3))
				break;
			r = random_runs(e, k * SLOT, n, own);
			add_model(m, id, own, n);
			break;
		}
	}
	return r ? r : e->ops->end_device(e->ctx, &err);
}

/* The whole story; deterministic for a seed. */
__attribute__((unused)) static int tell(struct events *e, uint64_t the_seed, struct model *m)
{
	static struct def_model defs[NR_DEFS];
	int r = begin(e);

	rnd_begin(the_seed);
	m->nr = 0;
	for (uint64_t k = 0; !r && k < NR_DEFS; k++) {
		defs[k].nr = some_length();
		r = e->ops->begin_def(e->ctx, k * 7 + 1, &err);
		if (!r)
			r = random_runs(e, k * SLOT, defs[k].nr, defs[k].map);
		if (!r)
			r = e->ops->end_def(e->ctx, &err);
	}
	for (uint32_t id = 1; !r && id <= 12; id++)
		r = random_device(e, id * 5, defs, m);
	return r ? r : e->ops->end_pool(e->ctx, &err);
}

__attribute__((unused)) static struct model new_model(void)
{
	struct model m = { .map = malloc(13 * NR_DEFS * SLOT * sizeof(*m.map)) };

	check(m.map != NULL);
	return m;
}

__attribute__((unused)) static void check_good(struct io *io, const struct model *m)
{
	struct dumb d;

	if (!dumb_read(&d, io_mem_data(io), io->size))
		printf("# %s\n", d.why);
	check_str(d.why, "");
	check_eq(d.nr_underfull, 0);
	check_eq(d.nr_map, m->nr);
	for (size_t i = 0; i < m->nr; i++) {
		check_eq(d.map[i].dev, m->map[i].dev);
		check_eq(d.map[i].vblock, m->map[i].vblock);
		check_eq(d.map[i].dblock, m->map[i].dblock);
		check_eq(d.map[i].time, m->map[i].time);
	}
	dumb_fini(&d);
}

#endif
