/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef BASE_OVERFLOW_H
#define BASE_OVERFLOW_H
/* Arithmetic on sizes.  add_overflow() and mul_overflow() return true when the result does not fit. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

static inline bool add_overflow(uint64_t a, uint64_t b, uint64_t *r)
{
	return __builtin_add_overflow(a, b, r);
}

static inline bool mul_overflow(uint64_t a, uint64_t b, uint64_t *r)
{
	return __builtin_mul_overflow(a, b, r);
}

static inline uint64_t div_up(uint64_t a, uint64_t b)
{
	return a / b + (a % b != 0);
}

static inline uint64_t round_up(uint64_t a, uint64_t to)
{
	return div_up(a, to) * to;
}

/* calloc() for a 64-bit count.  NULL: no memory, or the count does not fit a size_t. */
static inline void *calloc_u64(uint64_t nr, size_t size)
{
	return nr > PTRDIFF_MAX / size ? NULL : calloc((size_t)nr, size);
}

#endif
