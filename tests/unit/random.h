/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef UNIT_RANDOM_H
#define UNIT_RANDOM_H
/* Numbers by chance, the same for the same seed. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* The next state of a generator (xorshift64) whose state is not 0. */
static inline uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* A number from 0 to @below - 1. */
static inline uint64_t random_below(uint64_t *state, uint64_t below)
{
	return (random_next(state) >> 11) % below;
}

/* The number in an environment variable, a seed or a count of rounds. */
static inline uint64_t env(const char *name, uint64_t otherwise)
{
	const char *s = getenv(name);

	return s ? strtoull(s, NULL, 0) : otherwise;
}

/* Calls @fn for seeds 1 to 12, or for SEED alone. */
static inline void each_seed(void (*fn)(uint64_t seed))
{
	uint64_t first = env("SEED", 1), last = getenv("SEED") ? first : 12;

	for (uint64_t i = first; i <= last; i++) {
		printf("# SEED=%llu\n", (unsigned long long)i);
		fn(i);
	}
}

#endif
