/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_ACTIVATE_H
#define VOLUME_ACTIVATE_H
/*
 * Does what the kernel does when a pool's table is loaded and resumed: open the metadata, format it
 * when its first block is zero, let the space maps grow with their devices.
 */
#include "dev/io.h"
#include "pool/edit/edit.h"
#include "volume/open/pool_arg.h"

/*
 * Opens the pool of @arg on @metadata (the caller's) for changes, with the table's sizes when there
 * is a table.  Formatting and growing are committed with the caller's first commit.
 * A device that the table names by number is only formatted with @force.
 * -EINVAL when table and pool do not fit each other; -ENODATA when an unformatted pool has no table
 * that says its block size; else as edit_open().
 */
int activate_pool(const struct pool_arg *arg, struct io *metadata, bool force,
		  struct pool_edit **out, struct err *err);

#endif
