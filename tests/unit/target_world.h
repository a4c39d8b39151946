/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef UNIT_TARGET_WORLD_H
#define UNIT_TARGET_WORLD_H
/* The world of t_target_model: the target, the array of sectors that it must equal, and checks of both. */
#include <errno.h>
#include <unistd.h>

#include "base/overflow.h"
#include "io_fault.h"
#include "metadata_sound.h"
#include "tap.h"
#include "random.h"
#include "volume/target/target.h"

#define BLOCK_SECTORS 128u
#define BS (BLOCK_SECTORS * 512)
#define NR_DATA 60u
#define NR_META 400u
#define NR_DEVS 6
#define DEV_SECTORS (20 * BLOCK_SECTORS + 37) /* the last block is cut */
#define ORIGIN_SECTORS (11 * BLOCK_SECTORS + 50)
#define LONGER_ORIGIN_SECTORS (22 * BLOCK_SECTORS)
#define NR_BLOCKS (DEV_SECTORS / BLOCK_SECTORS + 1)
#define OLD 0x40000000u /* tag of a sector that the data device held before the pool was made */
#define MAYBE_MAX 6

struct sector {
	uint32_t now;
	uint32_t maybe[MAYBE_MAX]; /* what a power cut may bring back */
	uint8_t nr_maybe;
	bool wild; /* it holds old bytes, which after a power cut may be others */
};

struct dev {
	bool there;
	struct io *origin;
	struct target_dev *dev;
	struct sector s[DEV_SECTORS];
	bool mapped[NR_BLOCKS]; /* something was written there since it was unmapped */
};

struct world {
	struct io *meta, *data; /* io_fault over memory */
	struct target *t;
	struct target_options opt;
	struct io *origin[3]; /* none, short, long */
	uint64_t transaction;
	bool held, crowded;
	uint32_t tag;
	struct dev dev[NR_DEVS];
	uint64_t nr_ops, nr_crashes, nr_enospc, nr_failed, nr_shone;
};

static struct world w;
static struct err err;
static uint8_t buf[DEV_SECTORS * 512];

static void fill_sector(uint8_t *p, uint32_t tag)
{
	for (int i = 0; i < 128; i++)
		memcpy(p + 4 * i, &tag, 4);
}

/* The tag that the sector at @p holds everywhere; UINT32_MAX: different ones. */
static uint32_t tag_of(const uint8_t *p)
{
	uint32_t tag;

	memcpy(&tag, p, 4);
	return memcmp(p, p + 4, 508) ? UINT32_MAX : tag;
}

static uint32_t origin_tag(const struct io *origin, uint32_t sector)
{
	if (!origin || sector >= origin->size / 512)
		return 0;
	return 0x80000000u | sector;
}

static struct io *make_origin(uint32_t sectors)
{
	struct io *io = io_mem_new("origin", (uint64_t)sectors * 512);

	check(io);
	for (uint32_t i = 0; i < sectors; i++)
		fill_sector((uint8_t *)io_mem_data(io) + (size_t)i * 512, 0x80000000u | i);
	return io;
}

/* --- the model --- */

static void settle(struct sector *s)
{
	s->nr_maybe = 0;
	s->wild = false;
}

static void settle_all(void)
{
	for (int i = 0; i < NR_DEVS; i++)
		for (uint32_t k = 0; k < DEV_SECTORS; k++)
			settle(&w.dev[i].s[k]);
}

static void becomes(struct sector *s, uint32_t tag)
{
	if (s->nr_maybe == MAYBE_MAX) {
		check_eq(target_flush(w.t, &err), 0);
		settle_all();
	}
	s->maybe[s->nr_maybe++] = s->now;
	s->now = tag;
}

static bool may_be(const struct sector *s, uint32_t tag)
{
	for (int i = 0; i < s->nr_maybe; i++)
		if (s->maybe[i] == tag)
			return true;
	return s->wild || s->now == tag;
}

static bool is_mapped(const struct dev *d, uint32_t v)
{
	struct mapping m;
	int r = edit_lookup(target_pool(w.t), (uint32_t)(d - w.dev), v, &m, &err);

	check(!r || r == -ENOENT);
	return !r;
}

/* Sector @k of a block that is new: what an origin covers is copied, the rest holds old bytes. */
static void shine(struct dev *d, uint32_t k)
{
	uint8_t sector[512];

	if (d->origin && k < d->origin->size / 512)
		return;
	check_eq(target_read(d->dev, sector, sizeof(sector), (uint64_t)k * 512, &err), 0);
	becomes(&d->s[k], tag_of(sector));
	d->s[k].wild = true;
	w.nr_shone++;
}

/* [begin, end) was written (@done false: or only a part of it).  In the rest of its blocks old bytes may show. */
static void written(struct dev *d, uint32_t begin, uint32_t end, bool done)
{
	for (uint32_t v = begin / BLOCK_SECTORS; v <= (end - 1) / BLOCK_SECTORS; v++) {
		uint32_t first = v * BLOCK_SECTORS, last = MIN(first + BLOCK_SECTORS, DEV_SECTORS);

		if (d->mapped[v] || (!done && !is_mapped(d, v)))
			continue;
		d->mapped[v] = true;
		for (uint32_t k = first; w.opt.skip_zeroing && k < last; k++)
			if (k < begin || k >= end)
				shine(d, k);
	}
}

/* --- checks --- */

static void check_contents(struct dev *d, bool after_crash)
{
	check_eq(target_read(d->dev, buf, sizeof(buf), 0, &err), 0);
	for (uint32_t k = 0; k < DEV_SECTORS; k++) {
		uint32_t tag = tag_of(buf + (size_t)k * 512);

		if (after_crash ? !may_be(&d->s[k], tag) : d->s[k].now != tag)
			printf("# device %d sector %u: %x, not %x\n", (int)(d - w.dev), k, tag,
			       d->s[k].now);
		if (after_crash) {
			check(may_be(&d->s[k], tag));
			d->s[k].now = tag;
			settle(&d->s[k]);
		} else {
			check_eq(d->s[k].now, tag);
		}
	}
}

/* A message that may or may not have been committed. */
struct pending {
	bool any;
	int kind, id, origin;
};
static struct pending pending;

static void apply_pending(void)
{
	struct dev *d = &w.dev[pending.id], *o = &w.dev[pending.origin];

	w.transaction++;
	switch (pending.kind) {
	case 0:
		d->there = true;
		d->origin = w.origin[pending.origin % 3];
		for (uint32_t k = 0; k < DEV_SECTORS; k++)
			d->s[k] = (struct sector){ .now = origin_tag(d->origin, k) };
		memset(d->mapped, 0, sizeof(d->mapped));
		break;
	case 1:
		d->there = true;
		d->origin = o->origin;
		memcpy(d->s, o->s, sizeof(d->s));
		memcpy(d->mapped, o->mapped, sizeof(d->mapped));
		break;
	case 2:
		d->there = false;
		d->dev = NULL;
		break;
	case 3:
		w.held = !w.held;
	}
}

#endif
