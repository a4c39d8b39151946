/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_CHECK_FIX_IMPL_H
#define POOL_CHECK_FIX_IMPL_H
/* One run of fixing in place, private to fix.c (space maps, block 0), fix_times.c and fix_io.c. */
#include "pdata/block/csum.h"
#include "pool/check/fix.h"

/* The text for a block (its number is the argument) that differs from what was checked. */
#define FIX_BLOCK_CHANGED "block %llu has changed since it was checked: run 'thin_check POOL' again"

/* A device whose snapshotted_time has to be at least @snap_time. */
struct raise {
	uint32_t dev_id, snap_time;
};

struct fix {
	struct io *io;
	struct jobs *jobs;
	const struct check_result *r;
	struct fix_report *rep;
	struct err *err;
	uint8_t *buf; /* one block */
	bool write;   /* false: the first pass, which only checks whether everything can be fixed */
	/* times, from fix_times_plan() */
	struct raise *raise; /* ascending by device */
	size_t nr_raises, cap_raises;
	uint32_t time; /* of the pool, afterwards */
};

/* fix_io.c */
/* Block @b into x->buf.  -EUCLEAN: it is not as it was when it was checked. */
int fix_read_block(struct fix *x, mblock_t b, enum csum_salt salt);
/* Seals x->buf and writes it. */
int fix_write_block(struct fix *x, mblock_t b, enum csum_salt salt);
/* The leaves of the tree at @root; *list is the caller's to free. */
int fix_list_leaves(struct fix *x, mblock_t root, uint32_t value_size, mblock_t **list, size_t *nr);

/* fix_times.c */
/* Finds out which times have to be raised.  -EINVAL with the way out: the clock is at its end. */
int fix_times_plan(struct fix *x);
/* Raises them: the pool's first, flush, then leaf by leaf of the details, flush. */
int fix_times(struct fix *x);

#endif
