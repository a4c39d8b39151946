/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef DEV_FOLDED_H
#define DEV_FOLDED_H
/* A device of a table that has the same bytes twice.  Threads: any. */
#include "dev/dev.h"

/*
 * -EINVAL: @name, a name of named.h, or a device below it, has two parts that are the same bytes of one file, device or name.  A
 * write to one would change both, so nothing may be written.  0 for a path.
 */
int dev_refuse_folded(const char *name, struct err *err);

#endif
