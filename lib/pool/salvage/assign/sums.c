/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Sets of sums, a bit for each number up to what the device needs. */
#include "pool/salvage/assign/sums.h"

#include <stdlib.h>
#include <string.h>

#define MAX_WORDS ((size_t)4 << 20)

bool sums_begin(struct sums *s, const uint64_t *need, size_t nr_devs, uint32_t nr_groups)
{
	*s = (struct sums) { 0 };
	for (size_t i = 0; i < nr_devs; i++)
		if (need[i] / 64 >= MAX_WORDS || (s->row += need[i] / 64 + 1) > MAX_WORDS)
			return false;
	if (s->row > MAX_WORDS / ((size_t)nr_groups + 1))
		return false;
	s->at = calloc(nr_devs + 1, sizeof(*s->at));
	s->bits = calloc(s->row * ((size_t)nr_groups + 1), sizeof(*s->bits));
	if (!s->at || !s->bits) {
		sums_end(s);
		return false;
	}
	for (size_t i = 0; i < nr_devs; i++) {
		s->at[i + 1] = s->at[i] + need[i] / 64 + 1;
		s->bits[s->row * nr_groups + s->at[i]] = 1;
	}
	return true;
}

void sums_end(struct sums *s)
{
	free(s->bits);
	free(s->at);
	*s = (struct sums) { 0 };
}

void sums_open(struct sums *s, uint32_t group)
{
	if (s->bits)
		memcpy(s->bits + s->row * group, s->bits + s->row * (group + 1), s->row * sizeof(*s->bits));
}

void sums_add(struct sums *s, uint32_t group, size_t dev, uint64_t nr)
{
	uint64_t *set = s->bits ? s->bits + s->row * group + s->at[dev] : NULL;
	size_t words = set ? s->at[dev + 1] - s->at[dev] : 0, by = (size_t)(nr / 64);

	for (size_t i = words; nr && i-- > by;) {
		uint64_t moved = set[i - by] << nr % 64;

		if (nr % 64 && i > by)
			moved |= set[i - by - 1] >> (64 - nr % 64);
		set[i] |= moved;
	}
}

bool sums_can(const struct sums *s, uint32_t group, size_t dev, uint64_t nr)
{
	const uint64_t *set = s->bits ? s->bits + s->row * group + s->at[dev] : NULL;

	return !set || (nr / 64 < s->at[dev + 1] - s->at[dev] && set[nr / 64] >> nr % 64 & 1);
}
