/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef UNIT_RANDOM_H
#define UNIT_RANDOM_H
/* Numbers by chance, the same for the same seed. */
#include <stdint.h>
#include <stdlib.h>

/* The next state of a generator (xorshift64) whose state is not 0. */
static inline uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* The number in an environment variable, a seed or a count of rounds. */
static inline uint64_t env(const char *name, uint64_t otherwise)
{
	const char *s = getenv(name);

	return s ? strtoull(s, NULL, 0) : otherwise;
}

#endif
