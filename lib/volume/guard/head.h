/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_HEAD_H
#define VOLUME_HEAD_H
/* Judges the first bytes of a file or device. */
#include <stdbool.h>
#include <stddef.h>

struct head {
	unsigned char *data; /* at most MBLOCK_SIZE bytes */
	size_t len;
};

/* All zeros, and at least one. */
bool head_is_zero(const struct head *h);
/*
 * Text has no control characters but white space; bytes above 127 may be UTF-8.  One other byte all over is none: badblocks and
 * erased flash leave that.
 */
bool head_is_text(const struct head *h);
/* Text whose first character is '<', in 8-bit or 16-bit characters. */
bool head_is_xml(const struct head *h);
/* Text with a line of a dm table that is of a thin pool or a thin device. */
bool head_is_table(const struct head *h);

#endif
