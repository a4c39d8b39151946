/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_LEAF_SCAN_H
#define POOL_LEAF_SCAN_H
/*
 * The values of a mapping leaf, looked at all at once: in vectors of four, with operations
 * that every vector unit has (no 64-bit comparison: signs tell).
 */
#include "base/cpu.h"
#include "base/u64x4.h"
#include "pdata/block/node.h"
#include "pool/format/format.h"

/* What a mapping value grows by from one data block to the next, at the same time */
#define MAPPING_STEP ((uint64_t)1 << 24)

struct leaf_scan {
	bool one_run;	 /* consecutive data blocks, one time */
	bool all_inside; /* all data blocks are below the limit; false may be too cautious */
	bool one_time;	 /* all times are the same; false may be too cautious */
	uint32_t newest; /* the greatest time */
};

/*
 * Over all values of a leaf with five entries or more.  @odd: not 0 when they are no run; @outside:
 * the top bit is set when one is too large; @any, @all: all values ored, and anded.
 */
struct scan_sums {
	uint64_t odd, outside, any, all;
};

static inline __attribute__((always_inline)) void scan_values(const struct node *n, uint64_t limit,
							      struct scan_sums *sum)
{
	u64x4 odd = { 0 }, outside = { 0 }, any = { 0 }, all, v, next;
	const uint8_t *p = n->values, *last = p + (size_t)(n->nr - 5) * 8;

	u64x4_load(&all, p);
	any |= all;
	outside |= (limit - all) | all;
	/* the last entries are looked at twice rather than one by one */
	for (;; p = p + 32 < last ? p + 32 : last) {
		u64x4_load(&v, p);
		u64x4_load(&next, p + 8);
		odd |= (next - v) ^ MAPPING_STEP;
		outside |= (limit - next) | next;
		any |= next;
		all &= next;
		if (p == last)
			break;
	}
	sum->odd = odd[0] | odd[1] | odd[2] | odd[3];
	sum->outside = outside[0] | outside[1] | outside[2] | outside[3];
	sum->any = any[0] | any[1] | any[2] | any[3];
	sum->all = all[0] & all[1] & all[2] & all[3];
}

#ifdef __x86_64__
/* A CPU without AVX2 takes one value at a time: vectors of two are hardly faster there. */
#define SCAN_TARGET	__attribute__((target("avx2"), noinline))
#define HAS_SCAN_VECTOR cpu_has(CPU_HAS_AVX2)
#else
#define SCAN_TARGET
#define HAS_SCAN_VECTOR true
#endif

static SCAN_TARGET void scan_vectors(const struct node *n, uint64_t limit, struct scan_sums *sum)
{
	scan_values(n, limit, sum);
}

static inline uint32_t scan_newest(const struct node *n)
{
	uint32_t newest = 0;

	for (uint32_t i = 0; i < n->nr; i++)
		newest = MAX(newest, mapping_time(node_value64(n, i)));
	return newest;
}

/* One value at a time: fewer than five entries, or a CPU without the vectors */
static inline struct leaf_scan leaf_scan_singly(const struct node *n, uint64_t nr_data)
{
	struct leaf_scan s = { .one_run = true, .all_inside = true, .newest = scan_newest(n) };

	for (uint32_t i = 0; i < n->nr; i++) {
		uint64_t v = node_value64(n, i);

		s.all_inside &= mapping_block(v) < nr_data;
		s.one_run &= !i || v - node_value64(n, i - 1) == MAPPING_STEP;
	}
	return s;
}

/* @n: a leaf with at least one entry; @nr_data: the number of data blocks. */
static inline struct leaf_scan leaf_scan(const struct node *n, uint64_t nr_data)
{
	struct scan_sums sum;
	struct leaf_scan s;

	/* signs tell only as long as there is room for them */
	if (n->nr < 5 || !nr_data || nr_data >= 1ull << 39 || !HAS_SCAN_VECTOR)
		s = leaf_scan_singly(n, nr_data);
	else {
		scan_vectors(n, (nr_data << 24) - 1, &sum);
		s.one_run = !sum.odd;
		s.all_inside = !(sum.outside >> 63);
		s.one_time = mapping_time(sum.any) == mapping_time(sum.all);
		s.newest = s.one_time ? mapping_time(sum.any) : scan_newest(n);
	}
	/* values that wrap around 2^64 are no run */
	s.one_run &=
		mapping_block(node_value64(n, n->nr - 1)) - mapping_block(node_value64(n, 0)) ==
		n->nr - 1;
	return s;
}

#endif
