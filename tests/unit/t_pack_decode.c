/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "base/cpu.h"
#include "base/le.h"
#include "pdata/block/format.h"
#include "pool/pack/impl.h"
#include "like_node.h"
#include "tap.h"
#include "random.h"

/* pack_decode(), which does the same on any CPU. */
static const char *decode_record(const uint8_t **in, const uint8_t *end, mblock_t *nr,
				 uint8_t *block)
{
	const unsigned has = cpu_features;
	uint8_t plain[MBLOCK_SIZE];
	const uint8_t *p = *in;
	const char *fault, *plain_fault;
	mblock_t plain_nr = 0;

	fault = pack_decode(in, end, nr, block);
	cpu_features = 0;
	plain_fault = pack_decode(&p, end, &plain_nr, plain);
	cpu_features = has;
	check(fault == plain_fault && p == *in);
	check(fault || (*nr == plain_nr && !memcmp(block, plain, MBLOCK_SIZE)));
	return fault;
}

static void decodes_to_itself(const void *block)
{
	uint8_t record[PACK_RECORD_MAX], back[MBLOCK_SIZE];
	const uint8_t *p = record;
	size_t len = pack_encode(77, block, record);
	mblock_t nr;

	check(len <= sizeof(record));
	check(!decode_record(&p, record + len, &nr, back));
	check_eq(nr, 77);
	check_eq(p - record, len);
	check(!memcmp(back, block, MBLOCK_SIZE));
}

static void any_block(void)
{
	static const uint32_t sizes[][2] = { { 252, 8 }, { 126, 24 }, { 168, 16 }, { 336, 4 },
					     { 508, 0 }, { 1, 8 },    { 1, 4056 }, { 254, 8 },
					     { 600, 8 }, { 0, 8 },    { 252, 9 },  { ~0u, ~0u } };
	uint64_t seed = 4711;
	uint8_t block[MBLOCK_SIZE];
	size_t i, k, j;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (k = 0; k < 200; k++) {
			unsigned mask = (unsigned)(random_next(&seed) % 65);

			for (j = 0; j < MBLOCK_SIZE / 8; j++) {
				uint64_t v = random_next(&seed);

				/* words of all widths, runs of equal and of ascending ones */
				if (k % 4 == 0)
					v = j * (k + 1) << 24 | (k & 7);
				else if (mask < 64)
					v &= (UINT64_C(1) << mask) - 1;
				if (k % 4 == 1 && j && random_next(&seed) % 3)
					memcpy(block + j * 8, block + j * 8 - 8, 8);
				else
					memcpy(block + j * 8, &v, 8);
			}
			node_header(block, 1 + k % 3, sizes[i][0], sizes[i][1]);
			decodes_to_itself(block);
		}
	}
}

/* Feeds the decoder the record "block 5" followed by @code; the result in @block. */
static const char *decode(const void *code, size_t len, uint8_t *block)
{
	uint8_t record[2 * MBLOCK_SIZE] = { 5 };
	const uint8_t *p = record;
	const char *fault;
	mblock_t nr = 0;

	memcpy(record + 8, code, len);
	fault = decode_record(&p, record + 8 + len, &nr, block);
	check(fault || (nr == 5 && p == record + 8 + len));
	return fault;
}

