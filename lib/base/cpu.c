/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "base/cpu.h"

unsigned cpu_features;

#ifdef __x86_64__
#if __has_include(<sys/platform/x86.h>)
#include <sys/platform/x86.h>
#endif

#ifdef CPU_FEATURE_ACTIVE
/* The C library has asked the CPU already, which takes 4 us each time in a virtual machine. */
__attribute__((constructor)) static void find_features(void)
{
	cpu_features = (CPU_FEATURE_ACTIVE(SSE4_2) ? CPU_HAS_SSE42 : 0) |
		       (CPU_FEATURE_ACTIVE(PCLMULQDQ) ? CPU_HAS_CLMUL : 0) |
		       (CPU_FEATURE_ACTIVE(AVX2) ? CPU_HAS_AVX2 : 0);
	if (CPU_FEATURE_ACTIVE(AVX512F) && CPU_FEATURE_ACTIVE(AVX512VL) &&
	    CPU_FEATURE_ACTIVE(VPCLMULQDQ))
		cpu_features |= CPU_HAS_VPCLMUL;
}
#else
#include <cpuid.h>

/*
 * The registers that the kernel saves for each thread: bits 1 and 2 for AVX, also 5 to 7 for
 * AVX-512.
 */
#define SAVES_AVX    0x06u
#define SAVES_AVX512 0xe6u

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
	if ((saved & SAVES_AVX512) == SAVES_AVX512 && b & bit_AVX512F && b & bit_AVX512VL &&
	    c & bit_VPCLMULQDQ)
		cpu_features |= CPU_HAS_VPCLMUL;
}
#endif
#endif
