/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_CHECK_MAP_CHECK_H
#define POOL_CHECK_MAP_CHECK_H
/* A space map being checked, private to maps.c (reads, compares), large.c and judge.c. */
#include "pool/check/impl.h"

/* Blocks whose pair is not what it should be */
struct diff {
	uint64_t begin, len;
	uint32_t pair;	   /* the count in the bitmap, 3 for 11 */
	uint32_t expected; /* references found */
};

/* A large count: an entry of the tree */
struct large {
	uint64_t block;
	uint32_t count;
};

/* One kind of wrong index entries */
struct hints {
	uint64_t nr, first, stored, expected;
};

struct map_part {
	struct diff *diff;
	size_t nr_diffs, cap_diffs;
	struct large *large; /* entries that disagree with the references; all, when @all_large */
	size_t nr_large, cap_large;
	uint64_t nr_good_large;
	uint64_t nr_11; /* pairs of 11 that agree with the references: three or more */
	uint64_t nr_used, nr_past_end;
	struct hints nr_free, none_free;
} __attribute__((aligned(64)));

struct map_check {
	struct check *c;
	enum pool_area area;	 /* AREA_DATA_MAP or AREA_METADATA_MAP */
	enum pool_area overflow; /* its tree of large counts */
	const struct sm_root *root;
	struct check_map *out;
	struct refmap *counts;
	uint64_t nr_blocks;
	struct map_part *part; /* one a worker */
	unsigned nr_parts;
	_Atomic uint64_t nr_extra; /* index entries beyond the map */
	_Atomic bool bad_bitmap;
	bool all_large;
	uint64_t *unshared; /* check_find_unshared(); or NULL */
};

static inline struct finding check_map_finding(const struct map_check *m, enum finding_kind kind)
{
	return finding_make(kind, m->area);
}

/* large.c: 0 or -errno */
/* Compares the entries with the references found.  *sound: the tree was read without a fault. */
int check_walk_large(struct map_check *m, bool *sound);
/* Reads the tree again and keeps all of its entries: only when some are missing. */
int check_reread_large(struct map_check *m);

/* unshared.c: fills m->unshared, a bit for each data block that was mapped since the last snapshot and so was never shared.  0 or -errno */
int check_find_unshared(struct map_check *m);

/*
 * judge.c: after all bitmaps have been compared and the tree of large counts has been walked (@tree_sound:
 * without a fault): makes the findings.  0 or -errno.
 */
int check_map_judge(struct map_check *m, bool tree_sound);

#endif
