/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef BASE_CPU_H
#define BASE_CPU_H
/*
 * What an x86-64 CPU and its kernel support, found out before main().  The compiler's own
 * __builtin_cpu_supports() brings 4.5 KiB of names of CPUs into each command.
 */
enum cpu_feature { CPU_HAS_SSE42 = 1, CPU_HAS_CLMUL = 2, CPU_HAS_AVX2 = 4, CPU_HAS_VPCLMUL = 8 };

extern unsigned cpu_features;

static inline int cpu_has(enum cpu_feature f)
{
	return cpu_features & f;
}

#endif
