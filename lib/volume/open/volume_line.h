/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_VOLUME_LINE_H
#define VOLUME_VOLUME_LINE_H
/* The part of volume_open() for POOL_LINE: a volume that is no thin device, and needs no pool. */
#include "volume/open/volume.h"

/*
 * Sets v->other, v->data_path, the map and its size; @arg passes to @v.  -EDOM: an option has a meaning
 * for thin devices only.
 */
int volume_open_line(struct volume *v, const struct volume_options *opt, struct pool_arg *arg,
		     struct err *err);

#endif
