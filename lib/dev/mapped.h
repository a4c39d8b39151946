/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef DEV_MAPPED_H
#define DEV_MAPPED_H
/*
 * What lies below a device of device-mapper, as the kernel's table of it says.  Threads: any.
 * thin_check is linked with mapped_none.c, where mapped_parts() finds nothing.
 */
#include <stdint.h>
#include <sys/types.h>

/* Is given @len bytes at @at of the block device @dev; @len 0: all from @at on. */
typedef int mapped_fn(void *ctx, dev_t dev, uint64_t at, uint64_t len);

/*
 * Calls @fn for each part of other block devices that bytes [start, end) of @dev may lie on, until it does not
 * return 0.  Never for a thin device and a pool: two thin devices of one pool are two devices.  Nor where @dev is
 * no device of device-mapper, or this process may not ask.  Returns what @fn did, 0 or -ENOMEM.
 */
int mapped_parts(dev_t dev, uint64_t start, uint64_t end, mapped_fn *fn, void *ctx);

/* The same for [start, end) of one line of a table, which has @len bytes.  @params is taken apart. */
int mapped_target(const char *type, char *params, uint64_t len, uint64_t start, uint64_t end,
		  mapped_fn *fn, void *ctx);

#endif
