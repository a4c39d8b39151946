/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Tables whose lines stand on each other, over three small disks in memory, d0, d1 and d2.  Each device
 * is read whole and in pieces, and each sector must be what a search through the lines, as they
 * stand there, finds.
 */
#include <string.h>

#include "dev/named.h"
#include "fuzz.h"
#include "volume/table/table.h"

#define SECTOR_SIZE  512
#define NR_DISKS     3
#define DISK_SECTORS 96
#define MAX_SECTORS  512 /* larger devices are not compared */
#define MAX_STEPS    200000 /* of all searches together: some tables of the corpus are made to cost time */

enum { ZERO = -1, LOST = -2, UNKNOWN = -3 };

static unsigned steps;

/* A sector says where it is. */
static void fill(uint8_t *sector, int disk, uint64_t nr)
{
	memset(sector, 1 + disk, SECTOR_SIZE);
	memcpy(sector, &nr, sizeof(nr));
}

static int disk_open(struct dev_named *d, unsigned flags, struct io **out, struct err *err)
{
	struct io *io = io_mem_new(d->name, DISK_SECTORS * SECTOR_SIZE);

	(void)flags;
	if (!io)
		return err_nomem(err, "disk");
	for (uint64_t i = 0; i < DISK_SECTORS; i++)
		fill((uint8_t *)io_mem_data(io) + i * SECTOR_SIZE, d->name[1] - '0', i);
	*out = io;
	return 0;
}

static int disk_parts(struct dev_named *d, uint64_t at, uint64_t len, dev_part_fn *fn, void *fn_ctx)
{
	(void)d, (void)at, (void)len, (void)fn, (void)fn_ctx;
	return 0;
}

static const struct table_device *find(const struct table *t, const char *name)
{
	for (size_t i = 0; i < t->nr_devices; i++)
		if (!strcmp(t->device[i].name, name) && t->seg && !t->device[i].target &&
		    !t->seg[t->device[i].first].start)
			return &t->device[i];
	return NULL;
}

static int64_t look(const struct table *t, const struct table_device *d, uint64_t at, int *disk);

static int64_t look_at_leg(const struct table *t, const struct table_leg *leg, uint64_t at, int *disk)
{
	const char *word = leg->dev.word;
	unsigned major, minor;

	at += leg->at;
	if (!leg->dev.ref) {
		*disk = word[0] == 'd' && word[1] >= '0' && word[1] < '0' + NR_DISKS && !word[2] ? word[1] - '0' :
												  UNKNOWN;
		if (*disk >= 0 && at >= DISK_SECTORS)
			*disk = LOST;
		return (int64_t)at;
	}
	word += strncmp(word, "/dev/mapper/", 12) ? 0 : 12;
	if (dev_numbers(word, &major, &minor) || !find(t, word)) {
		*disk = UNKNOWN; /* a number, also where a line has it for its name; a pool or a thin device */
		return 0;
	}
	return look(t, find(t, word), at, disk);
}

/* The disk and the sector there, by the words of the lines. */
static int64_t look(const struct table *t, const struct table_device *d, uint64_t at, int *disk)
{
	*disk = LOST;
	if (++steps > MAX_STEPS) {
		*disk = UNKNOWN;
		return 0;
	}
	for (size_t i = d->first; i != SIZE_MAX; i = t->seg[i].next) {
		const struct table_segment *s = &t->seg[i];
		uint64_t in = at - s->start;

		if (at < s->start || in >= s->length)
			continue;
		if (s->kind == STACK_ZERO)
			*disk = ZERO;
		if (s->kind == STACK_LINEAR)
			return look_at_leg(t, &t->leg[s->first_leg], in, disk);
		if (s->kind == STACK_STRIPED)
			return look_at_leg(t, &t->leg[s->first_leg + in / s->stripe % s->nr_legs],
					   in / s->stripe / s->nr_legs * s->stripe + in % s->stripe, disk);
		break;
	}
	return 0;
}

static void check_sector(const struct table *t, const struct table_device *d, struct io *io, uint64_t at)
{
	uint8_t want[SECTOR_SIZE] = { 0 }, got[SECTOR_SIZE];
	struct io_place p;
	struct err err = { 0 };
	int disk, r = io_read(io, got, SECTOR_SIZE, at << SECTOR_SHIFT, &err);
	int64_t sector = look(t, d, at, &disk);

	io_where(io, at << SECTOR_SHIFT, SECTOR_SIZE, &p);
	MUST(p.len && p.len <= SECTOR_SIZE);
	MUST((r < 0) == (p.kind == IO_LOST) && (!r || err.text[0]));
	if (disk == UNKNOWN)
		return;
	MUST((disk == LOST) == (p.kind == IO_LOST) && (disk == ZERO) == (p.kind == IO_ZERO));
	if (disk == LOST)
		return;
	if (disk != ZERO)
		fill(want, disk, (uint64_t)sector);
	MUST(!memcmp(want, got, SECTOR_SIZE));
}

/* Reads all of it at once where nothing is lost, and each sector. */
static void check_device(const struct table *t, const struct table_device *d, struct io *io)
{
	static uint8_t all[MAX_SECTORS * SECTOR_SIZE], one[SECTOR_SIZE];
	struct err err = { 0 };

	MUST(io->size == d->length << SECTOR_SHIFT);
	for (uint64_t at = 0; at < d->length; at++)
		check_sector(t, d, io, at);
	if (io->lossy)
		return;
	MUST(!io_read(io, all, io->size, 0, &err));
	for (uint64_t at = 0; at < d->length; at++) {
		MUST(!io_read(io, one, SECTOR_SIZE, at << SECTOR_SHIFT, &err));
		MUST(!memcmp(one, all + (at << SECTOR_SHIFT), SECTOR_SIZE));
	}
}

/* Only what stands on disks in memory is opened. */
static bool is_ours(const struct table *t)
{
	for (size_t i = 0; i < t->nr_legs; i++)
		if (!t->leg[i].dev.ref && !dev_named_find(t->leg[i].dev.path))
			return false;
	for (size_t i = 0; i < t->nr_pools; i++)
		if (!t->pools[i].data.ref && !dev_named_find(t->pools[i].data.path))
			return false;
	return true;
}

static void check_table(struct table *t)
{
	struct err err = { 0 };
	struct io *io;

	steps = 0;
	for (size_t i = 0; i < t->nr_devices && i < 20; i++) {
		const struct table_device *d = find(t, t->device[i].name);
		const char *path = d == &t->device[i] ? table_device_path(t, d->name) : NULL;

		if (!path || !strchr(path, ':') || d->length > MAX_SECTORS)
			continue;
		if (dev_open(path, 0, &io, &err)) {
			MUST(err.text[0]);
			continue;
		}
		check_device(t, d, io);
		io_free(io);
		dev_same(path, t->pools[0].metadata.path, &err);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct dev_named disk[NR_DISKS] = { { .name = "d0" }, { .name = "d1" }, { .name = "d2" } };
	char *text = calloc(1, len + 1);
	struct table *t = NULL;
	struct err err = { 0 };

	MUST(text);
	memcpy(text, data, len);
	for (int i = 0; i < NR_DISKS; i++) {
		disk[i].open = disk_open;
		disk[i].parts = disk_parts;
		dev_named_add(&disk[i]);
	}
	if (table_parse("table", "", text, NULL, &t, &err) < 0)
		MUST(!t && err.text[0]);
	else if (is_ours(t))
		check_table(t);
	table_free(t);
	for (int i = 0; i < NR_DISKS; i++)
		dev_named_remove(&disk[i]);
	free(text);
	return 0;
}
