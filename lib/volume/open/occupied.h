/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef POOL_OCCUPIED_H
#define POOL_OCCUPIED_H
#include "base/err.h"
#include "base/units.h"

/*
 * Does the file or device at @path hold something that somebody may miss?  The superblock
 * of a thin pool, a cache or an era ("metadata"), or on a block device what libblkid finds.
 * 1 and the word in @what, 0: no (also when it does not exist), or -errno.
 */
int occupied_by(const char *path, char *what, size_t len, struct err *err);

#endif
