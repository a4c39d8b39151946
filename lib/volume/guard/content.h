/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_CONTENT_H
#define VOLUME_CONTENT_H
/* What a file or device holds, told by its first block: the kinds that this project knows. */
#include <stdbool.h>

#include "dev/out_file.h"

enum content {
	CONTENT_NOTHING, /* does not exist, is empty, or all zeros; also a pipe or terminal */
	CONTENT_POOL,	 /* a thin pool's superblock, be it damaged */
	CONTENT_FOREIGN, /* the superblock of a cache, an era, ... */
	CONTENT_PACK,
	CONTENT_TABLE,
	CONTENT_XML,
	CONTENT_TEXT, /* of another kind */
	CONTENT_OTHER,
};

/* Devices are looked at in their first block only; a file is all zeros when all of it is. */
int content_of(const char *path, enum content *c, struct err *err);
/* "a table file" */
const char *content_name(enum content c);

/*
 * What the open file @fd begins with, static, when that is not XML: "a gzip file: unpack it first".
 * NULL: it may be XML, or it is empty or a pipe.
 */
const char *content_not_xml(int fd);

/*
 * out_file_open() for a dump.  It may replace only nothing, or text that is no table, unless
 * @force: 0, or -EEXIST with the sentence for the user.
 */
int content_open_text_out(const char *path, bool force, struct out_file **out, struct err *err);

#endif
