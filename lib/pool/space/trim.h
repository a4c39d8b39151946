/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_TRIM_H
#define POOL_TRIM_H
/*
 * Gives the space of a pool's free data blocks back to the device below: discards on
 * block devices, holes in files.
 */
#include "pool/check/check.h"

/*
 * Only blocks that are known to be free may be discarded: 0 when @res, of a whole check, has
 * neither damage nor leaks; else -EUCLEAN, and the first findings that prevent it are told to
 * @tell.
 */
int trim_judge(const struct check_result *res, void (*tell)(void *ctx, const char *text), void *ctx,
	       struct err *err);

struct trim_options {
	bool dry_run; /* only count */
	void (*done)(void *ctx, uint64_t bytes); /* told what has been given back; or NULL */
	void *ctx;
};

struct trim_report {
	uint64_t nr_blocks; /* of the pool */
	uint64_t nr_free;   /* of them */
	uint64_t nr_runs;   /* maximal free runs */
	uint64_t bytes;	    /* that they have, or that were given back before a failure */
};

/*
 * @counts: the data blocks' reference counts, known to be right.  Every maximal run of blocks with a
 * count of zero is given back, in ascending order, and the device flushed.
 * -ERANGE: @data is shorter than the pool; -EOPNOTSUPP: it cannot; *out is filled in any case.
 */
int trim_run(const struct refmap *counts, uint32_t block_size, struct io *data,
	     const struct trim_options *opt, struct trim_report *out, struct err *err);

#endif
