/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_LEAF_RUNS_H
#define POOL_LEAF_RUNS_H
/*
 * The runs of a mapping leaf: entries one after the other whose virtual blocks and data blocks both
 * follow one another.
 */
#include "base/bits.h"
#include "pdata/block/node.h"
#include "pool/format/pool_info.h"

/* A bit for each entry that begins a run, and one behind the last entry. */
struct leaf_runs {
	uint64_t begins[NODE_MAX_ENTRIES(8) / 64 + 1];
};

enum leaf_runs_by {
	RUNS_ONE_TIME, /* the times of a run's entries are the same */
	RUNS_ANY_TIME,
};

/* @n: an opened leaf of a mapping tree. */
void leaf_runs_find(struct leaf_runs *r, const struct node *n, enum leaf_runs_by by);

/* Writes the @nr runs of one time, of a leaf with entries, to @run. */
void leaf_runs_list(const struct leaf_runs *r, const struct node *n, uint32_t nr, struct run *run);

/* Does a mapping leaf name any of the data blocks [@begin, @end)? */
bool leaf_maps_any(const struct node *n, dblock_t begin, dblock_t end);

/* The end of the run that begins at entry @i, below the number of entries. */
static inline uint32_t leaf_runs_end(const struct leaf_runs *r, uint32_t i)
{
	return bits_next(r->begins, i + 1);
}

/* Where the last run of a leaf of @nr entries, 1 at least, begins. */
static inline uint32_t leaf_runs_last(const struct leaf_runs *r, uint32_t nr)
{
	uint32_t word = --nr / 64;
	uint64_t bits = r->begins[word] & ~0ull >> (63 - nr % 64);

	while (!bits)
		bits = r->begins[--word];
	return word * 64 + 63 - (uint32_t)__builtin_clzll(bits);
}

/* How many runs the leaf has. */
uint32_t leaf_runs_nr(const struct leaf_runs *r);

#endif
