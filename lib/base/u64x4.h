/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef BASE_U64X4_H
#define BASE_U64X4_H
/* Four little-endian numbers of 64 bits as one vector, in the CPU's byte order. */
#include <endian.h>
#include <stdint.h>
#include <string.h>

typedef uint64_t u64x4 __attribute__((vector_size(32)));

/* @p: 32 bytes anywhere in memory */
static inline void u64x4_load(u64x4 *v, const void *p)
{
	memcpy(v, p, sizeof(*v));
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
	for (int i = 0; i < 4; i++)
		(*v)[i] = le64toh((*v)[i]);
#endif
}

/* @p: 32 bytes anywhere in memory */
static inline void u64x4_store(void *p, const u64x4 *v)
{
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
	u64x4 le;

	for (int i = 0; i < 4; i++)
		le[i] = htole64((*v)[i]);
	memcpy(p, &le, sizeof(le));
#else
	memcpy(p, v, sizeof(*v));
#endif
}

/* What a comparison of two vectors gives: 0 or -1 each. */
typedef int64_t i64x4 __attribute__((vector_size(32)));

/* Bit i of the result: comparison i was true.  The second is for functions of the target avx2. */
#define I64X4_BITS(v) (((v)[0] & 1) | ((v)[1] & 2) | ((v)[2] & 4) | ((v)[3] & 8))
#ifdef __x86_64__
typedef double f64x4 __attribute__((vector_size(32)));
#define I64X4_BITS_AVX2(v) __builtin_ia32_movmskpd256((f64x4)(v))
#endif

#endif
