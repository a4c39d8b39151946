/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "pool/query/info.h"

#include <stdio.h>

void info_init(struct info *i)
{
	const struct superblock *sb = &i->md->live;
	const struct list *l = i->list;
	uint64_t nr_mapped;

	i->metadata = space_use_of(&sb->metadata_sm, metadata_reserve(sb->metadata_sm.nr_blocks));
	i->data = space_use_of(&sb->data_sm, 0);
	i->metadata_low_water = metadata_low_water(i->metadata.nr_blocks);
	for (size_t n = 0; l && n < l->nr; n++) {
		const struct list_row *r = &l->row[n];

		i->nr_mappings += r->usage.mapped;
		i->nr_extents += r->nr_extents;
		if (r->usage.mapped && (!i->largest || r->usage.mapped > i->largest->usage.mapped))
			i->largest = r;
	}
	nr_mapped = l ? l->nr_alone + l->nr_shared : 0;
	i->nr_unmapped = l && i->data.nr_used > nr_mapped ? i->data.nr_used - nr_mapped : 0;
}

bool info_uuid(const struct info *i, char text[33])
{
	bool any = false;

	for (size_t n = 0; n < sizeof(i->md->view.uuid); n++) {
		sprintf(text + 2 * n, "%02x", i->md->view.uuid[n]);
		any |= i->md->view.uuid[n];
	}
	return any;
}

bool info_at_reserve(const struct info *i)
{
	return i->has_metadata && !i->metadata.nr_free;
}

static void put_use(struct json *j, const struct space_use *u, uint64_t block_bytes)
{
	json_u64(j, "block_bytes", block_bytes);
	json_u64(j, "nr_blocks", u->nr_blocks);
	json_u64(j, "used_blocks", u->nr_used);
	json_u64(j, "free_blocks", u->nr_free);
	json_tenths(j, "used_percent", u->tenths);
}

static void put_metadata(const struct info *i, struct json *j)
{
	if (!i->has_metadata) {
		json_null(j, "metadata");
		return;
	}
	json_object(j, "metadata", 0);
	put_use(j, &i->metadata, MBLOCK_SIZE);
	json_u64(j, "reserve_blocks", i->metadata.nr_reserve);
	json_u64(j, "low_water_blocks", i->metadata_low_water);
	json_close(j);
}

static void put_data(const struct info *i, struct json *j)
{
	json_object(j, "data", 0);
	put_use(j, &i->data, (uint64_t)i->md->view.data_block_size << SECTOR_SHIFT);
	if (i->data_low_water == INFO_UNKNOWN)
		json_null(j, "low_water_blocks");
	else
		json_u64(j, "low_water_blocks", i->data_low_water);
	if (i->list) {
		json_u64(j, "exclusive_blocks", i->list->nr_alone);
		json_u64(j, "shared_blocks", i->list->nr_shared);
		json_u64(j, "unmapped_blocks", i->nr_unmapped);
	}
	json_close(j);
}

static void put_device(const struct list *l, const struct list_row *r, struct json *j)
{
	const struct device_info *d = &r->dev->info;

	json_object(j, NULL, 0);
	json_u64(j, "dev_id", d->dev_id);
	json_text(j, "name", r->name);
	json_u64(j, "transaction_id", d->transaction);
	json_u64(j, "creation_time", d->creation_time);
	json_u64(j, "snap_time", d->snap_time);
	json_u64(j, "mapped_blocks", r->usage.mapped);
	json_u64(j, "exclusive_blocks", r->usage.exclusive);
	json_u64(j, "shared_blocks", r->usage.mapped - r->usage.exclusive);
	if (r->usage.mapped)
		json_u64(j, "highest_block", r->usage.highest);
	else
		json_null(j, "highest_block");
	json_u64(j, "nr_extents", r->nr_extents);
	if (r->snapshot_of == LIST_NO_ROW)
		json_null(j, "snapshot_of");
	else
		json_u64(j, "snapshot_of", l->row[r->snapshot_of].dev->info.dev_id);
	json_bool(j, "snapshot_certain", r->snapshot_certain);
	if (r->listed)
		json_u64(j, "size_bytes", r->length << SECTOR_SHIFT);
	else
		json_null(j, "size_bytes");
	json_text(j, "origin", r->origin);
	json_close(j);
}

static size_t count_mapped(const struct list *l, uint64_t at_least)
{
	size_t nr = 0;

	for (size_t n = 0; n < l->nr; n++)
		nr += l->row[n].usage.mapped >= at_least;
	return nr;
}

/* The number of mappings of the device in place @max, most mappings first; 0: there are no more. */
static uint64_t least_mapped(const struct list *l, size_t max)
{
	uint64_t low = 0, high = MAX_NR_DATA_BLOCKS;

	while (l->nr > max && low < high) {
		uint64_t middle = high - (high - low) / 2;

		if (count_mapped(l, middle) >= max)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

static void put_devices(const struct list *l, size_t max, struct json *j)
{
	const uint64_t least = least_mapped(l, max);
	size_t equal = 0, above = 0;

	for (size_t n = 0; n < l->nr; n++)
		above += l->row[n].usage.mapped > least;
	json_list(j, "devices", JSON_LINES);
	for (size_t n = 0; n < l->nr; n++)
		if (l->row[n].usage.mapped > least ||
		    (l->row[n].usage.mapped == least && above + equal++ < max))
			put_device(l, &l->row[n], j);
	json_close(j);
}

void info_json(const struct info *i, size_t max, struct json *j)
{
	const struct superblock *sb = &i->md->view;
	char uuid[33];

	json_text(j, "uuid", info_uuid(i, uuid) ? uuid : NULL);
	json_u64(j, "version", sb->version);
	json_u64(j, "transaction_id", sb->transaction_id);
	json_u64(j, "time", sb->time);
	json_bool(j, "needs_check", i->md->live.flags & THIN_NEEDS_CHECK);
	json_text(j, "view", i->md->snap ? "metadata_snap" : "live");
	if (i->md->live.held_root)
		json_u64(j, "metadata_snap", i->md->live.held_root);
	else
		json_null(j, "metadata_snap");
	put_metadata(i, j);
	put_data(i, j);
	if (!i->list)
		return;
	json_u64(j, "nr_devices", i->list->nr);
	json_u64(j, "nr_mappings", i->nr_mappings);
	json_u64(j, "nr_extents", i->nr_extents);
	put_devices(i->list, max, j);
}
