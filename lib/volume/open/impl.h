/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_OPEN_IMPL_H
#define VOLUME_OPEN_IMPL_H
/* What the room's files share. */
#include "volume/open/table.h"

/*
 * The second half of table_read(), over all lines: names stand once, each thin line gets its
 * pool, one pool is chosen, its devices come first.  table_choose.c
 */
int table_choose(struct table *t, const struct pool_want *want, struct err *err);

#endif
