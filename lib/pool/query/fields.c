/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* The fields of a list of devices. */
#include "pool/query/list.h"

#include <stdlib.h>
#include <string.h>

#include "base/overflow.h"

/* What a field tells ... */
enum what { DEV, MAPPED, EXCLUSIVE, SHARED, HIGHEST, TRANSACTION, CREATE_TIME, SNAP_TIME, NAME,
	    SIZE, ORIGIN, POOL };
/* ... and in which unit. */
enum unit { PLAIN, BLOCKS, SECTORS, BYTES, PRETTY };

static const struct list_field fields[] = {
	{ "DEV", "dev_id", DEV, PLAIN },
	{ "MAPPED_BLOCKS", "mapped_blocks", MAPPED, BLOCKS },
	{ "EXCLUSIVE_BLOCKS", "exclusive_blocks", EXCLUSIVE, BLOCKS },
	{ "SHARED_BLOCKS", "shared_blocks", SHARED, BLOCKS },
	{ "HIGHEST_BLOCK", "highest_block", HIGHEST, BLOCKS },
	{ "MAPPED_SECTORS", "mapped_sectors", MAPPED, SECTORS },
	{ "EXCLUSIVE_SECTORS", "exclusive_sectors", EXCLUSIVE, SECTORS },
	{ "SHARED_SECTORS", "shared_sectors", SHARED, SECTORS },
	{ "HIGHEST_SECTOR", "highest_sector", HIGHEST, SECTORS },
	{ "MAPPED_BYTES", "mapped_bytes", MAPPED, BYTES },
	{ "EXCLUSIVE_BYTES", "exclusive_bytes", EXCLUSIVE, BYTES },
	{ "SHARED_BYTES", "shared_bytes", SHARED, BYTES },
	{ "HIGHEST_BYTE", "highest_byte", HIGHEST, BYTES },
	{ "MAPPED", "mapped_bytes", MAPPED, PRETTY },
	{ "EXCLUSIVE", "exclusive_bytes", EXCLUSIVE, PRETTY },
	{ "SHARED", "shared_bytes", SHARED, PRETTY },
	{ "HIGHEST_MAPPED", "highest_mapped_bytes", HIGHEST, PRETTY },
	{ "TRANSACTION", "transaction_id", TRANSACTION, PLAIN },
	{ "CREATE_TIME", "creation_time", CREATE_TIME, PLAIN },
	{ "SNAP_TIME", "snap_time", SNAP_TIME, PLAIN },
	{ "NAME", "name", NAME, PLAIN },
	{ "SIZE", "size_bytes", SIZE, PRETTY },
	{ "ORIGIN", "origin", ORIGIN, PLAIN },
	{ "POOL", "pool", POOL, PLAIN },
};

const struct list_field *list_field(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (strlen(fields[i].name) == len && !memcmp(fields[i].name, name, len))
			return &fields[i];
	return NULL;
}

const char *list_field_name(size_t i)
{
	return i < ARRAY_SIZE(fields) ? fields[i].name : NULL;
}

enum list_depth list_field_depth(const struct list_field *f)
{
	if (f->what == EXCLUSIVE || f->what == SHARED)
		return LIST_EXCLUSIVE;
	return f->what == MAPPED || f->what == HIGHEST ? LIST_MAPPED : LIST_DETAILS;
}

bool list_field_needs_line(const struct list_field *f)
{
	return f->what == SIZE || f->what == ORIGIN;
}

bool list_field_is_size(const struct list_field *f)
{
	return f->unit == PRETTY;
}

bool list_has(const struct list_row *r, const struct list_field *f)
{
	if (f->what == NAME || f->what == ORIGIN || f->what == POOL)
		return list_text(r, f);
	return f->what != SIZE || r->listed;
}

const char *list_text(const struct list_row *r, const struct list_field *f)
{
	if (f->what == NAME)
		return r->name;
	if (f->what == POOL)
		return r->pool;
	return f->what == ORIGIN ? r->origin : NULL;
}

/* The last block, sector or byte that is mapped; as a size, where that ends. */
static uint64_t highest(const struct list_row *r, unsigned unit, uint64_t block_size)
{
	uint64_t end = r->usage.highest, per = 1, value;

	if (!r->usage.mapped)
		return 0;
	if (unit == SECTORS)
		per = block_size;
	else if (unit != BLOCKS)
		per = block_size << SECTOR_SHIFT;
	if (add_overflow(end, 1, &end) || mul_overflow(end, per, &value))
		return UINT64_MAX; /* damaged metadata: beyond what any device has */
	return value - (unit != PRETTY);
}

static uint64_t in_unit(uint64_t blocks, unsigned unit, uint64_t block_size)
{
	if (unit == BLOCKS)
		return blocks;
	return unit == SECTORS ? blocks * block_size : blocks * block_size << SECTOR_SHIFT;
}

uint64_t list_number(const struct list_row *r, const struct list_field *f, uint32_t block_size)
{
	switch ((enum what)f->what) {
	case DEV:
		return r->dev->info.dev_id;
	case MAPPED:
		return in_unit(r->usage.mapped, f->unit, block_size);
	case EXCLUSIVE:
		return in_unit(r->usage.exclusive, f->unit, block_size);
	case SHARED:
		return in_unit(r->usage.mapped - r->usage.exclusive, f->unit, block_size);
	case HIGHEST:
		return highest(r, f->unit, block_size);
	case TRANSACTION:
		return r->dev->info.transaction;
	case CREATE_TIME:
		return r->dev->info.creation_time;
	case SNAP_TIME:
		return r->dev->info.snap_time;
	case SIZE:
		return r->length << SECTOR_SHIFT;
	case NAME:
	case ORIGIN:
	case POOL:
		break;
	}
	return 0;
}

struct order {
	const struct list_field *f;
	bool descending;
	uint32_t block_size;
};

/* Compares texts, where a missing one counts as "-", or numbers. */
static int compare(const struct list_row *a, const struct list_row *b, const struct order *o)
{
	uint64_t x = list_number(a, o->f, o->block_size), y = list_number(b, o->f, o->block_size);
	const char *s = list_text(a, o->f), *t = list_text(b, o->f);

	return s || t ? strcmp(s ? s : "-", t ? t : "-") : (x > y) - (x < y);
}

static int by_field(const void *va, const void *vb, void *ctx)
{
	const struct list_row *a = va, *b = vb;
	const struct order *o = ctx;
	int r = compare(a, b, o);

	if (r)
		return o->descending ? -r : r;
	return (a->dev->info.dev_id > b->dev->info.dev_id) -
	       (a->dev->info.dev_id < b->dev->info.dev_id);
}

void list_sort(struct list *l, const struct list_field *f, bool descending, uint32_t block_size)
{
	struct order o = { f, descending, block_size };

	qsort_r(l->row, l->nr, sizeof(*l->row), by_field, &o);
}
