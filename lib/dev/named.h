/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef DEV_NAMED_H
#define DEV_NAMED_H
/*
 * Devices that are not files: code that knows their pieces, such as the reader of a table file,
 * gives each a name.  dev_open() and dev_same() then take that name in place of a path,
 * and so does every command.  The names hold for the whole process.
 * Threads: any; a device must not be removed while another thread opens it.
 */
#include "dev/dev.h"

/* Is given [at, at+len) of the file or device at @path. */
typedef int dev_part_fn(void *fn_ctx, const char *path, uint64_t at, uint64_t len);

struct dev_named {
	const char *name; /* lives as long as the struct */
	int (*open)(struct dev_named *d, unsigned flags, struct io **out, struct err *err);
	/*
	 * Calls @fn for each part of other files and devices that stores [at, at+len), until it
	 * does not return 0.  @path of a part may be a name of this list, too.
	 */
	int (*parts)(struct dev_named *d, uint64_t at, uint64_t len, dev_part_fn *fn, void *fn_ctx);
	struct dev_named *next; /* for the list alone */
};

/* @d stays the caller's and does not move in memory until dev_named_remove(). */
void dev_named_add(struct dev_named *d);
void dev_named_remove(struct dev_named *d);

/* The device that was given this name last; NULL: none. */
struct dev_named *dev_named_find(const char *name);

#endif
