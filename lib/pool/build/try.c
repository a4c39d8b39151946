/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Builds in memory where counting leaves a doubt. */
#include <errno.h>

#include "pool/build/build.h"

#define TRY_MAX ((uint64_t)1 << 16) /* blocks: 256 MiB, which cost memory only where they are written */

int build_try(uint64_t counted, uint64_t has, int (*tell)(void *ctx, const struct events *to, struct err *err), void *ctx,
	      struct err *err)
{
	struct events sink = { 0 };
	struct io *io;
	int r;

	if (has / 2 > counted + 16 || has > TRY_MAX)
		return 0;
	io = io_mem_new("memory", has * MBLOCK_SIZE);
	if (!io)
		return 0;
	r = build_new(io, NULL, &sink, err);
	if (!r)
		r = tell(ctx, &sink, err);
	build_free(&sink);
	io_free(io);
	return r == -ERANGE ? r : 0;
}
