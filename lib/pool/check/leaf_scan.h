/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_LEAF_SCAN_H
#define POOL_LEAF_SCAN_H
/*
 * The values of a mapping leaf, looked at all at once: in vectors of four, with operations
 * that every vector unit has (no 64-bit comparison: signs tell).
 */
#include "base/bits.h"
#include "base/cpu.h"
#include "base/u64x4.h"
#include "pdata/block/node.h"
#include "pool/format/format.h"

/* What a mapping value grows by from one data block to the next, at the same time */
#define MAPPING_STEP ((uint64_t)1 << 24)

struct leaf_scan {
	bool one_run; /* consecutive data blocks, one time */
	bool no_run;  /* no entry goes on where the one before it ends; false may be too cautious */
	bool all_inside; /* all data blocks are below the limit; false may be too cautious */
	bool one_time;	 /* all times are the same; false may be too cautious */
	uint32_t newest; /* the greatest time */
	uint32_t pad;	 /* 3 at most */
	/* bit i + pad: a run ends with entry i; not there when all is one run */
	uint64_t ends[NODE_MAX_ENTRIES(8) / 64 + 1];
};

/*
 * Over all values of a leaf with five entries or more.  @outside: the top bit is set when one is
 * too large; @any, @all: all values ored, and anded.
 */
struct scan_sums {
	uint64_t outside, any, all;
};

/* Looks at the entry at @p and at four more. */
#define SCAN_FIVE(p)                                \
	do {                                        \
		u64x4_load(&v, p);                  \
		u64x4_load(&next, (p) + 8);         \
		outside |= (limit - next) | next;   \
		any |= next;                        \
		all &= next;                        \
		goes_on = next - v == MAPPING_STEP; \
	} while (0)

/*
 * The first step takes entry 0, the others end with the last entry, and the first two may overlap.
 * So the bits of ends[] are moved up until each further step has four of its own.  @is_run: the leaf
 * looks like one run, and only whether it is one is to be found.
 */
#define DEFINE_SCAN(name, attributes, bits_of, is_run)                                           \
	static attributes void name(const struct node *n, uint64_t limit, struct scan_sums *sum, \
				    struct leaf_scan *s)                                         \
	{                                                                                        \
		const uint32_t pad = -(n->nr - 1) % 4, end = n->nr - 1 + pad;                    \
		const uint8_t *p = n->values + (size_t)(4 - pad) * 8;                            \
		u64x4 outside, any, all, v, next;                                                \
		uint64_t word, bits, some;                                                       \
		i64x4 goes_on, each;                                                             \
                                                                                                 \
		u64x4_load(&all, n->values);                                                     \
		any = all;                                                                       \
		outside = (limit - all) | all;                                                   \
		SCAN_FIVE(n->values);                                                            \
		each = goes_on;                                                                  \
		some = (uint64_t)bits_of(goes_on);                                               \
		word = some << (60 + pad);                                                       \
		for (uint32_t at = 4; at < end; at += 4, p += 32) {                              \
			SCAN_FIVE(p);                                                            \
			if (is_run) {                                                            \
				each &= goes_on;                                                 \
				continue;                                                        \
			}                                                                        \
			if (at % 64 == 0)                                                        \
				s->ends[at / 64 - 1] = ~word;                                    \
			bits = (uint64_t)bits_of(goes_on);                                       \
			some |= bits;                                                            \
			word = word >> 4 | bits << 60;                                           \
		}                                                                                \
		s->pad = pad;                                                                    \
		s->one_run = is_run && bits_of(each) == 15;                                      \
		s->no_run = !is_run && !some;                                                    \
		/* behind the last entry all bits are set */                                     \
		if (end % 64 == 0)                                                               \
			s->ends[end / 64] = ~0ull;                                               \
		s->ends[(end - 1) / 64] = ~(word >> -end % 64);                                  \
		sum->outside = outside[0] | outside[1] | outside[2] | outside[3];                \
		sum->any = any[0] | any[1] | any[2] | any[3];                                    \
		sum->all = all[0] & all[1] & all[2] & all[3];                                    \
	}

#ifdef __x86_64__
/* A CPU without AVX2 takes one value at a time: vectors of two are hardly faster there. */
#define SCAN_AVX2	__attribute__((target("avx2"), noinline))
#define HAS_SCAN_VECTOR cpu_has(CPU_HAS_AVX2)
DEFINE_SCAN(scan_run, SCAN_AVX2, I64X4_BITS_AVX2, true)
DEFINE_SCAN(scan_runs, SCAN_AVX2, I64X4_BITS_AVX2, false)
#else
#define HAS_SCAN_VECTOR true
DEFINE_SCAN(scan_run, , I64X4_BITS, true)
DEFINE_SCAN(scan_runs, , I64X4_BITS, false)
#endif

static inline uint32_t scan_newest(const struct node *n)
{
	uint32_t newest = 0;

	for (uint32_t i = 0; i < n->nr; i++)
		newest = MAX(newest, mapping_time(node_value64(n, i)));
	return newest;
}

/* One value at a time: fewer than five entries, or a CPU without the vectors */
static inline void leaf_scan_singly(const struct node *n, uint64_t nr_data, struct leaf_scan *s)
{
	s->one_run = s->all_inside = true;
	s->one_time = s->no_run = false;
	s->newest = scan_newest(n);
	s->pad = 0;
	memset(s->ends, 0xff, sizeof(s->ends));
	for (uint32_t i = 0; i < n->nr; i++) {
		const uint64_t v = node_value64(n, i);

		s->all_inside &= mapping_block(v) < nr_data;
		if (i && v - node_value64(n, i - 1) == MAPPING_STEP)
			s->ends[(i - 1) / 64] &= ~(1ull << (i - 1) % 64);
		else
			s->one_run &= !i;
	}
}

/* @n: a leaf with at least one entry; @nr_data: the number of data blocks. */
static inline void leaf_scan(const struct node *n, uint64_t nr_data, struct leaf_scan *s)
{
	const uint64_t first = node_value64(n, 0), last = node_value64(n, n->nr - 1);
	/* values that wrap around 2^64 are no run */
	const bool is_run = mapping_block(last) - mapping_block(first) == n->nr - 1;
	const uint64_t limit = (nr_data << 24) - 1;
	struct scan_sums sum;

	/* signs tell only as long as there is room for them */
	if (n->nr < 5 || !nr_data || nr_data >= 1ull << 39 || !HAS_SCAN_VECTOR) {
		leaf_scan_singly(n, nr_data, s);
		s->one_run &= is_run;
		return;
	}
	if (is_run)
		scan_run(n, limit, &sum, s);
	if (!is_run || !s->one_run)
		scan_runs(n, limit, &sum, s);
	s->all_inside = !(sum.outside >> 63);
	s->one_time = mapping_time(sum.any) == mapping_time(sum.all);
	s->newest = s->one_time ? mapping_time(sum.any) : scan_newest(n);
}

/* The end of the run of consecutive data blocks with one time that begins at entry @i. */
static inline uint32_t leaf_scan_end(const struct leaf_scan *s, uint32_t i)
{
	return bits_next(s->ends, i + s->pad) + 1 - s->pad;
}

#endif
