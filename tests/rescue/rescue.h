/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef RESCUE_H
#define RESCUE_H
/*
 * What a pool holds, read in the dumbest way from an undamaged image: the truth that
 * a rescue of the damaged one is compared with.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pool/events/events.h"
#include "pool/salvage/salvage.h"

static inline uint32_t u32(const uint8_t *p, size_t at)
{
	return p[at] | p[at + 1] << 8 | p[at + 2] << 16 | (uint32_t)p[at + 3] << 24;
}

static inline uint64_t u64(const uint8_t *p, size_t at)
{
	return u32(p, at) | (uint64_t)u32(p, at + 4) << 32;
}

struct mapped {
	uint32_t dev, leaf; /* leaf: the block it stands in; of a result: enum named */
	uint64_t key, value;
};

struct details {
	uint32_t dev;
	uint64_t mapped, transaction;
	uint32_t created, snapped;
};

/* Roles that blocks have; bits, since a block can be shared by live and held trees. */
enum role {
	ROLE_SUPER,
	ROLE_TOP,
	ROLE_DETAILS,
	ROLE_DEVICE_ROOT, /* also those that are a leaf at the same time */
	ROLE_INTERNAL,
	ROLE_LEAF,
	ROLE_INDEX,
	ROLE_BITMAP,
	ROLE_DATA_SM, /* its index, bitmaps and overflow */
	ROLE_OVERFLOW,
	ROLE_HELD,
	ROLE_FREE,
	NR_ROLES
};
extern const char *const role_name[NR_ROLES];

struct pool {
	uint8_t *image;
	uint32_t nr_blocks;
	struct mapped *map; /* by device, key */
	size_t nr_maps, cap_maps;
	struct details *details; /* by device */
	size_t nr_details, cap_details;
	uint16_t *roles; /* by block: bit mask */
	uint32_t *of_role[NR_ROLES];
	uint32_t nr_of_role[NR_ROLES];
	uint32_t time, data_block_size;
	uint64_t transaction, nr_data_blocks;
	bool no_tree; /* more nodes than blocks: not healthy */
};

/* Exits with a message when the file is no healthy pool. */
void pool_read(struct pool *p, const char *path);
/* The same of an image in memory, which it copies. */
void pool_take(struct pool *p, const void *image, uint32_t nr_blocks);
/* With another superblock. */
void pool_take_with(struct pool *p, const void *super, const void *image, uint32_t nr_blocks);
void pool_free(struct pool *p);

/* What a rescue brought.  A sink: { &result_ops, RESULT }; all zero at first. */
struct result {
	struct mapped *map;
	size_t nr, cap;
	struct details *dev;
	size_t nr_dev, cap_dev;
	struct pool_info info;
	uint32_t in_dev;
	bool in_def;
	uint64_t def;
	struct run_of_def {
		uint64_t def;
		struct run run;
	} * defs;
	size_t nr_defs, cap_defs;
	bool broken; /* grammar of events violated */
};

extern const struct events_ops result_ops;
void result_free(struct result *r);
/* Is a mapping in a range that the report calls likely, open or lost?  Or does it say that all devices may be as they were before? */
enum named { NOT_NAMED, IN_RANGE, IN_STATE };
/* Of all mappings, which are sorted by device and key. */
void result_note_named(struct result *r, struct salvage *s);

/* What thin_repair -v would say (@s may be NULL), and @error. */
void print_report(struct salvage *s, const char *error);
int by_dev_key(const void *a, const void *b); /* struct mapped */

struct rng {
	uint64_t x;
};

static inline uint64_t rnd(struct rng *r)
{
	uint64_t z = r->x += 0x9E3779B97F4A7C15u;

	z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
	z = (z ^ z >> 27) * 0x94D049BB133111EBu;
	return z ^ z >> 31;
}

static inline uint32_t below(struct rng *r, uint32_t n)
{
	return (uint32_t)(rnd(r) % n);
}

#endif
