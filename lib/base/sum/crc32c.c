/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "base/sum/crc32c.h"

#include <stdbool.h>
#include <string.h>

#include "base/cpu.h"

#define POLY 0x82F63B78u

/* Half a byte at a time: the table is a constant and fits into one cache line. */
static uint32_t crc32c_nibbles(uint32_t crc, const void *data, size_t len)
{
	static const uint32_t table[16] = {
		0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
		0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
		0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
	};
	const uint8_t *p = data;

	while (len--) {
		crc ^= *p++;
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return crc;
}

#if defined(__x86_64__)
#include <immintrin.h>

/*
 * Folding.  In carry-less arithmetic a 16-byte lane A stands for the same remainder, D
 * bits further on, as  A.low * K.low ^ A.high * K.high  with the constants
 * x^(D+32) mod P and x^(D-32) mod P (bit-reflected, shifted left by one for the reflected
 * product).  So sixteen lanes run over the data side by side; they are folded
 * into one at the end, and those 16 bytes and the rest of the data go through the
 * crc32 instruction.  The start value is exclusive-ored to the first four bytes.
 */
#define FOLD_128 0xf20c0dfe, 0x14cd00bd6
#define FOLD_384 0x1c291d04, 0x1d82c63da
#define FOLD_512 0x740eef02, 0x9e4addf8
#define FOLD_2048 0xdcb17aa4, 0xb9e02b86

#define CPU_SSE __attribute__((target("sse4.2")))
#define CPU_CLMUL __attribute__((target("sse4.2,pclmul")))
#define CPU_WIDE __attribute__((target("sse4.2,pclmul,avx512f,avx512vl,vpclmulqdq")))

CPU_SSE static uint32_t crc32c_sse42(uint32_t crc, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t c = crc, v;

	for (; len >= 8; len -= 8, p += 8) {
		memcpy(&v, p, 8);
		c = _mm_crc32_u64(c, v);
	}
	crc = (uint32_t)c;
	if (len >= 4) {
		uint32_t w;

		memcpy(&w, p, 4);
		crc = _mm_crc32_u32(crc, w);
		p += 4;
		len -= 4;
	}
	while (len--)
		crc = _mm_crc32_u8(crc, *p++);
	return crc;
}

CPU_CLMUL static inline __m128i constant(uint64_t low, uint64_t high)
{
	return _mm_set_epi64x((long long)high, (long long)low);
}

CPU_CLMUL static inline __m128i fold(__m128i a, __m128i k, __m128i onto)
{
	return _mm_xor_si128(_mm_xor_si128(_mm_clmulepi64_si128(a, k, 0x00),
					   _mm_clmulepi64_si128(a, k, 0x11)),
			     onto);
}

/* Folds four neighbouring lanes into one, then takes in the rest of the data. */
CPU_CLMUL static __attribute__((noinline)) uint32_t finish(const __m128i x[4], const uint8_t *p, size_t len)
{
	__m128i k = constant(FOLD_128);
	__m128i a = fold(fold(fold(x[0], k, x[1]), k, x[2]), k, x[3]);
	uint64_t c;

	c = _mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(a));
	c = _mm_crc32_u64(c, (uint64_t)_mm_extract_epi64(a, 1));
	return crc32c_sse42((uint32_t)c, p, len);
}

/*
 * The crc32 instruction takes three cycles but one may begin in each, and folding uses other units
 * of the CPU.  So a metadata block is taken in four parts side by side: three are lanes for the
 * instruction, the last one is folded.  The remainders of the lanes then move on to the end of the
 * block: times x^(8 * bytes - 33) mod P, reflected.
 */
#define ROUNDS	21
#define LANE	((size_t)ROUNDS * 48)
#define FOLDED	((size_t)ROUNDS * 48)
#define PARTS	(3 * LANE + FOLDED) /* a block less its checksum, but for 60 bytes */
#define SHIFT_C 0xe0ac139e	    /* by FOLDED */
#define SHIFT_B 0x45cddf4e	    /* by LANE + FOLDED */
#define SHIFT_A 0x47972100	    /* by 2 * LANE + FOLDED */

CPU_CLMUL static inline __m128i moved(uint64_t crc, uint64_t shift)
{
	return _mm_clmulepi64_si128(constant(crc, 0), constant(shift, 0), 0);
}

CPU_CLMUL static uint32_t crc32c_lanes(uint32_t crc, const void *data, size_t len)
{
	const __m128i k = constant(FOLD_384);
	const uint8_t *p = data, *q, *end;
	uint64_t a, b, c, v[3];
	__m128i x[4], onto;

	for (; len >= PARTS; len -= PARTS, p = q) {
		memset(x, 0, sizeof(x));
		a = crc;
		b = c = 0;
		end = p + PARTS;
		for (q = p + 3 * LANE; q < end;) {
#pragma GCC unroll 3
			for (int i = 1; i < 4; i++, q += 16) {
				memcpy(&onto, q, 16);
				x[i] = fold(x[i], k, onto);
			}
#pragma GCC unroll 6
			for (int i = 0; i < 6; i++, p += 8) {
				memcpy(&v[0], p, 8);
				memcpy(&v[1], p + LANE, 8);
				memcpy(&v[2], p + 2 * LANE, 8);
				a = _mm_crc32_u64(a, v[0]);
				b = _mm_crc32_u64(b, v[1]);
				c = _mm_crc32_u64(c, v[2]);
			}
		}
		onto = _mm_xor_si128(_mm_xor_si128(moved(a, SHIFT_A), moved(b, SHIFT_B)),
				     moved(c, SHIFT_C));
		crc = (uint32_t)_mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(onto)) ^
		      finish(x, q, 0);
	}
	return crc32c_sse42(crc, p, len);
}

