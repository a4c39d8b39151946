/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "pool/query/picture.h"

#include <errno.h>
#include <stdlib.h>

int picture_init(struct picture *p, uint64_t nr_data_blocks, size_t nr_devices)
{
	*p = (struct picture){ .nr_blocks = nr_data_blocks };
	p->cell_blocks = MAX((nr_data_blocks + PICTURE_CELLS - 1) / PICTURE_CELLS, 1u);
	p->nr_cells = (size_t)((nr_data_blocks + p->cell_blocks - 1) / p->cell_blocks);
	p->cell = calloc(p->nr_cells + 1, sizeof(*p->cell));
	p->count = calloc(nr_devices + 1, sizeof(*p->count));
	p->touched = calloc(nr_devices + 1, sizeof(*p->touched));
	if (p->cell && p->count && p->touched)
		return 0;
	picture_fini(p);
	return -ENOMEM;
}

void picture_fini(struct picture *p)
{
	free(p->cell);
	free(p->count);
	free(p->touched);
	*p = (struct picture){ 0 };
}

/* Puts the device among the first ones of the cell, if it belongs there. */
static void place(struct picture_cell *c, uint32_t device, uint64_t nr)
{
	unsigned at;

	if (c->nr_owners == PICTURE_OWNERS && nr <= c->owner[PICTURE_OWNERS - 1].nr)
		return;
	if (c->nr_owners < PICTURE_OWNERS)
		c->nr_owners++;
	for (at = c->nr_owners - 1; at && c->owner[at - 1].nr < nr; at--)
		c->owner[at] = c->owner[at - 1];
	c->owner[at] = (struct picture_owner){ device, nr };
}

void picture_end(struct picture *p)
{
	for (size_t i = 0; i < p->nr_touched; i++) {
		place(&p->cell[p->at], p->touched[i], p->count[p->touched[i]]);
		p->count[p->touched[i]] = 0;
	}
	p->nr_touched = 0;
}

static void take_owner(struct picture *p, uint32_t owner)
{
	struct picture_cell *c = &p->cell[p->at];

	if (owner == CELLS_SEVERAL) {
		c->nr_shared++;
		return;
	}
	c->nr_alone++;
	if (!p->count[owner - 1]++)
		p->touched[p->nr_touched++] = owner - 1;
}

void picture_take(struct picture *p, const struct cells *c)
{
	uint64_t end = 0; /* of the cell's blocks */

	for (uint64_t i = 0; i < c->nr; i++) {
		const uint64_t block = c->list ? c->list[i] : c->begin + i;
		uint32_t owner;

		if (block >= end) {
			const size_t at = (size_t)(block / p->cell_blocks);

			if (at != p->at)
				picture_end(p);
			p->at = at;
			end = (at + 1) * p->cell_blocks;
		}
		owner = cells_owner(c, i);
		if (owner)
			take_owner(p, owner);
	}
}
