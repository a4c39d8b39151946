/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_LIVE_DM_H
#define VOLUME_LIVE_DM_H
/* Questions to device-mapper, one ioctl each. */
#include <sys/types.h>

#include "base/err.h"
#include "base/units.h"

/* A device with its first target. */
struct dm_device {
	dev_t dev;
	char *name;   /* as below /dev/mapper */
	char *uuid;
	unsigned nr_targets;
	char *type;   /* NULL: it has no target */
	char *params; /* "" at least */
	sector_t length;
	unsigned open_count;
	bool read_only;
};

/* By name where @name is not NULL.  -ENXIO: no such device of device-mapper. */
int dm_table(const char *name, dev_t dev, struct dm_device *out, struct err *err);
/* The same with the target's status in .params. */
int dm_status(dev_t dev, struct dm_device *out, struct err *err);
void dm_device_fini(struct dm_device *d);
int dm_message(dev_t dev, const char *message, struct err *err);
/* Calls @fn for each device's name and number until it returns other than 0. */
int dm_each(int (*fn)(void *ctx, dev_t dev, struct err *err), void *ctx, struct err *err);

#endif
