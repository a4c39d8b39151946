/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_VGBACKUP_H
#define POOL_VGBACKUP_H
/*
 * What LVM remembers of its thin pools: the text that vgcfgbackup writes and that lies under
 * /etc/lvm/backup and /etc/lvm/archive.
 */
#include "base/err.h"
#include "base/units.h"

struct vg_pool {
	char name[129]; /* of the logical volume */
	uint64_t transaction;
	uint64_t chunk_size;   /* sectors */
	uint64_t data_sectors; /* size of the pool */
};

/*
 * Finds the thin pool in the file at @path: the one named @name, or the only one.
 * -EINVAL with the names when there are several, -ENOENT when there is none, or the error of
 * reading; a file that is no such text is -EINVAL.
 */
int vgbackup_read(const char *path, const char *name, struct vg_pool *out, struct err *err);

#endif
