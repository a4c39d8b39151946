/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "pool/query/space_use.h"

/* @nr * @part / @whole, rounded down, where the product may not fit.  @part is at most @whole. */
static unsigned share(unsigned nr, uint64_t part, uint64_t whole)
{
	unsigned result = 0;
	uint64_t rest = 0; /* below @whole */

	while (nr--) {
		if (rest >= whole - part) {
			rest -= whole - part;
			result++;
		} else {
			rest += part;
		}
	}
	return result;
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
	u.tenths = (share(10000, u.nr_blocks - u.nr_free, u.nr_blocks) + 5) / 10;
	u.tenths = MAX(u.tenths, 1u);
	if (u.nr_free)
		u.tenths = MIN(u.tenths, 999u);
	return u;
}

bool space_use_reaches(const struct space_use *u, unsigned percent)
{
	return u->nr_blocks && share(100, u->nr_blocks - u->nr_free, u->nr_blocks) >= percent;
}
