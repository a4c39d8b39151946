/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef DEV_PART_H
#define DEV_PART_H
/*
 * Files and block devices of which several devices of one process are parts: a disk image that holds
 * a pool's metadata and its data.  Each is opened once, since a lock or O_EXCL of ours would keep
 * ourselves out.
 * Threads: any.
 */
#include "dev/io.h"

struct dev_part;

/*
 * As dev_open(), for a path that is no name of named.h.  Where the process has the file already for
 * reading, and it is now to be written, its lock is taken anew.  dev_part_put() undoes it.
 */
int dev_part_open(const char *path, unsigned flags, struct dev_part **out, struct err *err);
void dev_part_put(struct dev_part *p);

/* Lives as long as @p. */
struct io *dev_part_io(const struct dev_part *p);

#endif
