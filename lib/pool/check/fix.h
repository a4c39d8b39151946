/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_FIX_H
#define POOL_FIX_H
/*
 * Fixes in place what a check has found, where nothing is lost by that and an interruption does no
 * harm: leaked blocks, the space maps' counters, bits past the end of a map, times that do not
 * protect shared data, the needs_check flag.
 *
 * Order of writes: bitmaps (a leaked count goes down, which is a valid state after any number of
 * them), then index entries (hints of the allocator), flush; block 0 with the pool's time, flush;
 * leaves of the details tree with raised snapshot times, flush; then block 0 with the totals and
 * the flag, one sector, flush.  Correct blocks are not written.
 */
#include "pool/check/check.h"

struct fix_report {
	uint64_t data_leaks, metadata_leaks; /* blocks freed */
	uint64_t nr_bitmaps, nr_index;	     /* blocks rewritten */
	bool totals, flag;		     /* block 0: nr_allocated, needs_check */
	uint32_t time;			     /* to which the pool's time was raised; 0: it was not */
	uint64_t nr_raised;		     /* devices whose snapshot time was raised */
};

/* Can all fatal findings of @r be repaired by raising times? */
bool fix_mends(const struct check_result *r);

/*
 * @r: what check_run() found.  @io: writable, and unchanged since.  Nothing is written when the
 * result is -EUCLEAN (the check is not complete, or fix_mends() says no, or a leaked block has an
 * entry in the tree of large counts, or a block is not as it was) or -EINVAL (the pool's clock is
 * near its end).  An I/O error may leave a part of the fixes, each valid for itself.
 */
int fix_run(struct io *io, struct jobs *jobs, const struct check_result *r, struct fix_report *rep,
	    struct err *err);

/*
 * Clears needs_check alone, where @r, which need not be complete, has no other damage than
 * fix_mends() allows; else -EUCLEAN.  Nothing is written when the flag is not set.
 */
int fix_clear_flag(struct io *io, const struct check_result *r, struct fix_report *rep,
		   struct err *err);

/* A sentence for each thing that was done. */
void fix_tell(const struct fix_report *rep, void (*tell)(void *ctx, const char *text), void *ctx);

#endif
