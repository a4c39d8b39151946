/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_CONTENT_H
#define VOLUME_CONTENT_H
/*
 * Recognizes the contents of a file or device by its first block: the kinds that this project
 * knows.
 */
#include <stdbool.h>

#include "dev/io.h"
#include "dev/out_file.h"

enum content {
	CONTENT_NOTHING, /* does not exist, is empty, or all zeros; also a pipe or terminal */
	CONTENT_POOL,	 /* a thin pool's superblock, also a damaged one */
	CONTENT_FOREIGN, /* the superblock of a cache, an era, ... */
	CONTENT_PACK,
	CONTENT_TABLE,
	CONTENT_XML,
	CONTENT_TEXT, /* other text */
	CONTENT_OTHER,
};

/* Of a device only the first block is read; a file counts as zeros only if all of it is zeros. */
int content_of(const char *path, enum content *c, struct err *err);
int content_of_io(struct io *io, enum content *c, struct err *err);
/* The same, by the first block alone: zeros there are CONTENT_NOTHING. */
int content_of_head(struct io *io, enum content *c, struct err *err);
/* May it be the bytes of a disk?  Metadata of any kind, XML and a table file are not. */
bool content_is_disk(enum content c);
/* Is it a block device, or made of pieces, and not a file? */
bool content_is_device(const struct io *io);
/* "a table file" */
const char *content_name(enum content c);
/* -EEXIST, with the sentence that @path holds @what, and how it is overwritten. */
int content_refuse(const char *path, const char *what, struct err *err);

/*
 * The known signature (qcow2, gzip, cache metadata, ...) of @io, a file or device of CONTENT_OTHER.  @name is
 * empty when there is none, or when blocks of a pool's metadata are among the first.
 */
int content_signature(struct io *io, char *name, size_t len, struct err *err);

/*
 * Names the beginning of the open file @fd, static, when it is not XML: "a gzip file: unpack it
 * first".  NULL: it may be XML, or it is empty or a pipe.
 */
const char *content_not_xml(int fd);

/*
 * out_file_open() for a dump.  Without @force it replaces only an empty file, or text that is not a
 * table.  0, or -EEXIST with the sentence for the user.  @out NULL, for a dry run: only checks.
 */
int content_open_text_out(const char *path, bool force, struct out_file **out, struct err *err);

#endif
