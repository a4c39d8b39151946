/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_SINCE_H
#define VOLUME_SINCE_H
/* The base of an increment: another device of the pool, or what a device was in an older dump. */
#include "volume/image/diff.h"
#include "volume/image/feed.h"
#include "volume/open/volume.h"

struct since_options {
	const char *base;     /* NAME or id; NULL: the same device, in @metadata */
	const char *metadata; /* older metadata, XML or table; NULL: the device's own pool */
	bool has_size;
	uint64_t size; /* bytes of the base, where no table says it */
};

struct since {
	struct volume base;
	struct diff diff; /* without a base everything is new */
	struct image_source now_source, base_source;
	const char *name; /* of the base, for messages; NULL: there is none */
	bool size_is_guess;
};

/*
 * Prepares the difference of @now, which was opened with @opt, to the base that @so names; @so may
 * name none.  Fails as volume_open() does, and with -EDOM where @now is no thin device, -EINVAL where the
 * base has another block size.  @now must live longer, and its map becomes timed where @so->metadata is given.
 */
int since_open(struct since *s, struct volume *now, const struct volume_options *opt,
	       const struct since_options *so, struct jobs *jobs, struct err *err);
void since_close(struct since *s);

#endif
