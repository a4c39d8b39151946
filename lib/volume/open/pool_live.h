/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_POOL_LIVE_H
#define VOLUME_POOL_LIVE_H
/*
 * A POOL argument that is active: thin_lvm asks the kernel for its table, and keeps a metadata
 * snapshot reserved while it is needed.  A separate process does this, because a snapshot that is
 * never released costs the pool space for ever: thin_lvm releases it as soon as this process ends,
 * however that happens.  There is at most one such process.  Threads: one.
 */
#include "volume/open/pool_want.h"

/*
 * pool_want.live.  *out is NULL when @path is not active, or is a thin device and want->active_thin is
 * not set.  -EINVAL: it must be active and is not.  @unknown: pool_want.live says.
 */
int pool_live_table(const char *path, const struct pool_want *want, bool unknown, struct table **out,
		    struct err *err);
/*
 * pool_want.live of what cannot read an active pool: -EBUSY, with the ways out, where @path is one.
 * *out is NULL.
 */
int pool_live_refuse(const char *path, const struct pool_want *want, bool unknown, struct table **out,
		     struct err *err);
/* Can @path mean something active?  For a command line that means other things, too. */
bool pool_live_may_be(const char *path);

#endif
