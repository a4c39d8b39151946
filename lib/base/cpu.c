/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "base/cpu.h"

#include <stdbool.h>

unsigned cpu_features;

#ifdef __x86_64__
#if __has_include(<sys/platform/x86.h>)
#include <sys/platform/x86.h>
#endif

#ifdef CPU_FEATURE_ACTIVE
/* Of one of the header's numbers x86_cpu_*.  Its own function shifts 1 into the sign of an int. */
static bool is_active(unsigned feature)
{
	const struct cpuid_feature *leaf = __x86_get_cpuid_feature_leaf(feature / 128);

	return leaf->active_array[feature % 128 / 32] >> feature % 32 & 1;
}

/* The C library has asked the CPU already, which takes 4 us each time in a virtual machine. */
__attribute__((constructor)) static void find_features(void)
{
	cpu_features = (is_active(x86_cpu_SSE4_2) ? CPU_HAS_SSE42 : 0) |
		       (is_active(x86_cpu_PCLMULQDQ) ? CPU_HAS_CLMUL : 0) |
		       (is_active(x86_cpu_AVX2) ? CPU_HAS_AVX2 : 0) |
		       (is_active(x86_cpu_VPCLMULQDQ) ? CPU_HAS_VPCLMUL : 0);
}
#else
#include <cpuid.h>

#define SAVES_AVX 0x06u /* of the bits for registers that the kernel saves for each thread */

static unsigned saved_registers(void)
{
	unsigned low, high;

	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return low;
}

__attribute__((constructor)) static void find_features(void)
{
	unsigned a, b, c, d, saved;

	if (!__get_cpuid(1, &a, &b, &c, &d))
		return;
	cpu_features |= c & bit_SSE4_2 ? CPU_HAS_SSE42 : 0;
	cpu_features |= c & bit_PCLMUL ? CPU_HAS_CLMUL : 0;
	saved = c & bit_OSXSAVE && c & bit_AVX ? saved_registers() : 0;
	if ((saved & SAVES_AVX) != SAVES_AVX || !__get_cpuid_count(7, 0, &a, &b, &c, &d))
		return;
	cpu_features |= b & bit_AVX2 ? CPU_HAS_AVX2 : 0;
	cpu_features |= c & bit_VPCLMULQDQ ? CPU_HAS_VPCLMUL : 0;
}
#endif
#endif
