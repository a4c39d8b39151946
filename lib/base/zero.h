/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef BASE_ZERO_H
#define BASE_ZERO_H
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Are all @len bytes 0?  So are no bytes. */
static inline bool all_zero(const void *data, size_t len)
{
	const unsigned char *p = data;

	return !len || (!p[0] && !memcmp(p, p + 1, len - 1));
}

#endif
