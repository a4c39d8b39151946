/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef POOL_LEAF_SCAN_H
#define POOL_LEAF_SCAN_H
/*
 * The values of a mapping leaf, looked at all at once: in vectors of two, which every 64-bit
 * vector unit has (wider ones are taken apart again by compilers for the lowest common CPU), with
 * operations that they all have (no 64-bit comparison: signs tell).
 */
#include <string.h>

#include "pdata/node.h"
#include "pool/format.h"

/* What a mapping value grows by from one data block to the next, at the same time */
#define MAPPING_STEP ((uint64_t)1 << 24)

typedef uint64_t scan_u64 __attribute__((vector_size(16)));
typedef int32_t scan_s32 __attribute__((vector_size(16)));
#define SCAN_LANES 2u

struct leaf_scan {
	bool one_run;	 /* consecutive data blocks, one time */
	bool all_inside; /* all data blocks are below the limit; false may be too cautious */
	uint32_t newest; /* the greatest time */
};

static inline void scan_load(scan_u64 *v, const uint8_t *p)
{
	memcpy(v, p, sizeof(*v));
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
	for (unsigned i = 0; i < SCAN_LANES; i++)
		(*v)[i] = le64toh((*v)[i]);
#endif
}

/* @n: a leaf with at least one entry; @nr_data: the number of data blocks. */
static inline struct leaf_scan leaf_scan(const struct node *n, uint64_t nr_data)
{
	const uint8_t *p = n->values;
	uint64_t limit = nr_data ? (nr_data << 24) - 1 : 0;
	uint64_t last = node_value64(n, n->nr - 1);
	scan_u64 odd = { 0 }, outside = { 0 }, newest = { 0 };
	struct leaf_scan s;
	uint32_t i;

	/* the last entries are looked at twice rather than one by one */
	for (i = 0; n->nr > SCAN_LANES; i = MIN(i + SCAN_LANES, n->nr - SCAN_LANES - 1)) {
		scan_u64 v, next, time;
		scan_s32 later;

		scan_load(&v, p + (size_t)i * 8);
		scan_load(&next, p + (size_t)i * 8 + 8);
		time = next & 0xffffff;
		later = (scan_s32)time > (scan_s32)newest;
		odd |= (next - v) ^ MAPPING_STEP;
		outside |= (limit - next) | next;
		newest = (time & (scan_u64)later) | (newest & ~(scan_u64)later);
		if (i == n->nr - SCAN_LANES - 1)
			break;
	}
	s.one_run = !(odd[0] | odd[1]);
	s.all_inside = nr_data && nr_data < 1ull << 39 &&
		       !((outside[0] | outside[1]) >> 63);
	s.newest = (uint32_t)MAX(newest[0], newest[1]);
	for (i = 0; i < MIN(n->nr, SCAN_LANES + 1); i++) {
		uint64_t v = node_value64(n, i);

		s.newest = MAX(s.newest, mapping_time(v));
		s.all_inside &= mapping_block(v) < nr_data;
		if (i)
			s.one_run &= v - node_value64(n, i - 1) == MAPPING_STEP;
	}
	/* a run that wraps around 2^64 is none */
	s.one_run &= mapping_block(last) - mapping_block(node_value64(n, 0)) == n->nr - 1;
	return s;
}

#endif
