/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Pools made afresh: a random story told to lib/pool/edit, which allocates and shadows as the kernel
 * does (tests/stories.sh proves it).  The states of the last commits are kept.
 */
#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "harsh.h"
#include "pool/build/build.h"
#include "pool/edit/impl.h"

#define MAX_DEVS 150

/* What is told. */
struct shape {
	uint32_t max_devs;
	uint32_t burst;	   /* devices that are made at once, at most */
	uint32_t activate; /* one commit of so many is followed by another activation */
	uint32_t hold;	   /* percent of the steps take or release a metadata snapshot, if any does */
};

static const struct shape usual = { .max_devs = 14, .burst = 1, .activate = 6, .hold = 2 };
/* Many devices, most of which nobody writes to; often a metadata snapshot; one activation, so the blocks go round. */
static const struct shape herd = { .max_devs = MAX_DEVS, .burst = 12, .activate = 0, .hold = 6 };

struct story {
	const struct shape *shape;
	struct rng rng;
	struct io *io;
	struct pool_edit *pool;
	struct history *h;
	uint32_t id[MAX_DEVS], nr, nr_data;
	bool held, index_first;
};

static void keep(struct story *s)
{
	struct history *h = s->h;
	size_t len = (size_t)h->nr_blocks * 4096;

	if (h->nr == HISTORY) {
		free(h->state[0]);
		memmove(h->state, h->state + 1, (HISTORY - 1) * sizeof(h->state[0]));
		h->nr--;
	}
	h->state[h->nr] = malloc(len);
	if (!h->state[h->nr])
		err(1, "memory");
	memcpy(h->state[h->nr++], io_mem_data(s->io), len);
}

/* Like an activation. */
static void open_pool(struct story *s)
{
	struct err e = { 0 };

	if (edit_open(s->io, true, &s->pool, &e))
		errx(1, "a story: %s", e.text);
	transaction_map(s->pool->transaction)->index_first = s->index_first;
}

static void commit(struct story *s)
{
	struct err e = { 0 };
	bool unsure = false;

	if (edit_commit(s->pool, &unsure, &e))
		errx(1, "a story: %s", e.text);
	keep(s);
	if (!s->shape->activate || below(&s->rng, s->shape->activate))
		return;
	edit_free(s->pool);
	open_pool(s);
}

/* One block, provisioned or with its sharing broken.  False: out of space. */
static bool write_block(struct story *s, uint32_t id, vblock_t v)
{
	struct edit_space space;
	struct mapping m;
	dblock_t b;
	struct err e = { 0 };
	int r;

	edit_space(s->pool, &space);
	if (space.data_free < 2 || space.metadata_usable < space.metadata_wanted + 40)
		return false;
	r = edit_lookup(s->pool, id, v, &m, &e);
	if (!r && !m.shared)
		return true;
	if (r && r != -ENOENT)
		errx(1, "a story: %s", e.text);
	r = edit_alloc_data(s->pool, &b, &e);
	if (r == -EXFULL) /* freed blocks can be used only after a commit */
		return false;
	if (r || edit_map(s->pool, id, v, b, &e))
		errx(1, "a story: %s", e.text);
	return true;
}

static void write_some(struct story *s)
{
	uint32_t id = s->id[below(&s->rng, s->nr)], n = 1 + below(&s->rng, s->nr_data / 12 + 2);
	vblock_t at = below(&s->rng, s->nr_data), span = s->nr_data * 2;
	bool random = !below(&s->rng, 3);

	if (!below(&s->rng, 3))
		n = 1 + below(&s->rng, 8);
	for (uint32_t i = 0; i < n; i++)
		if (!write_block(s, id, random ? rnd(&s->rng) % span : at + i))
			return;
}

static void change_devices(struct story *s)
{
	uint32_t id = below(&s->rng, 4) ? s->nr * 3 + below(&s->rng, 40) : below(&s->rng, 1 << 24);
	struct err e = { 0 };
	int r;

	if (s->nr == s->shape->max_devs || (s->nr > 2 && !below(&s->rng, 4))) {
		uint32_t k = below(&s->rng, s->nr);

		if (edit_delete(s->pool, s->id[k], &e))
			errx(1, "a story: %s", e.text);
		s->id[k] = s->id[--s->nr];
		return;
	}
	for (uint32_t i = 0; i < s->nr; i++)
		if (s->id[i] == id)
			return;
	if (s->nr && below(&s->rng, 5) < 3)
		r = edit_create_snap(s->pool, id, s->id[below(&s->rng, s->nr)], &e);
	else
		r = edit_create_thin(s->pool, id, &e);
	if (r)
		errx(1, "a story: %s", e.text);
	s->id[s->nr++] = id;
	if (below(&s->rng, 2)) {
		uint64_t tid = edit_superblock(s->pool)->transaction_id;

		(void)edit_set_transaction_id(s->pool, tid, tid + 1, &e);
	}
}

static void discard(struct story *s)
{
	vblock_t at = below(&s->rng, s->nr_data * 2);
	struct err e = { 0 };

	if (edit_unmap(s->pool, s->id[below(&s->rng, s->nr)], at,
		       at + 1 + below(&s->rng, s->nr_data / 8 + 2), NULL, &e))
		errx(1, "a story: %s", e.text);
}

