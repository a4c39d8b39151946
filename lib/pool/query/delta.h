/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_DELTA_H
#define POOL_DELTA_H
/*
 * What differs between two mapping trees of one pool.
 *
 * Leaves that both trees share are read once, only to tell which blocks are the same, and with
 * @skip_same they are not read.  Other leaves are compared mapping by mapping: by data block, whatever
 * the times.  The cost is linear in distinct nodes, and with
 * @skip_same in what differs.
 *
 * Memory: that of the walk over internal nodes, 4 bytes a leaf of each tree, 4 MiB.
 */
#include "dev/stream.h"
#include "pool/format/metadata.h"

enum delta_kind { DELTA_SAME, DELTA_DIFFERENT, DELTA_LEFT_ONLY, DELTA_RIGHT_ONLY };

struct delta_range {
	enum delta_kind kind;
	vblock_t begin;
	uint64_t len;
	dblock_t left, right; /* data blocks of the first; 0 where that side has none */
};

/*
 * Takes the runs, ascending by begin; a run may have been cut anywhere, runs are contiguous on
 * both data sides.  A negative return ends the comparison.
 */
typedef int delta_fn(void *ctx, const struct delta_range *run, size_t nr, struct err *err);

struct delta_options {
	bool skip_same;
	/* a run of DELTA_SAME may go on where its data blocks do not; @left is then that of its begin */
	bool same_by_block;
	void (*problem)(void *ctx, const char *text); /* one sentence for each damage */
	void *problem_ctx;
};

/*
 * Compares the trees at blocks @left and @right.  -EUCLEAN or -EIO when either cannot be
 * read whole: then @fn got only what comes before the first damage.
 */
int delta_compare(const struct metadata *md, struct stream *s, mblock_t left, mblock_t right,
	      const struct delta_options *opt, delta_fn *fn, void *ctx, struct err *err);

#endif