static void every_instruction(void)
{
	static const uint8_t code[] = {
		0x01, 7,			   /* set 7 */
		0x13,				   /* +3: 10 */
		0x22, 0x00, 0x01,		   /* +256: 266 */
		0x36,				   /* -6: 260 */
		0x41, 60,			   /* -60: 200 */
		0x52,				   /* twice the same */
		0x60, 3,			   /* three times the same */
		0x72, 0x11,			   /* twice +1: 201, 202 */
		0x80, 2, 0x31,			   /* twice -1: 201, 200 */
		0x93, 'a', 'b', 'c',		   /* three bytes */
		0xa1, 5, 'd', 'e', 'f', 'g', 'h',  /* five */
		0xb0, 2, 0x01, 9, 0x11, 0x04, 1, 0, 0, 1, 0x51, /* 9<<24|1, 10<<24|1 */
		0x08, 1, 2, 3, 4, 5, 6, 7, 8,	   /* set, all eight bytes */
		0x24, 0xff, 0xff, 0xff, 0xff,	   /* + 2^32 - 1 */
		0x61, 0xe7,			   /* 487 times the same */
		0xa2, 0, 0,			   /* no bytes */
	};
	static const uint64_t head[] = { 7, 10, 266, 260, 200, 200, 200, 200, 200, 200,
					 201, 202, 201, 200 };
	uint8_t block[MBLOCK_SIZE];
	uint64_t want, got;
	size_t i;

	/* 14 + 1 + 2 + 1 + 1 + 487 numbers are 6 short of 512 */
	check_str(decode(code, sizeof(code), block), "the record ends too early");
	{
		uint8_t whole[sizeof(code) + 2];

		memcpy(whole, code, sizeof(code));
		whole[sizeof(code)] = 0x56;
		check(!decode(whole, sizeof(code) + 1, block));
	}
	for (i = 0; i < ARRAY_SIZE(head); i++) {
		memcpy(&got, block + i * 8, 8);
		check_eq(le64toh(got), head[i]);
	}
	check(!memcmp(block + 14 * 8, "abcdefgh", 8));
	memcpy(&got, block + 15 * 8, 8);
	check_eq(le64toh(got), UINT64_C(9) << 24 | 1);
	memcpy(&got, block + 16 * 8, 8);
	check_eq(le64toh(got), UINT64_C(10) << 24 | 1);
	want = UINT64_C(0x0807060504030201) + UINT32_MAX;
	memcpy(&got, block + 511 * 8, 8);
	check_eq(le64toh(got), want);
}

/* Instructions that give @nr numbers, written at @p, and the numbers, of which the first builds on *@last. */
static uint8_t *make_list(uint8_t *p, uint64_t *want, size_t nr, uint64_t *last, uint64_t *seed)
{
	uint64_t base = *last;

	for (size_t i = 0, count; i < nr; i += count) {
		const unsigned kind = (unsigned)random_below(seed, 20),
			       n = (unsigned)random_below(seed, 16);
		int64_t by = n;

		count = 1;
		if (kind < 9) {
			count = random_below(seed, MIN((size_t)16, nr - i + 1));
			*p++ = (uint8_t)(0x70 | count);
		} else if (kind < 12) {
			count = random_below(seed, MIN((size_t)45, nr - i + 1));
			*p++ = 0x80;
			*p++ = (uint8_t)count;
		} else if (kind == 12) {
			base = random_next(seed) & 0xffff;
			by = 0;
			*p++ = 0x02;
			*p++ = (uint8_t)base;
			*p++ = (uint8_t)(base >> 8);
		} else if (kind == 13) {
			by = -by;
		}
		if (kind != 12)
			*p++ = (uint8_t)((kind == 13 ? 0x30 : 0x10) | n);
		for (size_t k = 0; k < count; k++)
			want[i + k] = base += (uint64_t)by;
	}
	*last = base;
	return p;
}

static void short_runs(void)
{
	uint64_t seed = env("SEED", (uint64_t)time(NULL) | 1), high[512], low[512];

	printf("# SEED=%llu\n", (unsigned long long)seed);
	for (int round = 0; round < 4000; round++) {
		uint8_t code[MBLOCK_SIZE + 1024], block[MBLOCK_SIZE], *p = code;
		uint64_t last = 0;
		const size_t nr = round % 3 ? 512 : 1 + random_below(&seed, 511),
			     rest = 4096 - nr * 8;

		if (round % 3) {
			p = make_list(p, high, nr, &last, &seed);
		} else {
			*p++ = (uint8_t)(0xb0 | nr >> 8);
			*p++ = (uint8_t)nr;
			p = make_list(p, high, nr, &last, &seed);
			p = make_list(p, low, nr, &last, &seed);
			*p++ = 0xa2;
			*p++ = (uint8_t)rest;
			*p++ = (uint8_t)(rest >> 8);
			memset(p, 'x', rest);
			p += rest;
		}
		check(!decode(code, (size_t)(p - code), block));
		for (size_t i = 0; i < nr; i++) {
			le64 got;

			memcpy(&got, block + i * 8, 8);
			check_eq(le64_get(got),
				 round % 3 ? high[i] : high[i] << 24 | (low[i] & 0xffffff));
		}
	}
}

