/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef UNIT_RANDOM_H
#define UNIT_RANDOM_H
/* Numbers by chance, the same for the same seed. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

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

/* The generator of a test program. */
static uint64_t rnd_state __attribute__((unused)) = 88172645463325252ull;

/* Starts it with @seed, which may be 0. */
static inline void rnd_begin(uint64_t seed)
{
	rnd_state = seed * 0x9E3779B97F4A7C15ull + 1;
}

/* Starts it with SEED, else with another seed each time, and prints it. */
static inline uint64_t rnd_begin_any(void)
{
	uint64_t seed = env("SEED", (uint64_t)time(NULL) ^ (uint64_t)getpid() << 20);

	printf("# SEED=%llu\n", (unsigned long long)seed);
	rnd_begin(seed);
	return seed;
}

/* A number from 0 to @below - 1. */
static inline uint64_t rnd(uint64_t below)
{
	return random_below(&rnd_state, below);
}

/* Any number below 2^53. */
static inline uint64_t rng(void)
{
	return random_next(&rnd_state) >> 11;
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
