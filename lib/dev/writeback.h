/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef DEV_WRITEBACK_H
#define DEV_WRITEBACK_H
/*
 * Work for the disk before a flush waits for it.  Threads: any number at once.
 */
#include "dev/io.h"

/*
 * Another @len bytes, the first of them at @at, have been written to @io, and a flush will follow.  Each time
 * *written passes a multiple of 8 MiB, the disk begins to write what the page cache has of that file, while the
 * program goes on.  A hint: the flush still waits for all and tells what failed.
 */
void writeback_add(_Atomic uint64_t *written, struct io *io, uint64_t len, uint64_t at);

#endif
