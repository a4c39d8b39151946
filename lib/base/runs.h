/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef BASE_RUNS_H
#define BASE_RUNS_H
/*
 * A sorted set of u64, kept as runs [begin, end) that neither touch nor overlap.  UINT64_MAX cannot
 * be in it.  Memory: 16 to 32 bytes a run.  Threads: one at a time; several may read.
 */
#include "base/units.h"

struct run64 {
	uint64_t begin, end;
};

struct runs {
	struct run64 *run; /* ascending */
	size_t nr, cap;
};

void runs_init(struct runs *r);
void runs_fini(struct runs *r);
/* Adds [begin, end); appending at the end is O(1), elsewhere O(nr).  0 or -ENOMEM. */
int runs_add(struct runs *r, uint64_t begin, uint64_t end);
/* Is @v in the set?  O(log nr). */
bool runs_has(const struct runs *r, uint64_t v);

#endif