static void hold(struct story *s)
{
	struct err e = { 0 };
	int r = s->held ? edit_release_metadata_snap(s->pool, &e)
			: edit_reserve_metadata_snap(s->pool, &e);

	if (r)
		errx(1, "a story: %s", e.text);
	s->held = !s->held;
}

static void one_step(struct story *s)
{
	uint32_t what = below(&s->rng, 100);
	struct edit_space space;

	edit_space(s->pool, &space);
	if (!s->nr || what < 18)
		for (uint32_t nr = s->shape->burst > 1 ? 1 + below(&s->rng, s->shape->burst) : 1; nr; nr--)
			change_devices(s);
	else if (what < 65)
		write_some(s);
	else if (what < 72)
		discard(s);
	else if (what < 72 + s->shape->hold && s->h->with_snapshots)
		hold(s);
	else
		commit(s);
	edit_space(s->pool, &space);
	if (space.metadata_usable < space.metadata_wanted + 60)
		commit(s);
}

static void write_many(struct story *s, uint32_t many)
{
	vblock_t at = 0;

	change_devices(s);
	for (uint32_t i = 0; i < many && write_block(s, s->id[0], at); i++)
		at += 1 + below(&s->rng, 3);
	commit(s);
}

/* As thin_restore writes it: to an empty device, or over older metadata, which stay behind it. */
static void write_anew(struct story *s)
{
	struct io *to = io_mem_new("story", (uint64_t)s->h->nr_blocks * 4096);
	struct jobs *jobs = jobs_new(1);
	const struct build_options opt = { 0 };
	const struct salvage_options none = { 0 };
	struct salvage *from = NULL;
	struct events sink = { 0 };
	struct err e = { 0 };

	commit(s);
	edit_free(s->pool);
	if (!to || !jobs)
		err(1, "memory");
	if (below(&s->rng, 2))
		memcpy(io_mem_data(to), io_mem_data(s->io), (size_t)s->h->nr_blocks * 4096);
	if (salvage_new(s->io, jobs, &none, &from, &e) || build_new(to, &opt, &sink, &e) ||
	    salvage_emit(from, NULL, &sink, &e))
		errx(1, "a story: %s", e.text);
	build_free(&sink);
	salvage_free(from);
	jobs_free(jobs);
	io_free(s->io);
	history_free(s->h);
	s->io = to;
	s->held = false;
	keep(s);
	open_pool(s);
}

/* A commit of which all blocks but the superblock arrived, or some. */
static void crash(struct story *s)
{
	struct history *h = s->h;
	uint8_t *image = h->state[h->nr - 1], *later = malloc((size_t)h->nr_blocks * 4096);
	const uint32_t missing = below(&s->rng, 2) ? 0 : 1 + below(&s->rng, 4);
	struct err e = { 0 };
	bool unsure = false;

	if (!later)
		err(1, "memory");
	for (uint32_t steps = 1 + below(&s->rng, 4); steps; steps--)
		if (below(&s->rng, 3))
			write_some(s);
		else
			change_devices(s);
	if (edit_commit(s->pool, &unsure, &e))
		errx(1, "a story: %s", e.text);
	memcpy(later, io_mem_data(s->io), (size_t)h->nr_blocks * 4096);
	h->later = later;
	for (uint32_t b = 1; b < h->nr_blocks; b++)
		if (!missing || below(&s->rng, 4) >= missing)
			memcpy(image + (size_t)b * 4096, later + (size_t)b * 4096, 4096);
}

void fresh_pool(struct pool *p, struct history *h, uint64_t seed, uint32_t many, enum story_kind kind, bool index_first)
{
	const bool of_herd = kind == STORY_HERD;
	struct story s = { .shape = of_herd ? &herd : &usual, .rng = { seed * 7919 + 13 }, .h = h, .index_first = index_first };
	uint32_t steps;
	struct err e = { 0 };

	*h = (struct history) { .nr_blocks = 200 + below(&s.rng, 900),
				.with_snapshots = !below(&s.rng, 3) };
	s.nr_data = 200 + below(&s.rng, below(&s.rng, 3) ? 3000 : 30000);
	steps = 10 + below(&s.rng, 150);
	if (many) {
		h->nr_blocks += 1200;
		s.nr_data += many;
	}
	s.io = io_mem_new("story", (uint64_t)h->nr_blocks * 4096);
	if (!s.io || edit_format(s.io, 128, &s.pool, &e) || edit_grow_data(s.pool, s.nr_data, &e))
		errx(1, "a story: %s", e.text);
	transaction_map(s.pool->transaction)->index_first = index_first;
	commit(&s);
	if (many)
		write_many(&s, many);
	while (steps--)
		one_step(&s);
	if (of_herd && h->with_snapshots && !s.held)
		hold(&s);
	if (kind == STORY_ANEW) {
		write_anew(&s);
		for (steps = below(&s.rng, 3) ? 0 : 1 + below(&s.rng, 12); steps; steps--)
			one_step(&s);
	}
	if (h->nr != 1 || kind != STORY_ANEW)
		commit(&s);
	if (kind == STORY_CRASH)
		crash(&s);
	edit_free(s.pool);
	io_free(s.io);
	pool_take(p, h->state[h->nr - 1], h->nr_blocks);
}

void history_free(struct history *h)
{
	for (uint32_t i = 0; i < h->nr; i++)
		free(h->state[i]);
	free(h->later);
	h->later = NULL;
	h->nr = 0;
}
