/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef DEV_PART_H
#define DEV_PART_H
/*
 * Files and block devices that hold several devices of this process: a disk image with a pool's
 * metadata and data.  Each is opened once, because our own lock or O_EXCL would refuse a second
 * open.  Threads: any.
 */
#include "dev/io.h"

struct dev_part;

/*
 * As dev_open(), for a path that is not a name of named.h.  When the process has the file open for
 * reading and wants to write it, the lock is taken anew.  dev_part_put() undoes it.
 */
int dev_part_open(const char *path, unsigned flags, struct dev_part **out, struct err *err);
void dev_part_put(struct dev_part *p);

/* Lives as long as @p. */
struct io *dev_part_io(const struct dev_part *p);

#endif
