/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * A pool that is changed: random operations, which the input itself chooses, and commits.  A
 * sound pool stays sound; a damaged one may refuse, not crash.  The corpus of fuzz_check is
 * its corpus too.
 */
#include <errno.h>

#include "base/jobs.h"
#include "fuzz.h"
#include "image.h"
#include "pool/edit/edit.h"
#include "sound.h"
#include "../tests/unit/random.h"

#define NR_OPERATIONS 24

static int map_one(struct pool_edit *p, uint32_t id, vblock_t v, struct err *err)
{
	struct device_info d;
	dblock_t b;
	int e = edit_device(p, id, &d, err);

	if (!e)
		e = edit_alloc_data(p, &b, err);
	return e ? e : edit_map(p, id, v, b, err);
}

static int operate(struct pool_edit *p, uint64_t r, struct err *err)
{
	uint32_t id = (uint32_t)(r >> 8 & 3), other = (uint32_t)(r >> 16 & 3);
	vblock_t v = r >> 24 & 31;
	struct mapping m;
	bool unsure;

	switch (r % 10) {
	case 0:
		return edit_create_thin(p, id + 4, err);
	case 1:
		return edit_create_snap(p, other + 4, id, err);
	case 2:
		return edit_delete(p, id, err);
	case 3:
		return edit_reserve_metadata_snap(p, err);
	case 4:
		return edit_release_metadata_snap(p, err);
	case 5:
		return edit_unmap(p, id, v, v + other + 1, NULL, err);
	case 6:
		return edit_commit(p, &unsure, err);
	case 7:
		return edit_lookup(p, id, v, &m, err);
	default:
		return map_one(p, id, v, err);
	}
}

/* 0: all was committed, so the pool must be as sound as before. */
static int change(struct pool_edit *p, uint64_t seed)
{
	struct err err = { 0 };
	bool unsure;
	int i, e;

	for (i = 0; i < NR_OPERATIONS; i++) {
		e = operate(p, random_next(&seed), &err);
		if (e && e != -ENOENT && e != -EEXIST && e != -EBUSY && e != -EINVAL)
			return e;
	}
	return edit_commit(p, &unsure, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct io *io = image_new(data, len);
	struct jobs *jobs = jobs_new(1);
	uint64_t seed = 88172645463325252;
	struct pool_edit *p = NULL;
	struct err err = { 0 };
	bool was_sound;
	size_t i;

	MUST(jobs);
	for (i = 0; i < len; i++)
		seed = (seed ^ data[i]) * UINT64_C(0x100000001b3) | 1;
	was_sound = pool_sound(io, jobs, FINDING_NON_FATAL, false);
	if (!edit_open(io, true, &p, &err)) {
		change(p, seed);
		edit_free(p);
	}
	/* whatever was committed, and also when something was refused or the space ran out */
	MUST(!was_sound || pool_sound(io, jobs, FINDING_NON_FATAL, true));
	jobs_free(jobs);
	io_free(io);
	return 0;
}
