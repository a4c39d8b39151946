/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "base/sum/crc32c.h"
#include "crc_slow.h"
#include "random.h"
#include "tap.h"

static void fill(uint8_t *p, size_t len)
{
	rnd_begin(42);
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)rnd(256);
}

static void known_values(void)
{
	uint8_t zeros[32] = { 0 };

	/* the usual check value, and one of RFC 3720, with the final inversion undone */
	check_eq(crc32c_raw(0xffffffff, "123456789", 9), 0xe3069283 ^ 0xffffffff);
	check_eq(crc32c_raw(0xffffffff, zeros, 32), 0x8a9136aa ^ 0xffffffff);
	check_eq(crc_slow(0xffffffff, "123456789", 9), 0xe3069283 ^ 0xffffffff);
	check_eq(crc32c_raw(0x12345678, "", 0), 0x12345678);
}

static void all_lengths(void)
{
	static uint8_t data[9000];
	const struct crc32c_impl *impl;
	size_t len, at;

	fill(data, sizeof(data));
	for (len = 0; len < 8900; len += len < 700 ? 1 : 131) {
		at = len % 17;
		for (impl = crc32c_impls(); impl->name; impl++) {
			uint32_t want = crc_slow((uint32_t)len * 77, data + at, len);

			check_eq(impl->fn((uint32_t)len * 77, data + at, len), want);
			check_eq(crc32c_raw((uint32_t)len * 77, data + at, len), want);
		}
	}
}

static void blocks(void)
{
	static uint8_t data[4096] __attribute__((aligned(4096)));
	const struct crc32c_impl *impl;
	size_t at;

	for (impl = crc32c_impls(); impl->name; impl++) {
		fill(data, sizeof(data));
		check_eq(impl->fn(~0u, data + 4, 4092), crc_slow(~0u, data + 4, 4092));
		check_eq(impl->fn(~0u, data, 4096), crc_slow(~0u, data, 4096));
		/* each byte counts, wherever the lanes and folds begin */
		memset(data, 0, sizeof(data));
		for (at = 0; at < sizeof(data); at += 3) {
			data[at] = 1;
			check_eq(impl->fn(7, data, 4096), crc_slow(7, data, 4096));
			data[at] = 0;
		}
	}
}

static void continued(void)
{
	uint8_t data[1000];
	size_t cut;

	fill(data, sizeof(data));
	for (cut = 0; cut <= sizeof(data); cut += 7)
		check_eq(crc32c_raw(crc32c_raw(5, data, cut), data + cut, sizeof(data) - cut),
			 crc_slow(5, data, sizeof(data)));
}

static const struct test tests[] = {
	{ "known values come out", known_values },
	{ "every implementation equals the bitwise one at any length and alignment", all_lengths },
	{ "every implementation equals the bitwise one on whole blocks, bit by bit", blocks },
	{ "a checksum can be continued anywhere", continued },
	{ 0 }
};

int main(int argc, char **argv)
{
	return tap_main(tests, argc, argv);
}
