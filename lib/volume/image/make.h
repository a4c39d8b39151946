/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_MAKE_H
#define VOLUME_MAKE_H
/*
 * An image of a thin device in any form: raw, qcow2, rbd diff; whole, or what differs from a base.
 * In three steps: open, which makes all refusals before the first write; run; close.
 */
#include "base/sum/sha256.h"
#include "volume/copy/copy.h"
#include "volume/image/backing.h"
#include "volume/compress/compress.h"
#include "volume/image/since.h"

enum make_format { MAKE_RAW, MAKE_QCOW2, MAKE_RBD };

struct make_options {
	enum make_format format;
	const char *backing; /* FILE[,FORMAT]; NULL: none */
	enum compression compress; /* qcow2 */
	bool no_check_base, verify, digest;
	const char *from_snap, *to_snap; /* of an rbd diff; NULL: the base's name, the device's */
	struct copy_options copy;     /* .reflink and .sparse */
	struct output_options output; /* .force, .target_is_zero, .dry_run */
	/* A step begins: "checking", "copying", "verifying", "digesting".  Returns what counts its bytes, or NULL. */
	struct meter *(*step)(void *ctx, const char *title, uint64_t total);
	void *ctx;
};

struct make {
	const struct make_options *opt;
	struct volume *now;
	const struct since *since;
	const char *device; /* as the user names it */
	struct output out;
	struct backing backing;
	bool updates; /* an image that exists */
	struct diff_summary differs;
	struct sha256 sha;
	char base_sha256[SHA256_TEXT], sha256[SHA256_TEXT]; /* with .digest, after make_run(); "": not known */
};

/* @pool and @device: the words of the user.  To be closed also after a failure. */
int make_open(struct make *m, const char *path, const char *pool, const char *device,
	      struct volume *now, const struct since *s, const struct make_options *opt,
	      struct jobs *jobs, struct err *err);
/* Makes the image.  When it returns 0, the image is on the disk and has its name; a file has none otherwise. */
int make_run(struct make *m, struct jobs *jobs, struct err *err);
void make_close(struct make *m);

#endif
