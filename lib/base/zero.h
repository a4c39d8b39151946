/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef BASE_ZERO_H
#define BASE_ZERO_H
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/units.h"

/* Are all @len bytes 0? True when @len is 0. */
static inline bool all_zero(const void *data, size_t len)
{
	const unsigned char *p = data;

	return !len || (!p[0] && !memcmp(p, p + 1, len - 1));
}

/*
 * The length of the run of grains at the start of @data that are all zeros (*@zero is true) or that
 * all hold something else.  The first grain has @first bytes, the others @grain, the last what is
 * left of @len.
 */
static inline size_t zero_run(const void *data, size_t len, size_t first, size_t grain, bool *zero)
{
	const unsigned char *p = data;
	size_t end = MIN(first, len), n;

	*zero = all_zero(p, end);
	for (; end < len; end += n) {
		n = MIN(grain, len - end);
		if (all_zero(p + end, n) != *zero)
			break;
	}
	return end;
}

#endif
