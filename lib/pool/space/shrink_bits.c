/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "pool/space/shrink_bits.h"

#include <stdlib.h>

#include "base/overflow.h"
#include "base/search.h"

#define WORD_BITS 64
#define GROUP_WORDS 64
#define GROUP_BITS ((uint64_t)WORD_BITS * GROUP_WORDS)

static uint64_t nr_groups(const struct used_bits *u)
{
	return u->nr / GROUP_BITS + 1;
}

int used_bits_init(struct used_bits *u, uint64_t nr, struct err *err)
{
	*u = (struct used_bits){ .nr = nr };
	u->word = calloc_u64(nr_groups(u) * GROUP_WORDS, sizeof(*u->word));
	u->before = calloc_u64(nr_groups(u) + 1, sizeof(*u->before));
	if (u->word && u->before)
		return 0;
	used_bits_fini(u);
	return err_nomem(err, "map of the data blocks in use");
}

void used_bits_fini(struct used_bits *u)
{
	free(u->word);
	free(u->before);
	*u = (struct used_bits){ 0 };
}

/* The bits [from, to) of a word, from < to <= 64 */
static uint64_t mask(unsigned from, unsigned to)
{
	return (~0ull << from) & (~0ull >> (WORD_BITS - to));
}

void used_bits_set(struct used_bits *u, uint64_t b, uint64_t len)
{
	while (len) {
		unsigned from = b % WORD_BITS;
		unsigned to = (unsigned)MIN((uint64_t)WORD_BITS, from + len);

		u->word[b / WORD_BITS] |= mask(from, to);
		b += to - from;
		len -= to - from;
	}
}

static unsigned popcount(uint64_t w)
{
	return (unsigned)__builtin_popcountll(w);
}

void used_bits_count(struct used_bits *u)
{
	uint64_t n = 0;

	for (uint64_t g = 0; g < nr_groups(u); g++) {
		u->before[g] = n;
		for (unsigned i = 0; i < GROUP_WORDS; i++)
			n += popcount(u->word[g * GROUP_WORDS + i]);
	}
	u->before[nr_groups(u)] = n;
}

uint64_t used_bits_before(const struct used_bits *u, uint64_t b)
{
	uint64_t g = b / GROUP_BITS, n = u->before[g], w;

	for (w = g * GROUP_WORDS; w < b / WORD_BITS; w++)
		n += popcount(u->word[w]);
	return b % WORD_BITS ? n + popcount(u->word[w] & mask(0, b % WORD_BITS)) : n;
}

uint64_t used_bits_nth_free(const struct used_bits *u, uint64_t n)
{
	/* the last group before which at most @n are free: the first has none before it */
	uint64_t g = search_first(i, nr_groups(u), i * GROUP_BITS - u->before[i] > n) - 1, w, v;

	n -= g * GROUP_BITS - u->before[g];
	for (w = g * GROUP_WORDS; WORD_BITS - popcount(u->word[w]) <= n; w++)
		n -= WORD_BITS - popcount(u->word[w]);
	for (v = ~u->word[w]; n; n--)
		v &= v - 1;
	return w * WORD_BITS + (unsigned)__builtin_ctzll(v);
}

uint64_t used_bits_find(const struct used_bits *u, uint64_t from, uint64_t end, bool set)
{
	uint64_t w = from / WORD_BITS, keep = ~0ull << from % WORD_BITS, hit;

	for (; w * WORD_BITS < end; w++, keep = ~0ull) {
		hit = (set ? u->word[w] : ~u->word[w]) & keep;
		if (hit)
			return MIN(end, w * WORD_BITS + (unsigned)__builtin_ctzll(hit));
	}
	return end;
}
