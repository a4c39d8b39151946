/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "base/runs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/search.h"
#include "base/vec.h"

void runs_init(struct runs *r)
{
	*r = (struct runs){ 0 };
}

void runs_fini(struct runs *r)
{
	free(r->run);
	runs_init(r);
}

/* Index of the first run that ends at or after @v. */
static size_t first_reaching(const struct runs *r, uint64_t v)
{
	return search_first(i, r->nr, r->run[i].end >= v);
}

int runs_add(struct runs *r, uint64_t begin, uint64_t end)
{
	size_t first, past;

	if (begin >= end)
		return 0;
	first = r->nr && r->run[r->nr - 1].end < begin ? r->nr : first_reaching(r, begin);
	for (past = first; past < r->nr && r->run[past].begin <= end; past++)
		;
	if (past == first) {
		if (vec_reserve(r->run, r->cap, r->nr + 1))
			return -ENOMEM;
		memmove(r->run + first + 1, r->run + first, (r->nr - first) * sizeof(*r->run));
		r->run[first] = (struct run64){ begin, end };
		r->nr++;
		return 0;
	}
	/* runs first..past-1 touch or overlap [begin, end): one run takes their place */
	r->run[first].begin = MIN(begin, r->run[first].begin);
	r->run[first].end = MAX(end, r->run[past - 1].end);
	memmove(r->run + first + 1, r->run + past, (r->nr - past) * sizeof(*r->run));
	r->nr -= past - first - 1;
	return 0;
}

bool runs_has(const struct runs *r, uint64_t v)
{
	size_t i;

	if (v == UINT64_MAX) /* @end is one past the last number, so UINT64_MAX is in no run */
		return false;
	i = first_reaching(r, v + 1);
	return i < r->nr && r->run[i].begin <= v;
}
