/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef TESTS_CRC_SLOW_H
#define TESTS_CRC_SLOW_H
/* What crc32c_raw() gives, bit by bit. */
#include <stddef.h>
#include <stdint.h>

static inline uint32_t crc_slow(uint32_t crc, const void *data, size_t len)
{
	const uint8_t *p = data;
	int k;

	while (len--) {
		crc ^= *p++;
		for (k = 0; k < 8; k++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78u : 0);
	}
	return crc;
}

#endif
