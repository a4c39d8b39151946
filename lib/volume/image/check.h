/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_IMAGE_CHECK_H
#define VOLUME_IMAGE_CHECK_H
/* Checks whether an image holds the base of a difference. */
#include "volume/image/diff.h"
#include "volume/image/feed.h"

/* How the image is read. */
typedef int check_read_fn(void *ctx, void *buf, size_t len, uint64_t at, struct err *err);

struct base_check {
	const struct diff *diff;
	struct image_source now, base; /* base.data NULL: its bytes are not known any more */
	bool origin_too; /* the origin's bytes must be in the image, too */
	check_read_fn *read;
	void *ctx;
	const char *path, *base_name; /* for messages */
};

/*
 * Compares up to CHECK_PLACES places that do not differ.  -EBADMSG: the image holds something else.
 * One walk of the difference.
 */
#define CHECK_PLACES 64
int check_unchanged(const struct base_check *c, struct err *err);

/* Compares all that differs with the base's bytes. */
int check_changed(const struct base_check *c, struct jobs *jobs, struct err *err);

/* Where @a and @b differ first, which do differ. */
uint64_t check_first_difference(const uint8_t *a, const uint8_t *b);

/* Makes the error for byte @at. */
int check_failed(const char *path, const char *base_name, uint64_t at, struct err *err);

#endif
