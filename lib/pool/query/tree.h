/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_TREE_H
#define POOL_TREE_H
/*
 * The devices of a pool, each snapshot below its origin: one line for each device, with its sizes
 * and a bar.
 */
#include "base/text/outbuf.h"
#include "pool/query/list.h"

/*
 * Adds the lines to @out.  @l: read with LIST_ALL, its rows not sorted again.  @block_size: sectors.  With out->exact sizes are
 * numbers of bytes.
 */
void list_tree(const struct list *l, uint32_t block_size, bool headings, struct outbuf *out);

#endif