static void simplest_encoder(void)
{
	uint8_t code[3 + MBLOCK_SIZE] = { 0xa2, 0x00, 0x10 }, block[MBLOCK_SIZE];

	memset(code + 3, 'x', MBLOCK_SIZE);
	check(!decode(code, sizeof(code), block));
	check(!memcmp(block, code + 3, MBLOCK_SIZE));
}

static void bad_instructions(void)
{
	static const struct {
		uint8_t code[12];
		size_t len;
		const char *fault;
	} bad[] = {
		{ { 0x03, 1, 2, 3 }, 4, "a number of impossible width" },
		{ { 0x00 }, 1, "a number of impossible width" },
		{ { 0xa0 }, 1, "a number of impossible width" },
		{ { 0x08, 1, 2 }, 3, "the record ends too early" },
		{ { 0x95, 1 }, 2, "the record ends too early" },
		{ { 0xa4, 0, 0, 0, 1 }, 5, "more bytes than a block has" },
		{ { 0xa8, 255, 255, 255, 255, 255, 255, 255, 255 }, 9, "more bytes than a block has" },
		{ { 0x6f, 255 }, 2, "more numbers than there is room for" },
		{ { 0x8f, 255, 0x11 }, 3, "more numbers than there is room for" },
		{ { 0x71, 0x51 }, 2, "an instruction that cannot be repeated" },
		{ { 0x71, 0x71, 0x11 }, 3, "an instruction that cannot be repeated" },
		{ { 0xb2, 1 }, 2, "more bytes than a block has" },
		{ { 0xb0, 2, 0x91, 1 }, 4, "bytes where numbers should be" }, { { 0xb0, 2, 0xb0, 1 }, 4, "bytes where numbers should be" },
		{ { 0xb0, 2, 0x53 }, 3, "more numbers than there is room for" },
		{ { 0xc0 }, 1, "an unknown instruction" },
		{ { 0xff }, 1, "an unknown instruction" },
	};
	static const char *const cut[] = { "", "\x60", "\x71", "\x80", "\xb0", "\xb0\x01", "\xb0\x01\x01\x09" };
	uint8_t block[MBLOCK_SIZE];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		check_str(decode(bad[i].code, bad[i].len, block), bad[i].fault);
	for (i = 0; i < ARRAY_SIZE(cut); i++)
		check_str(decode(cut[i], strlen(cut[i]), block), "the record ends too early");
}

static void garbage_is_survived(void)
{
	uint64_t seed = 99;
	uint8_t code[600], block[MBLOCK_SIZE];
	size_t i, k, faults = 0;

	for (k = 0; k < 20000; k++) {
		for (i = 0; i < sizeof(code); i++)
			code[i] = (uint8_t)random_next(&seed);
		{
			const uint8_t *p = code;
			mblock_t nr;

			faults += !!decode_record(&p, code + sizeof(code), &nr, block);
			check(p >= code && p <= code + sizeof(code));
		}
	}
	check(faults > 10000);
}

static const struct test tests[] = {
	{ "any block decodes to itself, node or not", any_block },
	{ "every instruction does what the table says", every_instruction },
	{ "short runs and single numbers one after another, on any CPU", short_runs },
	{ "the simplest encoder's record, one literal, is read", simplest_encoder },
	{ "impossible instructions are refused by name", bad_instructions },
	{ "garbage is survived", garbage_is_survived },
	{ 0 }
};

int main(int argc, char **argv)
{
	return tap_main(tests, argc, argv);
}
