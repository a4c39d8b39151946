/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_TABLE_LIST_H
#define VOLUME_TABLE_LIST_H
/* Takes from a table what it says about the devices of a list: names, lengths, external origins. */
#include "pool/query/list.h"
#include "volume/table/table.h"

/*
 * Fills it into @l.  Gives the number of devices that have no line in @t, and in *@first the id of the
 * first one.  The names belong to @t.
 */
size_t table_fill_list(const struct table *t, struct list *l, uint32_t *first);

#endif
