/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_THIN_IO_H
#define VOLUME_THIN_IO_H
/*
 * A thin device as an io below other devices: the external origin of a device of another pool.  Its
 * extents become the pieces of a stack, 56 bytes each, so reading it costs no look at its metadata.
 */
#include "volume/table/table.h"

/* For table_want.open_thin.  Fails as pool_source_open_arg() and dev_open() do; -ENODATA: no such device. */
int thin_io_open(struct table *t, const struct table_thin *d, unsigned flags, struct io **out,
		 struct err *err);

#endif
