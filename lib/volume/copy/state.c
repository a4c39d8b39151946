/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* What every part of copy uses: progress and buffers. */
#include "volume/copy/impl.h"

int copy_done(struct copy_state *c, _Atomic uint64_t *count, uint64_t bytes, struct err *err)
{
	if (count)
		*count += bytes;
	return c->opt->progress ? c->opt->progress(c->opt->progress_ctx, bytes, err) : 0;
}

void copy_seen(struct copy_state *c, const void *bytes, uint64_t len)
{
	if (c->opt->seen)
		c->opt->seen(c->opt->seen_ctx, bytes, len);
}

uint8_t *copy_buffer(struct copy_state *c, unsigned worker)
{
	if (!c->buffer[worker])
		c->buffer[worker] = io_alloc(c->chunk);
	return c->buffer[worker];
}
