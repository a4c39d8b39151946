/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_POOL_LVM_H
#define VOLUME_POOL_LVM_H
/*
 * A POOL argument that is a disk with LVM on it or in a partition of it, an image of one, or a folder
 * of images: its groups become a table in memory, the same that thin_lvm prints.  A command chooses
 * one of these functions as pool_want.disk.
 */
#include "volume/open/pool_want.h"

/*
 * Reads LVM's metadata here.  -EUCLEAN: there is no PV, or no good text; else as lvm_open() and
 * table_parse() fail.
 */
int pool_lvm_table(const char *path, const struct pool_want *want, struct table **out, struct err *err);
/*
 * The same by running thin_lvm, which stands beside the command or in the PATH: for commands that
 * must stay small.  pool_lvm_run.c
 */
int pool_lvm_run(const char *path, const struct pool_want *want, struct table **out, struct err *err);

#endif
