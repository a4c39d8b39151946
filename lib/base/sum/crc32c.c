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
 * product).  So several lanes run over the data side by side; they are folded
 * into one at the end, and those 16 bytes go through the crc32 instruction.
 */
#define FOLD_128 0xf20c0dfe, 0x14cd00bd6
#define FOLD_384 0x1c291d04, 0x1d82c63da
#define FOLD_512 0x740eef02, 0x9e4addf8
#define FOLD_1024 0x6992cea2, 0xd3b6092

#define CPU_SSE __attribute__((target("sse4.2")))
#define CPU_CLMUL __attribute__((target("sse4.2,pclmul")))
#define CPU_WIDE __attribute__((target("sse4.2,pclmul,avx2,vpclmulqdq")))

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

/*
 * The crc32 instruction takes three cycles but one may begin in each, and folding uses other units
 * of the CPU.  So nearly a whole metadata block is taken in four parts side by side: three are lanes for the
 * instruction, the last one is folded.  The remainders of the lanes then move on to the end of the
 * parts: times x^(8 * bytes - 33) mod P, reflected.  What is more than such parts comes first: then they are aligned.
 */
#define PARTS ((size_t)4032) /* a block less its checksum, but for 60 bytes */

CPU_CLMUL static inline __m128i moved(uint64_t crc, uint64_t shift)
{
	return _mm_clmulepi64_si128(constant(crc, 0), constant(shift, 0), 0);
}

/* Of the three lanes, which move on by @shift, and of the folded part in four neighbouring pieces. */
CPU_CLMUL static __attribute__((noinline)) uint32_t join(const uint64_t lane[3], const uint32_t shift[3],
							 const __m128i x[4])
{
	const __m128i k = constant(FOLD_128);
	const __m128i a = fold(fold(fold(x[0], k, x[1]), k, x[2]), k, x[3]);
	const __m128i b = _mm_xor_si128(_mm_xor_si128(moved(lane[0], shift[0]), moved(lane[1], shift[1])),
					moved(lane[2], shift[2]));
	uint64_t crc = _mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(a));

	crc = _mm_crc32_u64(crc, (uint64_t)_mm_extract_epi64(a, 1));
	return (uint32_t)(crc ^ _mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(b)));
}

/* Takes eight bytes of each lane, which lie @len bytes from one another. */
CPU_SSE static inline __attribute__((always_inline)) void take(uint64_t lane[3], const uint8_t *p, size_t len)
{
#pragma GCC unroll 3
	for (size_t i = 0; i < 3; i++) {
		uint64_t v;

		memcpy(&v, p + i * len, 8);
		lane[i] = _mm_crc32_u64(lane[i], v);
	}
}

#define LANE ((size_t)1008) /* bytes of each lane, and as many folded */

CPU_CLMUL static uint32_t crc32c_lanes(uint32_t crc, const void *data, size_t len)
{
	static const uint32_t shift[3] = { 0x47972100, 0x45cddf4e, 0xe0ac139e }; /* by 3024, 2016, 1008 bytes */
	const __m128i k = constant(FOLD_384);
	const uint8_t *p = data, *q, *end = p + len;

	crc = crc32c_sse42(crc, p, len % PARTS);
	for (p += len % PARTS; p < end; p = q) {
		uint64_t lane[3] = { crc };
		__m128i x[4] = { 0 }, onto;

		q = p + 3 * LANE;
		for (size_t n = LANE / 48; n; n--) {
#pragma GCC unroll 3
			for (int i = 1; i < 4; i++, q += 16) {
				memcpy(&onto, q, 16);
				x[i] = fold(x[i], k, onto);
			}
#pragma GCC unroll 6
			for (int i = 0; i < 6; i++, p += 8)
				take(lane, p, LANE);
		}
		crc = join(lane, shift, x);
	}
	return crc;
}

/* 32 bytes are folded in the time of 16, so more of a block is folded. */
#define WIDE_LANE ((size_t)576)

CPU_WIDE static inline __m256i fold_wide(__m256i a, __m256i k, __m256i onto)
{
	return _mm256_xor_si256(_mm256_xor_si256(_mm256_clmulepi64_epi128(a, k, 0x00),
						 _mm256_clmulepi64_epi128(a, k, 0x11)),
				onto);
}

CPU_WIDE static uint32_t crc32c_wide(uint32_t crc, const void *data, size_t len)
{
	static const uint32_t shift[3] = { 0x7f47463d, 0x465a4eee, 0xbedc6ba1 }; /* by 3456, 2880, 2304 bytes */
	const __m256i k = _mm256_broadcastsi128_si256(constant(FOLD_1024));
	const __m256i k_half = _mm256_broadcastsi128_si256(constant(FOLD_512));
	const uint8_t *p = data, *q, *end = p + len;

	crc = crc32c_sse42(crc, p, len % PARTS);
	for (p += len % PARTS; p < end; p = q) {
		uint64_t lane[3] = { crc };
		__m256i y[4] = { 0 }, onto;
		__m128i x[4];

		q = p + 3 * WIDE_LANE;
		for (size_t n = WIDE_LANE / 32; n; n--) {
#pragma GCC unroll 4
			for (int i = 0; i < 4; i++, q += 32, p += 8) {
				memcpy(&onto, q, 32);
				y[i] = fold_wide(y[i], k, onto);
				take(lane, p, WIDE_LANE);
			}
		}
		for (int i = 0; i < 2; i++)
			y[i] = fold_wide(y[i], k_half, y[i + 2]);
		memcpy(x, y, sizeof(x));
		_mm256_zeroupper(); /* join() is built for CPUs without AVX, too */
		crc = join(lane, shift, x);
	}
	return crc;
}

static bool have_sse42(void)
{
	return cpu_has(CPU_HAS_SSE42);
}

static bool have_clmul(void)
{
	return have_sse42() && cpu_has(CPU_HAS_CLMUL);
}

static bool have_wide(void)
{
	return have_clmul() && cpu_has(CPU_HAS_AVX2) && cpu_has(CPU_HAS_VPCLMUL);
}

uint32_t crc32c_raw(uint32_t crc, const void *data, size_t len)
{
	if (have_wide())
		return crc32c_wide(crc, data, len);
	if (have_clmul())
		return crc32c_lanes(crc, data, len);
	if (have_sse42())
		return crc32c_sse42(crc, data, len);
	return crc32c_nibbles(crc, data, len);
}

/* The fastest first: a CPU that runs one of them runs all that follow. */
static const struct crc32c_impl impls[] = { { "wide", crc32c_wide },
					    { "lanes", crc32c_lanes },
					    { "sse4.2", crc32c_sse42 },
					    { "nibbles", crc32c_nibbles },
					    { NULL, NULL } };

const struct crc32c_impl *crc32c_impls(void)
{
	return impls + (have_wide() ? 0 : have_clmul() ? 1 : have_sse42() ? 2 : 3);
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
