/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef UNIT_OLD_POOL_H
#define UNIT_OLD_POOL_H
/*
 * For tests of what fails: a pool of five devices that share most of their blocks, three snapshots
 * of the last that nothing was written to, and a held snapshot.
 */
#include "pool/edit/edit.h"
#include "random.h"
#include "tap.h"

#ifndef NR_META
#define NR_META 300u
#define NR_DATA 3000u
#endif

static struct err err;
static uint8_t old_image[NR_META * MBLOCK_SIZE];

static int map_new(struct pool_edit *p, uint32_t id, vblock_t v)
{
	dblock_t b;
	int r = edit_alloc_data(p, &b, &err);

	return r ? r : edit_map(p, id, v, b, &err);
}

static void commit(struct pool_edit *p)
{
	bool unsure;

	check_eq(edit_commit(p, &unsure, &err), 0);
}

/* @seed: of what is mapped. */
static inline void make_old(uint64_t seed)
{
	struct io *io = io_mem_new("metadata", sizeof(old_image));
	struct pool_edit *p;

	check(io);
	rnd_begin(seed);
	check_eq(edit_format(io, 128, &p, &err), 0);
	check_eq(edit_grow_data(p, NR_DATA, &err), 0);
	check_eq(edit_create_thin(p, 1, &err), 0);
	for (unsigned i = 0; i < 600; i++)
		check_eq(map_new(p, 1, rnd(5000)), 0);
	for (uint32_t id = 2; id < 6; id++) {
		commit(p);
		check_eq(edit_create_snap(p, id, id - 1, &err), 0);
		for (unsigned i = 0; i < 40; i++)
			check_eq(map_new(p, id, rnd(5000)), 0);
	}
	for (uint32_t id = 11; id < 14; id++) /* its root has a count of 4, in the overflow tree */
		check_eq(edit_create_snap(p, id, 5, &err), 0);
	commit(p);
	check_eq(edit_reserve_metadata_snap(p, &err), 0);
	commit(p);
	edit_free(p);
	memcpy(old_image, io_mem_data(io), sizeof(old_image));
	io_free(io);
}

/* A copy of it. */
static inline struct io *old_pool(void)
{
	struct io *mem = io_mem_new("metadata", sizeof(old_image));

	check(mem);
	memcpy(io_mem_data(mem), old_image, sizeof(old_image));
	return mem;
}

#endif
