/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_ORIGIN_H
#define VOLUME_ORIGIN_H
#include "dev/io.h"

/*
 * Opens an external origin for reading, shared, with further @flags of dev_open().  What origin_format() finds
 * is refused unless @raw: -EINVAL, and the text says what to do.  Else as dev_open().
 */
int origin_open(const char *path, unsigned flags, bool raw, struct io **out, struct err *err);

/*
 * What the first bytes of @io show that is not the raw bytes of a disk: either @name, a format as
 * qemu-img calls it, or @packed, "a gzip file: unpack it first" or, of a file, "thin pool metadata"; both static.  Both
 * NULL: raw bytes.
 */
int origin_format(struct io *io, const char **name, const char **packed, struct err *err);

#endif
