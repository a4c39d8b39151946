/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_POOL_WANT_H
#define VOLUME_POOL_WANT_H
#include "base/lvm_words.h"
#include "volume/table/table.h"

/* How to take a POOL argument.  All zero: the only pool of a table or of metadata, for reading, silently. */
struct pool_want {
	struct table_want table; /* of a table; .tell takes all warnings and notes */
	bool damaged;	    /* the whole device will be searched: foreign contents are accepted */
	/* makes a table of a disk with LVM: one of the functions of pool_lvm.h; NULL: disks are refused */
	int (*disk)(const char *path, const struct pool_want *want, struct table **out, struct err *err);
	const struct lvm_words *lvm; /* options for @disk and @live; or NULL */
	/*
	 * pool_live_table(), which makes a table of an active pool; or NULL.  It is called twice: at first,
	 * and when the file or device is there and its content is @unknown.
	 */
	int (*live)(const char *path, const struct pool_want *want, bool unknown, struct table **out,
		    struct err *err);
	/*
	 * The command prints: standard output must be none of the pool's files.  "thin_dump POOL >POOL": the shell does not
	 * empty a device, and the text would lie over its pool.
	 */
	bool prints;
	const char *output; /* the same of an output, which must be none of LVM's disks, of whatever group; or NULL */
	const char *progress; /* the same of the file or device that gets progress lines; or NULL */
	bool active_thin; /* POOL is an active thin device, whose pool is meant */
};

#endif
