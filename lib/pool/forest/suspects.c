/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "pool/forest/suspects.h"

#define LOW 0x5555555555555555ull /* set in a pair: two references or more */

/* The lower 32 bits of @v, each moved to the low place of a pair. */
static uint64_t spread(uint64_t v)
{
	v &= 0xffffffff;
	v = (v | v << 16) & 0x0000ffff0000ffffull;
	v = (v | v << 8) & 0x00ff00ff00ff00ffull;
	v = (v | v << 4) & 0x0f0f0f0f0f0f0f0full;
	v = (v | v << 2) & 0x3333333333333333ull;
	return (v | v << 1) & LOW;
}

/* The low places of the pairs of @w, moved to the lower 32 bits. */
static uint64_t squeeze(uint64_t w)
{
	w &= LOW;
	w = (w | w >> 1) & 0x3333333333333333ull;
	w = (w | w >> 2) & 0x0f0f0f0f0f0f0f0full;
	w = (w | w >> 4) & 0x00ff00ff00ff00ffull;
	w = (w | w >> 8) & 0x0000ffff0000ffffull;
	return (w | w >> 16) & 0xffffffff;
}

uint64_t *suspects_of_counted(const struct refmap *counts)
{
	uint64_t nr = refmap_nr_blocks(counts), *map = suspects_new(nr);

	for (uint64_t i = 0; map && i < nr / 64 + 1; i++) {
		uint64_t low = refmap_word(counts, 2 * i), high = refmap_word(counts, 2 * i + 1);

		if (low | high) /* else the page stays untouched */
			map[i] = squeeze(low | low >> 1) | squeeze(high | high >> 1) << 32;
	}
	return map;
}

bool suspects_any_shared(const uint64_t *map, const struct refmap *counts)
{
	uint64_t nr = refmap_nr_blocks(counts) / 64 + 1;

	for (uint64_t i = 0; i < nr; i++) {
		uint64_t low = refmap_word(counts, 2 * i) & LOW;
		uint64_t high = refmap_word(counts, 2 * i + 1) & LOW;

		if (!(low | high))
			continue;
		if (!map || (low & spread(map[i])) | (high & spread(map[i] >> 32)))
			return true;
	}
	return false;
}
