/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_ORIGIN_H
#define VOLUME_ORIGIN_H
#include "dev/io.h"

/*
 * Opens an external origin for reading, shared, with further @flags of dev_open().  An image in a
 * format of virtual machines is refused unless @raw: -EINVAL, and the text says what to do.  Else as
 * dev_open().
 */
int origin_open(const char *path, unsigned flags, bool raw, struct io **out, struct err *err);

/* The format that the first bytes of @io show, as qemu-img calls it; NULL: raw bytes. */
int origin_format(struct io *io, const char **name, struct err *err);

#endif
