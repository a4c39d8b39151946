/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Searches in a refmap's words, and the bitmaps on disk. */
#include <errno.h>
#include <string.h>

#include "pdata/block/impl.h"

uint64_t refmap_nr_allocated(const struct refmap *m)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i < m->nr_words; i++)
		n += (unsigned)__builtin_popcountll((m->word[i] | m->word[i] >> 1) & LOW);
	return n;
}

/* First block >= @from whose pair, as a set bit at the low place, is in @pick(word). */
static inline uint64_t find(const struct refmap *m, uint64_t from, bool used)
{
	uint64_t i = from / WORD_ENTRIES, hit, b;

	if (from >= m->nr_blocks)
		return m->nr_blocks;
	hit = ~0ull << 2 * (from % WORD_ENTRIES);
	for (; i < m->nr_words; i++, hit = ~0ull) {
		uint64_t any = (m->word[i] | m->word[i] >> 1) & LOW;

		hit &= used ? any : ~any & LOW;
		if (!hit)
			continue;
		b = i * WORD_ENTRIES + (unsigned)__builtin_ctzll(hit) / 2;
		return MIN(b, m->nr_blocks);
	}
	return m->nr_blocks;
}

uint64_t refmap_find_free(const struct refmap *m, uint64_t from)
{
	return find(m, from, false);
}

uint64_t refmap_find_used(const struct refmap *m, uint64_t from)
{
	return find(m, from, true);
}

void refmap_to_bitmap(const struct refmap *m, uint64_t index, uint8_t bits[4080], uint32_t *nr_used,
		      uint32_t *first_free)
{
	const uint64_t *w = m->word + index * BITMAP_WORDS;
	uint64_t begin = index * ENTRIES_PER_BITMAP;
	uint32_t used = 0, free_at = ENTRIES_PER_BITMAP;

	for (unsigned i = 0; i < BITMAP_WORDS; i++) {
		le64 v = le64_make(w[i]);
		uint64_t any = (w[i] | w[i] >> 1) & LOW;

		memcpy(bits + (size_t)i * 8, &v, 8);
		used += (unsigned)__builtin_popcountll(any);
		/* search only this bitmap: in a full map the next free block may be far away */
		if (any != LOW && free_at == ENTRIES_PER_BITMAP)
			free_at = i * WORD_ENTRIES + (uint32_t)__builtin_ctzll(~any & LOW) / 2;
	}
	*nr_used = used;
	*first_free = 0;
	if (free_at < ENTRIES_PER_BITMAP && begin + free_at < m->nr_blocks)
		*first_free = free_at;
}

void refmap_from_bitmap(struct refmap *m, uint64_t index, const uint8_t bits[4080])
{
	uint64_t begin = index * ENTRIES_PER_BITMAP, i;
	le64 v;

	for (i = 0; i < BITMAP_WORDS && begin + i * WORD_ENTRIES < m->nr_blocks; i++) {
		uint64_t left = m->nr_blocks - begin - i * WORD_ENTRIES;

		memcpy(&v, bits + i * 8, 8);
		m->word[index * BITMAP_WORDS + i] =
			le64_get(v) & pairs_mask(0, (unsigned)MIN(left, (uint64_t)WORD_ENTRIES));
	}
}

uint64_t refmap_word(const struct refmap *m, uint64_t i)
{
	return i < m->nr_words ? m->word[i] : 0;
}

uint64_t refmap_find_pair_11(const struct refmap *m, uint64_t from)
{
	uint64_t i = from / WORD_ENTRIES, keep = ~0ull << 2 * (from % WORD_ENTRIES), hit;

	if (from >= m->nr_blocks)
		return m->nr_blocks;
	for (; i < m->nr_words; i++, keep = ~0ull) {
		hit = m->word[i] & (m->word[i] >> 1) & LOW & keep;
		if (hit)
			return i * WORD_ENTRIES + (unsigned)__builtin_ctzll(hit) / 2;
	}
	return m->nr_blocks;
}

int refmap_each_overflow(const struct refmap *m, int (*fn)(void *ctx, uint64_t b, uint32_t count),
			 void *ctx)
{
	uint64_t b;
	int r;

	if (m->failed)
		return -ENOMEM;
	for (b = refmap_find_pair_11(m, 0); b < m->nr_blocks; b = refmap_find_pair_11(m, b + 1)) {
		r = fn(ctx, b, refmap_get(m, b));
		if (r < 0)
			return r;
	}
	return 0;
}
