/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_SALVAGE_SUPER_OPTIONS_H
#define POOL_SALVAGE_SUPER_OPTIONS_H
/* What the user knows of the pool, or chose. */
#include "pool/events/events.h"

/* The tree of one device, as the user chose it. */
struct salvage_take {
	uint32_t dev_id;
	mblock_t block;
};

struct salvage_options {
	/* Fields that the caller knows; they win over what the superblock says. */
	struct pool_overrides given;
	/* Fields to fall back on (volume group backup, table, data device) when the superblock's are lost. */
	struct pool_overrides hint;
	uint64_t data_sectors; /* size of the data device, 0: unknown */
	/* Roots that the user chose from salvage_list_roots(). */
	bool has_mapping_root, has_details_root;
	mblock_t mapping_root, details_root;
	const struct salvage_take *take; /* each device once; stays the caller's until salvage_free() */
	size_t nr_take;
	/* The ids of all devices that LVM's text has, ascending; NULL: not known.  They stay the caller's until salvage_free(). */
	const uint32_t *ids;
	size_t nr_ids;
	bool explain; /* keep why each node was put where it is: salvage_explain() */
};

#endif
