/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef RESCUE_H
#define RESCUE_H
/*
 * What a pool holds, read in the dumbest way from an undamaged image: the truth that
 * a rescue of the damaged one is compared with.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mapping {
	uint32_t dev, leaf; /* leaf: the block it stands in */
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
	struct mapping *map; /* by device, key */
	size_t nr_maps, cap_maps;
	struct details *details; /* by device */
	size_t nr_details, cap_details;
	uint16_t *roles; /* by block: bit mask */
	uint32_t *of_role[NR_ROLES];
	uint32_t nr_of_role[NR_ROLES];
	uint32_t time, data_block_size;
	uint64_t transaction, nr_data_blocks;
};

/* Exits with a message when the file is no healthy pool. */
void pool_read(struct pool *p, const char *path);
void pool_free(struct pool *p);

#endif
