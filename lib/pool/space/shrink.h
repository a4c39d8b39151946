/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_SHRINK_H
#define POOL_SHRINK_H
/*
 * Makes a pool's data device smaller: every data block at or beyond the new end moves to a
 * free block before it.  Sources ascend, and so do the places they go to: the k-th used block
 * beyond the end goes to the k-th free one.  Mappings are redirected; times and
 * sharing stay as they are.
 *
 * Only free blocks are written, so the old metadata describes the pool until the new ones take their
 * place.  After an interruption the same run is done again.  The caller must keep this order: call
 * shrink_copy(), which flushes, before the metadata that shrink_tell() gives is written.
 *
 * Memory: 1 bit and a fifth for each data block of a pool whose blocks are in use all over; in other pools at most
 * 620 bytes for each run that is mapped, and 23 MiB for all blocks in long runs.  How many data blocks the source
 * says there are does not matter.
 */
#include "base/jobs.h"
#include "dev/io.h"
#include "pool/build/build.h"
#include "pool/events/events.h"

struct shrink;

/* Where the pool comes from: tells the same events each time it is called. */
struct shrink_source {
	int (*produce)(void *ctx, const struct events *to, struct err *err);
	void *ctx;
};

struct shrink_plan {
	uint64_t nr_before, nr_after;	   /* data blocks of the pool */
	uint64_t nr_used, nr_moved;	   /* of them */
	uint64_t used_end;		   /* one past the highest in use */
	uint32_t block_size;		   /* sectors */
	struct build_counts counts;	   /* of the result */
};

/*
 * Reads @src once and plans for a pool of @nr_blocks data blocks, which may also be more than
 * it has.  -ERANGE: "Insufficient free space", with the numbers.  *out by shrink_free().
 */
int shrink_new(const struct shrink_source *src, uint64_t nr_blocks, struct shrink **out,
	       struct err *err);
void shrink_free(struct shrink *s);
const struct shrink_plan *shrink_plan(const struct shrink *s);

/* -ERANGE: the device is shorter than what is in use. */
int shrink_check_data(const struct shrink *s, const struct io *data, struct err *err);
/*
 * Copies the blocks that move within @data and flushes @data.  @done, which may be NULL, is told
 * bytes, from one thread at a time.  Begins with shrink_check_data().
 */
int shrink_copy(const struct shrink *s, struct io *data, struct jobs *jobs,
		void (*done)(void *ctx, uint64_t bytes), void *ctx, struct err *err);

/* Reads the source again and tells @to the pool as it is afterwards.  -EUCLEAN: the source changed. */
int shrink_tell(const struct shrink *s, const struct shrink_source *src, const struct events *to,
		struct err *err);

#endif
