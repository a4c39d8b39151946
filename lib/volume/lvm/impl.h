/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_LVM_IMPL_H
#define VOLUME_LVM_IMPL_H
/* What the room's files share. */
#include "volume/lvm/lvm.h"

/* Fills l->path from the options' paths: folders and patterns become what they hold.  paths.c */
int lvm_find_paths(struct lvm *l, const struct lvm_options *opt, struct err *err);

/* Fills l->pv and l->text: reads every disk, its partitions and their areas.  gather.c */
int lvm_gather(struct lvm *l, const struct lvm_options *opt, struct err *err);

/* Adds the text of the file @path.  gather.c */
int lvm_add_backup(struct lvm *l, const char *path, struct err *err);

__attribute__((format(printf, 2, 3))) void lvm_tell(const struct lvm_options *opt, const char *fmt, ...);

#endif
