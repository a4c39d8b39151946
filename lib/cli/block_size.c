/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "cli/cli.h"

uint32_t cli_block_size(struct cli *c, const char *option, uint32_t step, uint32_t max)
{
	uint64_t v = cli_u64(c, option);

	if (!v || v > max || v % step)
		cli_usage_error(c,
				"%s: '%s' is not a valid block size: it must be a multiple of %u sectors from %u to %u",
				option, c->arg, step, step, max);
	return (uint32_t)v;
}
