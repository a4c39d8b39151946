/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_LVM_PART_H
#define VOLUME_LVM_PART_H
/*
 * Reads from partition tables where each partition lies.  The type of a partition is ignored: its
 * contents tell what it holds.
 */
#include "dev/io.h"

#define PART_MAX 256

struct part {
	unsigned nr; /* as the kernel numbers it: logical ones from 5 */
	uint64_t start, len; /* bytes */
};

/* Does the sector at @data, of 512 bytes, look like the begin of a disk with partitions? */
bool part_has_table(const void *data);

/*
 * The partitions of @io for logical sectors of @sector bytes (512 or 4096), which an image does not
 * tell.  A GPT counts before an MBR.  Returns how many; a table that is damaged or unreadable has
 * none.
 */
unsigned part_read(struct io *io, unsigned sector, struct part part[PART_MAX]);

#endif
