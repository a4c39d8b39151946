/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_SALVAGE_LOOKUP_H
#define POOL_SALVAGE_LOOKUP_H
/* Lookups of the assignment: the nearest member of a set, and the next candidate by margin. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NEAR_LEVELS 5 /* of 64 each: more than there are options */

/* A set of numbers.  A bit each, and above 64 bits one that says whether any of them is set. */
struct near_set {
	uint64_t *word[NEAR_LEVELS];
};

/* For the numbers below @nr.  0 or -ENOMEM; near_set_fini() in both cases. */
int near_set_init(struct near_set *s, uint32_t nr);
void near_set_fini(struct near_set *s);
void near_set_put(struct near_set *s, uint32_t i, bool on);
/* The last member at or before @i, or the first at or behind it: UINT32_MAX when there is none. */
uint32_t near_set_find(const struct near_set *s, uint32_t i, bool before);

struct heap_entry {
	int32_t margin;
	uint32_t cand;
};

/* The largest margin first, of equal ones the first candidate.  All zero: empty. */
struct heap {
	struct heap_entry *e;
	size_t nr, cap;
};

int heap_push(struct heap *h, struct heap_entry e); /* 0 or -ENOMEM */
struct heap_entry heap_pop(struct heap *h); /* not of an empty one */
void heap_fini(struct heap *h);

#endif
