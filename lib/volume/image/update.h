/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_UPDATE_H
#define VOLUME_UPDATE_H
/*
 * Updates an image of a device's base, a raw file or block device, to the device as it is now.
 *
 * Only what differs is written, in ascending order.  Before that, each sector must hold the bytes
 * of the base or already those of now; so an interrupted run can be repeated, and an image of
 * something else is noticed.  First of all a few places that do not differ are compared.  Memory:
 * that of feed.h with 768 KiB a slot, and that of diff.h.
 */
#include "base/meter.h"
#include "volume/copy/copy.h"
#include "volume/image/diff.h"
#include "volume/image/feed.h"

struct update {
	const struct diff *diff;
	struct image_source now, base; /* base.data may be NULL: its bytes are not known any more */
	bool no_check;	  /* do not compare */
	enum copy_sparse sparse;
	const char *base_name; /* for messages */
	struct meter *meter;   /* counts the bytes that differ; or NULL */
};

/*
 * Opens the image at @path for update_run(): it must exist, and be none of @sources.  A file has the size
 * of the base or of now, a device is large enough.  To be closed by output_discard().
 */
int update_open(const char *path, const struct update *u, const char *const *sources,
		size_t nr_sources, struct output *out, struct err *err);

/* -EBADMSG: the image is not one of the base; the text names the place. On the disk when it returns 0. */
int update_run(const struct update *u, struct output *out, struct jobs *jobs, struct err *err);

#endif
