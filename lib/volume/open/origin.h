/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_ORIGIN_H
#define VOLUME_ORIGIN_H
#include "dev/io.h"

/*
 * Opens an external origin for reading, shared; @flags of dev_open() besides.  Unless @raw an image
 * in a format of virtual machines is refused with the way out: -EINVAL.  Else as dev_open().
 */
int origin_open(const char *path, unsigned flags, bool raw, struct io **out, struct err *err);

/* The name that qemu-img has for the format that @io begins like; NULL: raw bytes. */
int origin_format(struct io *io, const char **name, struct err *err);

#endif
