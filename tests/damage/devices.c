/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Recipes: devices and mappings. */
#include "damage.h"

static void remove_device(const char *name)
{
	uint32_t i;
	mblock_t b = find_entry(name, g.device, &i);

	printf("%s: device %llu\n", g.recipe,
	       (unsigned long long)le64_get(((struct disk_node *)block_at(b))->keys[i]));
	remove_entry(b, i);
}

static void device_without_details(void)
{
	remove_device("details");
}

static void device_without_mappings(void)
{
	remove_device("top-level");
}

static void device_id(void)
{
	struct layout *l = named_tree("top-level");
	mblock_t b = l->leaf[l->nr_leaves - 1].block;
	struct disk_node *n = block_at(b);

	if (!nr_of(n))
		die("no device");
	put64(&n->keys[nr_of(n) - 1], value_or(1ull << 24));
	seal(b, SALT_NODE);
}

static struct disk_details *details_of(long id, mblock_t *b)
{
	uint32_t i;

	*b = find_entry("details", id, &i);
	return (struct disk_details *)value_of(block_at(*b), i);
}

static void mapped_blocks(void)
{
	mblock_t b;
	struct disk_details *d = details_of(g.device, &b);

	put64(&d->mapped_blocks, value_or(le64_get(d->mapped_blocks) + 1));
	seal(b, SALT_NODE);
}

static void device_time(void)
{
	mblock_t b;
	struct disk_details *d = details_of(g.device, &b);

	put32(&d->snapshotted_time, value_or(le32_get(sb()->time) + 1));
	seal(b, SALT_NODE);
}

static void change_mapping(uint64_t block, uint64_t time)
{
	mblock_t b = target(1).block;
	struct disk_node *n = block_at(b);
	uint64_t v = value64(n, 0);

	put64(value_of(n, 0), mapping_pack(block == UINT64_MAX ? mapping_block(v) : block,
					   time == UINT64_MAX ? mapping_time(v) : (uint32_t)time));
	seal(b, SALT_NODE);
	say(b);
}

static void data_outside(void)
{
	change_mapping(value_or(le64_get(sb()->data_sm.nr_blocks) + 5), UINT64_MAX);
}

static void mapping_time_late(void)
{
	change_mapping(UINT64_MAX, value_or(le32_get(sb()->time) + 1));
}

/* By data block: the first device found to map it, and whether a second one does, too. */
static uint32_t *first_owner;
static bool any_shared;

static bool note_owners(uint64_t id, struct layout *l)
{
	for (unsigned k = 0; k < l->nr_leaves; k++) {
		struct disk_node *n = block_at(l->leaf[k].block);

		for (uint32_t i = 0; i < nr_of(n); i++) {
			uint64_t b = mapping_block(value64(n, i));

			if (b >= le64_get(sb()->data_sm.nr_blocks))
				continue;
			any_shared |= first_owner[b] && first_owner[b] != id + 1;
			first_owner[b] = (uint32_t)id + 1;
		}
	}
	return false;
}

/* All devices look as if no snapshot had ever been taken. */
static void shared_time(void)
{
	struct layout *l = named_tree("details");

	first_owner = calloc(le64_get(sb()->data_sm.nr_blocks) + 1, sizeof(*first_owner));
	each_device(note_owners);
	if (!any_shared)
		die("no two devices share a data block");
	for (unsigned k = 0; k < l->nr_leaves; k++) {
		struct disk_node *n = block_at(l->leaf[k].block);

		for (uint32_t i = 0; i < nr_of(n); i++)
			put32(&((struct disk_details *)value_of(n, i))->snapshotted_time, 0);
		seal(l->leaf[k].block, SALT_NODE);
	}
}

const struct recipe device_recipes[] = {
	{ "device-without-details", device_without_details },
	{ "device-without-mappings", device_without_mappings },
	{ "device-id", device_id },
	{ "mapped-blocks", mapped_blocks },
	{ "data-outside", data_outside },
	{ "mapping-time", mapping_time_late },
	{ "device-time", device_time },
	{ "shared-time", shared_time },
	{ 0 },
};
