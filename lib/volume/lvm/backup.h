/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_LVM_BACKUP_H
#define VOLUME_LVM_BACKUP_H
/*
 * LVM's backups of a group's metadata, and the thin pools in them: the text that vgcfgbackup
 * writes, as it lies under /etc/lvm/backup and /etc/lvm/archive.
 */
#include "volume/lvm/vg.h"

/*
 * Reads the group of the file at @path into @arena, where its root goes to @root.  A file that is no
 * such text is -EINVAL with its line.
 */
int lvm_read_backup(const char *path, struct arena *arena, const struct config_node **root,
		    struct err *err);

struct lvm_backup_pool {
	uint64_t transaction;
	uint64_t chunk_size;   /* sectors */
	uint64_t data_sectors; /* size of the pool */
	uint32_t *ids;	       /* of its thin volumes, ascending; the caller's to free */
	size_t nr_ids;
};

/*
 * Finds the thin pool in the file at @path: the one named @name (LV or VG/LV), or the only one.
 * -EINVAL with the names when there are several, -ENODATA when there is none, or the error of
 * reading.
 */
int lvm_backup_pool(const char *path, const char *name, struct lvm_backup_pool *out, struct err *err);

#endif
