/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_INFO_H
#define POOL_INFO_H
/*
 * The facts about a pool that thin_info prints on one screen, as text and JSON.  Threads: one at a
 * time.
 */
#include "base/text/json.h"
#include "pool/query/list.h"
#include "pool/query/space_use.h"

#define INFO_UNKNOWN UINT64_MAX

struct info {
	const struct metadata *md;
	bool has_metadata;	   /* the metadata device is known; false for a pool from XML */
	uint64_t data_low_water;   /* free data blocks at which the kernel sends an event; INFO_UNKNOWN */
	const struct list *list;   /* of LIST_ALL; NULL: the mappings were not read */
	/* info_init() computes the rest */
	struct space_use metadata, data;
	uint64_t metadata_low_water;	/* unused blocks at which the kernel sends an event */
	uint64_t nr_mappings, nr_extents;
	uint64_t nr_unmapped;		/* data blocks in use that no device of the list maps */
	const struct list_row *largest; /* the device with the most mappings; NULL: none has any */
};

/* Computes the rest from the fields before it. */
void info_init(struct info *i);

/*
 * The pool's uuid as 32 hexadecimal digits; false: it has none; pools that the kernel makes have
 * none.
 */
bool info_uuid(const struct info *i, char text[33]);

/* Is the metadata at the kernel's reserve, where the pool becomes read-only? */
bool info_at_reserve(const struct info *i);

/* Members of the document that is open; of the devices those @max with the most mappings. */
void info_json(const struct info *i, size_t max, struct json *j);

#endif
