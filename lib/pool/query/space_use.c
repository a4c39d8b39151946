/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "pool/query/space_use.h"

/* @a * @b / @c, rounded down.  @a is at most @c. */
static uint64_t share(uint64_t a, uint64_t b, uint64_t c)
{
	return (uint64_t)((unsigned __int128)a * b / c);
}

struct space_use space_use_of(const struct sm_root *root, uint64_t reserve)
{
	struct space_use u = { .nr_blocks = root->nr_blocks, .nr_reserve = reserve };
	uint64_t unused;

	u.nr_used = MIN(root->nr_allocated, root->nr_blocks);
	unused = u.nr_blocks - u.nr_used;
	u.nr_free = unused > reserve ? unused - reserve : 0;
	if (u.nr_free == u.nr_blocks)
		return u;
	u.tenths = (unsigned)((share(u.nr_blocks - u.nr_free, 10000, u.nr_blocks) + 5) / 10);
	u.tenths = MAX(u.tenths, 1u);
	if (u.nr_free)
		u.tenths = MIN(u.tenths, 999u);
	return u;
}

bool space_use_reaches(const struct space_use *u, unsigned percent)
{
	const uint64_t taken = u->nr_blocks - u->nr_free;

	return u->nr_blocks &&
	       (unsigned __int128)taken * 100 >= (unsigned __int128)u->nr_blocks * percent;
}
