/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_IMAGE_H
#define VOLUME_IMAGE_H
/*
 * An image as bytes: raw, or qcow2 with the chain of its backing files.  Opened for reading, with
 * shared locks.  Threads: one at a time.
 */
#include "dev/io.h"

#define IMAGE_MAX_CHAIN 128 /* files */

struct image_options {
	const char *format; /* "raw", "qcow2"; NULL: by the first bytes */
	bool top;	    /* leave the backing files out; only the size of the first one is asked for */
	unsigned flags;	    /* of dev_open() */
	const char *name;   /* its later name, for messages and backing files; NULL: its path */
};

struct image;

/*
 * The backing file's name counts from the folder of the file that names it.  -EUCLEAN: damaged, or a file
 * is in its own chain; -ENOTSUP: a format or feature that is not understood, by its name.
 */
int image_open(const char *path, const struct image_options *opt, struct image **out,
	       struct err *err);
void image_free(struct image *m);

uint64_t image_size(const struct image *m); /* bytes */
bool image_is_qcow2(const struct image *m);
/* Name of the backing file as the first file gives it, or NULL. */
const char *image_backing(const struct image *m);
/* The files of the chain, the first one first; NULL behind the last. */
const char *image_file(const struct image *m, size_t i);

/*
 * IMAGE_ABSENT only with .top: the backing file would be read there.  Behind its end are zeros,
 * where its size can be learnt.
 */
enum image_kind { IMAGE_ABSENT, IMAGE_ZERO, IMAGE_DATA };

/*
 * Finds the kind of the byte @at and how many bytes follow of the same kind, at most @max.  Checks
 * that they are in the file.
 */
int image_find(struct image *m, uint64_t at, uint64_t max, enum image_kind *kind, uint64_t *len,
	       struct err *err);
/* Absent bytes read as zeros. */
int image_read(struct image *m, void *buf, size_t len, uint64_t at, struct err *err);

#endif
