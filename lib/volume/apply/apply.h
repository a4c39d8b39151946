/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_APPLY_H
#define VOLUME_APPLY_H
/*
 * Applies an rbd diff, a qcow2 image or a raw image to a place.  An input that can be read twice is
 * checked before the first write: its structure and its size.  Only the input's bytes are written,
 * in its order, so the same input can be applied again after an interruption.  Memory: 2 MiB, and
 * that of image.h and target.h.  Threads: one.
 */
#include "base/meter.h"
#include "volume/apply/place.h"

enum apply_format { APPLY_BY_LOOKS, APPLY_RAW, APPLY_QCOW2, APPLY_RBD };

struct apply_source;

/*
 * @path "-": standard input.  Finds out its format, and reads it through if it is no pipe.
 * -EINVAL, -ENODATA (it was cut off), -EUCLEAN, -ENOTSUP with the reason; -EDOM: its format is not
 * known.
 */
int apply_source_open(const char *path, enum apply_format format, bool top, struct apply_source **out,
		      struct err *err);
void apply_source_close(struct apply_source *s);

/* The size in bytes of the resulting image; 0: not known. */
uint64_t apply_source_size(const struct apply_source *s);
/* Does it hold the whole image, and not only a difference? */
bool apply_source_is_whole(const struct apply_source *s);
/* The files that are read; NULL behind the last. */
const char *apply_source_file(const struct apply_source *s, size_t i);
uint64_t apply_source_len(const struct apply_source *s); /* bytes to go through; 0: not known */

struct apply_options {
	const char *base_sha256; /* what the place must hold before; NULL: anything */
	const char *sha256;	 /* what it must hold afterwards */
	struct meter *meter;
	bool dry_run;
	void (*tell)(void *ctx, const char *text); /* takes a note; or NULL */
	void (*left)(void *ctx, const char *text); /* takes what an interruption leaves from now on; or NULL */
	void *ctx;
};

/*
 * -EBADMSG: the base or the result has another digest.  -ENODATA: the stream ended too early, and
 * the text says what was applied.  When it returns 0 everything is on the disk.
 */
int apply_run(struct apply_source *s, struct place *p, const struct apply_options *opt,
	      struct err *err);

#endif
