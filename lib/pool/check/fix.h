/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_FIX_H
#define POOL_FIX_H
/*
 * Fixing in place what a check has found, as far as that loses nothing and cannot fail halfway:
 * leaked blocks, the space maps' counters, bits past the end of a map, times that do not protect
 * shared data, the needs_check flag.
 *
 * Order of writes: bitmaps (a leaked count goes down, which is a valid state after any number
 * of them), then index entries (hints of the allocator), flush; block 0 with the pool's time, flush;
 * leaves of the details tree with raised snapshot times, flush; then block 0 with the totals
 * and the flag, one sector, flush.  Blocks that are right already are not written, and
 * when nothing is wrong nothing is.
 */
#include "pool/check/check.h"

struct fix_report {
	uint64_t data_leaks, metadata_leaks; /* blocks freed */
	uint64_t nr_bitmaps, nr_index;	     /* blocks rewritten */
	bool totals, flag;		     /* block 0: nr_allocated, needs_check */
	uint32_t time;			     /* to which the pool's time was raised; 0: it was not */
	uint64_t nr_raised;		     /* devices whose snapshot time was raised */
};

/* Has it no fatal finding but those that raising times mends? */
bool fix_mends(const struct check_result *r);

/*
 * @r: what check_run() found, complete and such that fix_mends() (else -EINVAL).  @io: writable,
 * unchanged since.  0; -EINVAL with nothing written: the pool's clock is near its end; -EUCLEAN with nothing written: a leaked block has an entry in the tree of
 * large counts, or a block is not as it was; or an I/O error.
 */
int fix_run(struct io *io, struct jobs *jobs, const struct check_result *r, struct fix_report *rep,
	    struct err *err);

/* Clears needs_check alone; nothing is written when it is not set. */
int fix_clear_flag(struct io *io, struct fix_report *rep, struct err *err);

#endif
