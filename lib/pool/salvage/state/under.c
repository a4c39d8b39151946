/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * An empty pool that may have been formatted over another one.  The kernel does that at activation
 * when block 0 is zero; the older pool's trees are then still there.  They are not used by default,
 * because the devices may have been deleted.  The report names the options that bring them back.
 */
#include <stdlib.h>

#include "pool/salvage/impl.h"

static bool holds_devices(const struct salvage *s)
{
	for (uint32_t i = 0; i < s->nr_nodes; i++)
		if (s->node[i].tree == TREE_DETAILS && s->node[i].flags & SN_LEAF && s->node[i].nr)
			return true;
	return false;
}

static int sum_up(struct salvage *s, struct err *err)
{
	struct vec details = { 0 };
	const struct device_info *d;
	int r = salvage_read_details(s, s->slot[s->over.details_root], &details, err);

	d = details.data;
	s->over.nr_devices = details.nr;
	for (size_t i = 0; i < details.nr; i++)
		s->over.nr_mappings += d[i].mapped_blocks;
	free(details.data);
	return r;
}

int salvage_look_under(struct salvage *s, struct err *err)
{
	const struct superblock own = s->sb;
	bool uncertain = s->uncertain;
	uint32_t map, details;
	int r = salvage_scan_all(s, err);

	if (r < 0 || !holds_devices(s))
		return r;
	s->over.found = true;
	salvage_link(s);
	s->own_index = (uint32_t)MIN(own.metadata_sm.bitmap_root, NONE);
	s->sb = (struct superblock) { .time = own.time };
	r = salvage_find_roots(s, err);
	map = node_of(s, s->sb.mapping_root);
	details = node_of(s, s->sb.details_root);
	if (!r && map != NONE && details != NONE && s->node[map].tree == TREE_TOP &&
	    s->node[details].tree == TREE_DETAILS) {
		s->over.map_root = (uint32_t)s->sb.mapping_root;
		s->over.details_root = (uint32_t)s->sb.details_root;
		r = sum_up(s, err);
	}
	s->sb = own;
	s->uncertain = uncertain;
	return r;
}
