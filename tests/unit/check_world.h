/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef UNIT_CHECK_WORLD_H
#define UNIT_CHECK_WORLD_H
/* A pool in memory for tests of thin_check's library, and small damages of it. */
#include "pdata/block/csum.h"
#include "pool/build/build.h"
#include "pool/check/check.h"
#include "pool/format/format.h"
#include "tap.h"

#define NR_BLOCKS 2048
#define NR_DATA	  50000

static struct err err;
static struct check_result result;

static inline void tell(struct events *e, uint64_t v, uint64_t d, uint64_t len, uint32_t time)
{
	struct run r = { .vbegin = v, .dbegin = d, .len = len, .time = time };

	check_eq(e->ops->runs(e->ctx, &r, 1, &err), 0);
}

/* 3,000 mappings that devices 1 and 2 share, and single blocks all over the place for each of three. */
static inline struct io *make_pool(void)
{
	struct io *io = io_mem_new("pool", (uint64_t)NR_BLOCKS * MBLOCK_SIZE);
	struct pool_info p = {
		.time = 5, .transaction = 9, .data_block_size = 128, .nr_data_blocks = NR_DATA
	};
	struct events e = { 0 };

	check(io);
	check_eq(build_new(io, NULL, &e, &err), 0);
	check_eq(e.ops->begin_pool(e.ctx, &p, &err), 0);
	check_eq(e.ops->begin_def(e.ctx, 1, &err), 0);
	for (uint64_t i = 0; i < 3000; i++)
		tell(&e, i, 40000 + (i * 7) % 3000, 1, 1);
	check_eq(e.ops->end_def(e.ctx, &err), 0);
	for (uint32_t dev = 1; dev <= 3; dev++) {
		struct device_info d = {
			.dev_id = dev, .transaction = 1, .creation_time = 1, .snap_time = 4
		};

		check_eq(e.ops->begin_device(e.ctx, &d, &err), 0);
		if (dev < 3)
			check_eq(e.ops->ref(e.ctx, 1, &err), 0);
		for (uint64_t i = 0; i < 4000; i++)
			tell(&e, 10000 + i * 2, dev * 10000 + (i * 13) % 4000, 1, 5);
		check_eq(e.ops->end_device(e.ctx, &err), 0);
	}
	check_eq(e.ops->end_pool(e.ctx, &err), 0);
	build_free(&e);
	return io;
}

static inline uint8_t *block_of(struct io *io, mblock_t b)
{
	return (uint8_t *)io_mem_data(io) + b * MBLOCK_SIZE;
}

static inline struct disk_superblock *sb_of(struct io *io)
{
	return (struct disk_superblock *)block_of(io, 0);
}

static inline int run(struct io *io, unsigned nr_jobs)
{
	struct check_options opt = { 0 };
	struct jobs *jobs = jobs_new(nr_jobs);
	int r;

	check_result_fini(&result);
	r = check_run(io, jobs, &opt, &result, &err);
	jobs_free(jobs);
	return r;
}

static inline bool found(enum finding_kind kind)
{
	for (size_t i = 0; i < result.findings.nr; i++)
		if (result.findings.f[i].kind == kind)
			return true;
	return false;
}

/* The bitmap of a block of the metadata map */
static inline mblock_t metadata_bitmap(struct io *io)
{
	const struct disk_index *x =
		(struct disk_index *)block_of(io, le64_get(sb_of(io)->metadata_sm.bitmap_root));

	return le64_get(x->entry[0].blocknr);
}

static inline void set_metadata_pair(struct io *io, mblock_t b, unsigned pair)
{
	mblock_t at = metadata_bitmap(io);
	struct disk_bitmap *bm = (struct disk_bitmap *)block_of(io, at);

	bm->bits[b / 4] = (uint8_t)((bm->bits[b / 4] & ~(3u << 2 * (b % 4))) | pair << 2 * (b % 4));
	csum_seal(bm, at, SALT_BITMAP);
}

/* Devices 1 and 2 share blocks of time 1: snapshot times below 2 do not protect them. */
static inline void unprotect(struct io *io)
{
	mblock_t at = le64_get(sb_of(io)->details_root);
	struct node n;

	check_eq(node_open(&n, block_of(io, at), at, sizeof(struct disk_details)), NODE_OK);
	for (uint32_t i = 0; i < n.nr; i++) {
		size_t off = (size_t)((const uint8_t *)node_value(&n, i) - block_of(io, at));

		((struct disk_details *)(block_of(io, at) + off))->snapshotted_time = le32_make(i);
	}
	csum_seal(block_of(io, at), at, SALT_NODE);
	sb_of(io)->time = le32_make(1);
	csum_seal(sb_of(io), 0, SALT_SUPERBLOCK);
}

static inline void no_damage(void)
{
	check(!findings_any(&result.findings, FINDING_FATAL));
}

#endif
