/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "base/sum/sha256.h"

#include <endian.h>
#include <stdbool.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

static const uint32_t round_key[64] __attribute__((aligned(16))) = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static inline uint32_t turn(uint32_t x, unsigned n)
{
	return x >> n | x << (32 - n);
}

static void expand(uint32_t w[64], const uint8_t *data)
{
	uint32_t word, s0, s1;

	for (unsigned i = 0; i < 16; i++) {
		memcpy(&word, data + 4 * i, 4);
		w[i] = be32toh(word);
	}
	for (unsigned i = 16; i < 64; i++) {
		s0 = turn(w[i - 15], 7) ^ turn(w[i - 15], 18) ^ w[i - 15] >> 3;
		s1 = turn(w[i - 2], 17) ^ turn(w[i - 2], 19) ^ w[i - 2] >> 10;
		w[i] = w[i - 16] + s0 + w[i - 7] + s1;
	}
}

void sha256_blocks_plain(uint32_t state[8], const uint8_t *data, size_t nr_blocks)
{
	uint32_t v[8], w[64], t1, t2;

	for (; nr_blocks; nr_blocks--, data += 64) {
		expand(w, data);
		memcpy(v, state, sizeof(v));
		for (unsigned i = 0; i < 64; i++) {
			t1 = v[7] + (turn(v[4], 6) ^ turn(v[4], 11) ^ turn(v[4], 25)) +
			     ((v[4] & v[5]) ^ (~v[4] & v[6])) + round_key[i] + w[i];
			t2 = (turn(v[0], 2) ^ turn(v[0], 13) ^ turn(v[0], 22)) +
			     ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
			memmove(v + 1, v, 7 * sizeof(*v));
			v[4] += t1;
			v[0] = t1 + t2;
		}
		for (unsigned i = 0; i < 8; i++)
			state[i] += v[i];
	}
}

#if defined(__x86_64__)
/* The CPU holds the state as ABEF and CDGH, and does two rounds with one instruction. */
__attribute__((target("sha,sse4.1"))) static void blocks_sha(uint32_t state[8], const uint8_t *data,
							     size_t nr_blocks)
{
	const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);
	__m128i dcba = _mm_loadu_si128((const __m128i *)(const void *)state);
	__m128i hgfe = _mm_loadu_si128((const __m128i *)(const void *)(state + 4));
	__m128i cdab = _mm_shuffle_epi32(dcba, 0xb1), efgh = _mm_shuffle_epi32(hgfe, 0x1b);
	__m128i abef = _mm_alignr_epi8(cdab, efgh, 8), cdgh = _mm_blend_epi16(efgh, cdab, 0xf0);
	__m128i was_abef, was_cdgh, w[4], k, next;

	for (; nr_blocks; nr_blocks--, data += 64) {
		was_abef = abef;
		was_cdgh = cdgh;
		for (unsigned i = 0; i < 16; i++) {
			if (i < 4) {
				w[i] = _mm_loadu_si128((const __m128i *)(const void *)(data + 16 * i));
				w[i] = _mm_shuffle_epi8(w[i], swap);
			} else { /* the oldest four words become the newest */
				next = _mm_sha256msg1_epu32(w[i % 4], w[(i + 1) % 4]);
				next = _mm_add_epi32(next, _mm_alignr_epi8(w[(i + 3) % 4], w[(i + 2) % 4], 4));
				w[i % 4] = _mm_sha256msg2_epu32(next, w[(i + 3) % 4]);
			}
			k = _mm_load_si128((const __m128i *)(const void *)(round_key + 4 * i));
			k = _mm_add_epi32(k, w[i % 4]);
			cdgh = _mm_sha256rnds2_epu32(cdgh, abef, k);
			abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(k, 0x0e));
		}
		abef = _mm_add_epi32(abef, was_abef);
		cdgh = _mm_add_epi32(cdgh, was_cdgh);
	}
	cdab = _mm_shuffle_epi32(abef, 0x1b); /* FEBA */
	efgh = _mm_shuffle_epi32(cdgh, 0xb1); /* DCHG */
	_mm_storeu_si128((__m128i *)(void *)state, _mm_blend_epi16(cdab, efgh, 0xf0));
	_mm_storeu_si128((__m128i *)(void *)(state + 4), _mm_alignr_epi8(efgh, cdab, 8));
}

static bool has_sha(void)
{
	unsigned a, b, c, d;

	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && b & bit_SHA && __builtin_cpu_supports("sse4.1");
}
#endif

void sha256_init(struct sha256 *s)
{
	*s = (struct sha256){ .state = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f,
					 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 },
			     .blocks = sha256_blocks_plain };
#if defined(__x86_64__)
	if (has_sha())
		s->blocks = blocks_sha;
#endif
}

void sha256_add(struct sha256 *s, const void *data, size_t len)
{
	const uint8_t *p = data;
	size_t have = s->len % 64, n;

	s->len += len;
	if (have) {
		n = len < 64 - have ? len : 64 - have;
		memcpy(s->rest + have, p, n);
		p += n;
		len -= n;
		if (have + n == 64)
			s->blocks(s->state, s->rest, 1);
	}
	if (len >= 64)
		s->blocks(s->state, p, len / 64);
	if (len % 64)
		memcpy(s->rest, p + len / 64 * 64, len % 64);
}

void sha256_end(struct sha256 *s, uint8_t digest[SHA256_LEN])
{
	const uint64_t bits = htobe64(s->len * 8);
	static const uint8_t pad[64] = { 0x80 };
	uint32_t word;

	sha256_add(s, pad, 64 - (s->len + 8) % 64);
	sha256_add(s, &bits, 8);
	for (unsigned i = 0; i < 8; i++) {
		word = htobe32(s->state[i]);
		memcpy(digest + 4 * i, &word, 4);
	}
}

void sha256_end_text(struct sha256 *s, char text[SHA256_TEXT])
{
	uint8_t digest[SHA256_LEN];

	sha256_end(s, digest);
	for (unsigned i = 0; i < SHA256_LEN; i++) {
		text[2 * i] = "0123456789abcdef"[digest[i] >> 4];
		text[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
	}
	text[2 * SHA256_LEN] = 0;
}
