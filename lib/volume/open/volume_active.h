/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_VOLUME_ACTIVE_H
#define VOLUME_VOLUME_ACTIVE_H
/* The part of volume_open() for an active thin device, whose bytes come through the device itself. */
#include "volume/open/volume.h"

/*
 * Call it when the metadata is open.  Sets v->data_path, and bytes of the map are read through the device.  -EBUSY: it is in use, or has other
 * mappings by now; -EINVAL: it is writable.
 */
int volume_open_active(struct volume *v, const struct volume_options *opt, struct err *err);
/* How the device is opened. */
unsigned volume_active_flags(const struct volume *v, const struct volume_options *opt);

#endif
