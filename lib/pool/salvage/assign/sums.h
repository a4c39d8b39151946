/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_SALVAGE_SUMS_H
#define POOL_SALVAGE_SUMS_H
/* Which numbers of mappings can the nodes that are still to be placed bring to each device? */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All zero: empty.  Rows of sets, one set a device: sums that the groups from the row's on can give. */
struct sums {
	uint64_t *bits;
	size_t *at; /* by device: its first word in a row */
	size_t row; /* words */
};

/*
 * For @nr_groups groups and devices that need @need[i] of them.
 * False: it would take too much memory, all sums then count as possible.
 */
bool sums_begin(struct sums *s, const uint64_t *need, size_t nr_devs, uint32_t nr_groups);
void sums_end(struct sums *s);
/* Groups are added from the last to the first: first sums_open(), then what it may bring to each device. */
void sums_open(struct sums *s, uint32_t group);
void sums_add(struct sums *s, uint32_t group, size_t dev, uint64_t nr);
/* Can the groups from @group on bring just @nr to the device? */
bool sums_can(const struct sums *s, uint32_t group, size_t dev, uint64_t nr);

#endif