CPU_WIDE static inline __m512i fold_wide(__m512i a, __m512i k, __m512i onto)
{
	return _mm512_ternarylogic_epi64(_mm512_clmulepi64_epi128(a, k, 0x00),
					 _mm512_clmulepi64_epi128(a, k, 0x11), onto, 0x96);
}

CPU_WIDE static inline __m512i load_wide(const uint8_t *p)
{
	__m512i v;

	memcpy(&v, p, sizeof(v));
	return v;
}

CPU_WIDE static uint32_t crc32c_vpclmul(uint32_t crc, const void *data, size_t len)
{
	const uint8_t *p = data;
	__m512i z[4], k;
	__m128i x[4];
	int i;

	if (len < 256)
		return crc32c_sse42(crc, data, len);
	k = _mm512_broadcast_i32x4(constant(FOLD_2048));
#pragma GCC unroll 4
	for (i = 0; i < 4; i++)
		z[i] = load_wide(p + 64 * i);
	z[0] = _mm512_xor_si512(z[0], _mm512_zextsi128_si512(_mm_cvtsi32_si128((int)crc)));
	for (p += 256, len -= 256; len >= 256; p += 256, len -= 256)
#pragma GCC unroll 4
		for (i = 0; i < 4; i++)
			z[i] = fold_wide(z[i], k, load_wide(p + 64 * i));
	k = _mm512_broadcast_i32x4(constant(FOLD_512));
#pragma GCC unroll 4
	for (i = 0; i < 3; i++)
		z[i + 1] = fold_wide(z[i], k, z[i + 1]);
	for (; len >= 64; p += 64, len -= 64)
		z[3] = fold_wide(z[3], k, load_wide(p));
	memcpy(x, &z[3], sizeof(x));
	return finish(x, p, len);
}

static bool have_sse42(void)
{
	return cpu_has(CPU_HAS_SSE42);
}

static bool have_clmul(void)
{
	return have_sse42() && cpu_has(CPU_HAS_CLMUL);
}

static bool have_vpclmul(void)
{
	return have_clmul() && cpu_has(CPU_HAS_VPCLMUL);
}

uint32_t crc32c_raw(uint32_t crc, const void *data, size_t len)
{
	if (have_vpclmul())
		return crc32c_vpclmul(crc, data, len);
	if (have_clmul())
		return crc32c_lanes(crc, data, len);
	if (have_sse42())
		return crc32c_sse42(crc, data, len);
	return crc32c_nibbles(crc, data, len);
}

/* The widest first: a CPU that runs one of them runs all that follow. */
static const struct crc32c_impl impls[] = { { "vpclmul", crc32c_vpclmul },
					    { "lanes", crc32c_lanes },
					    { "sse4.2", crc32c_sse42 },
					    { "nibbles", crc32c_nibbles },
					    { NULL, NULL } };

const struct crc32c_impl *crc32c_impls(void)
{
	return impls + (have_vpclmul() ? 0 : have_clmul() ? 1 : have_sse42() ? 2 : 3);
}

#elif defined(__aarch64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#include <sys/auxv.h>

/* In assembler, as compilers do not agree on how one function asks for the extension. */
static uint32_t crc32c_arm(uint32_t crc, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t v;

	for (; len >= 8; len -= 8, p += 8) {
		memcpy(&v, p, 8);
		__asm__(".arch_extension crc\n\tcrc32cx %w0, %w0, %x1" : "+r"(crc) : "r"(v));
	}
	while (len--)
		__asm__(".arch_extension crc\n\tcrc32cb %w0, %w0, %w1" : "+r"(crc) : "r"(*p++));
	return crc;
}

/* HWCAP_CRC32; the auxiliary vector is in memory, so asking costs little */
static bool have_crc(void)
{
	return getauxval(AT_HWCAP) & (1 << 7);
}

uint32_t crc32c_raw(uint32_t crc, const void *data, size_t len)
{
	return have_crc() ? crc32c_arm(crc, data, len) : crc32c_nibbles(crc, data, len);
}

static const struct crc32c_impl impls[] = { { "crc", crc32c_arm },
					    { "nibbles", crc32c_nibbles },
					    { NULL, NULL } };

const struct crc32c_impl *crc32c_impls(void)
{
	return impls + (have_crc() ? 0 : 1);
}

#else
uint32_t crc32c_raw(uint32_t crc, const void *data, size_t len)
{
	return crc32c_nibbles(crc, data, len);
}

static const struct crc32c_impl impls[] = { { "nibbles", crc32c_nibbles }, { NULL, NULL } };

const struct crc32c_impl *crc32c_impls(void)
{
	return impls;
}
#endif
