/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef BASE_BITS_H
#define BASE_BITS_H
/*
 * A map of bits in words of 64; any number of threads may set and read bits at once.  A word
 * whose bits are already set is not written again, except a whole one of bits_set_run().
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/units.h"

/* Bits [@b, @b + @len), of which there is at least one, in one word of the map. */
static inline void bits_set_word(uint64_t *map, uint64_t b, uint64_t len)
{
	uint64_t mask = ~0ull >> (64 - len) << b % 64;

	if (mask & ~__atomic_load_n(&map[b / 64], __ATOMIC_RELAXED))
		__atomic_fetch_or(&map[b / 64], mask, __ATOMIC_RELAXED);
}

/* A run, whole words at a time. */
static inline void bits_set_run(uint64_t *map, uint64_t b, uint64_t len)
{
	uint64_t head = MIN((64 - b % 64) % 64, len);

	if (b % 64 + len <= 64) {
		bits_set_word(map, b, len);
		return;
	}
	if (head)
		bits_set_word(map, b, head);
	for (b += head, len -= head; len >= 64; b += 64, len -= 64)
		__atomic_store_n(&map[b / 64], ~0ull, __ATOMIC_RELAXED);
	if (len)
		bits_set_word(map, b, len);
}

/* Bits in any order; the fastest way. */
static inline void bits_set_list(uint64_t *map, const uint64_t *b, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		__builtin_prefetch(&map[b[i] / 64], 1);
	for (size_t i = 0; i < nr; i++)
		bits_set_word(map, b[i], 1);
}

/* The first bit that is set from @from on, of which there is one.  Nobody sets bits meanwhile. */
static inline uint32_t bits_next(const uint64_t *map, uint32_t from)
{
	uint32_t word = from / 64;
	uint64_t bits = map[word] & ~0ull << from % 64;

	while (!bits)
		bits = map[++word];
	return word * 64 + (uint32_t)__builtin_ctzll(bits);
}

/* Is bit @b set? */
static inline bool bits_get(const uint64_t *map, uint64_t b)
{
	return __atomic_load_n(&map[b / 64], __ATOMIC_RELAXED) >> b % 64 & 1;
}

#endif
