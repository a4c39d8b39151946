/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/crc32c.h"

#include <string.h>

#define POLY 0x82F63B78u

uint32_t crc32c_raw_slow(uint32_t crc, const void *data, size_t len)
{
	const uint8_t *p = data;
	int k;

	while (len--) {
		crc ^= *p++;
		for (k = 0; k < 8; k++)
			crc = crc >> 1 ^ (crc & 1 ? POLY : 0);
	}
	return crc;
}

/* Half a byte at a time: a table that needs no making and fits two cache lines. */
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

__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(uint32_t crc, const void *data,
							       size_t len)
{
	const uint8_t *p = data;
	uint64_t c = crc, v;

	for (; len >= 8; len -= 8, p += 8) {
		memcpy(&v, p, 8);
		c = _mm_crc32_u64(c, v);
	}
	crc = (uint32_t)c;
	while (len--)
		crc = _mm_crc32_u8(crc, *p++);
	return crc;
}

uint32_t crc32c_raw(uint32_t crc, const void *data, size_t len)
{
	/* a load and a test of a word that the loader has filled in */
	if (__builtin_cpu_supports("sse4.2"))
		return crc32c_sse42(crc, data, len);
	return crc32c_nibbles(crc, data, len);
}

const struct crc32c_impl *crc32c_impls(void)
{
	static const struct crc32c_impl all[] = {
		{ "nibbles", crc32c_nibbles }, { "sse4.2", crc32c_sse42 }, { NULL, NULL }
	};
	static const struct crc32c_impl portable[] = { { "nibbles", crc32c_nibbles },
						       { NULL, NULL } };

	return __builtin_cpu_supports("sse4.2") ? all : portable;
}
#else
uint32_t crc32c_raw(uint32_t crc, const void *data, size_t len)
{
	return crc32c_nibbles(crc, data, len);
}

const struct crc32c_impl *crc32c_impls(void)
{
	static const struct crc32c_impl portable[] = { { "nibbles", crc32c_nibbles },
						       { NULL, NULL } };

	return portable;
}
#endif
