/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_LIVE_H
#define VOLUME_LIVE_H
/*
 * An active thin pool as the kernel has it: tables and messages, through libdevmapper.  thin_lvm alone
 * links this room; the other commands run thin_lvm (volume/open/pool_live.h).
 *
 * Built without libdevmapper, live_open() says so: none.c.  Threads: one in the process, which is
 * libdevmapper's rule.
 */
#include "base/err.h"
#include "base/text/outbuf.h"

struct live;

/*
 * @word: an active pool, a device that lies over the whole of one (LVM's VG-POOL), a thin device, or
 * the metadata device of an active pool; a path, or LVM's name VG/LV, also with /dev/ in front.
 * -ENOENT: there is no such device; -ENODATA: it is none of these; -ENOTSUP: built without
 * libdevmapper; -EPERM, ...: device-mapper cannot be asked.
 */
int live_open(const char *word, struct live **out, struct err *err);
void live_free(struct live *l);

/*
 * The pool's metadata snapshot.  Reserving commits what the pool has in memory.  -EBUSY: one is held
 * already; else what the kernel answers.
 */
int live_reserve(const struct live *l, struct err *err);
int live_release(const struct live *l, struct err *err);

/*
 * A table file: the pool and all of its active thin devices.  Where live_open() was given a thin
 * device, a comment says how it is used:
 *
 *	# active thin device NAME: PATH, open N, writable, mapped SECTORS
 *
 * or read-only.  SECTORS is what the kernel says now, so it belongs behind live_reserve().
 */
int live_write_table(const struct live *l, struct outbuf *out, struct err *err);

#endif
