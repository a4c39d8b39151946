/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef NBDKIT_EXPORTS_H
#define NBDKIT_EXPORTS_H
/*
 * Devices of the pool under the names that clients ask for.  A device is opened when a client first
 * asks for it, and stays open until the end; connections to the same name share it.  Threads: with
 * thin.lock held, but before the first connection and after the last.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "dev/dev.h"
#include "volume/open/origin.h"
#include "volume/target/target.h"

/* A device under one name. */
struct export {
	struct export *next;
	char *name;
	struct io *origin;
	struct target_dev *dev;
	bool read_only; /* other devices stand on it as their external origin, or LVM has it read-only */
};

/* nbdkit has one instance of a plugin in a process. */
struct served {
	char *pool, *pool_name, *data_dev, *origin, *device; /* parameters */
	char *pv[LVM_MAX_PVS]; /* the same as in @lvm, to be freed */
	size_t nr_pvs;
	struct lvm_words lvm;
	uint64_t size;
	bool read_only, origin_raw, force, force_share;
	struct pool_arg arg;
	struct target *target;
	struct ticker *ticker;
	atomic_bool used; /* a client may have written; until then there is nothing to commit */
	bool *missing; /* lines of the table whose device is not in the pool */
	pthread_mutex_t lock; /* exports */
	struct export *exports;
};
extern struct served thin;

/* Logs a note as an error, since nbdkit logs nothing else in the background.  @ctx is not used. */
void exports_tell(void *ctx, const char *text);
/*
 * Makes of a parameter's word what opens it from any folder: a file's path or, where there is no file,
 * the name of the table's line.  NULL stays.
 */
int exports_find_path(char **word, struct err *err);
/* -EINVAL with a text: @origin (NULL: none) or another file stands in two roles. */
int exports_check_roles(const char *origin, struct err *err);
/* The export that an empty name selects; NULL: none. */
const char *exports_default_name(void);
/* The device that @name ("" for the default) shows, opened; -ENOENT with a text. */
int exports_find(const char *name, struct export **out, struct err *err);
/* Notes and logs which devices of the table are not in the pool.  The others are served. */
int exports_find_missing(void);
void exports_free(void);

#endif
