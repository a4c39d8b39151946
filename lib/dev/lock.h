/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef DEV_LOCK_H
#define DEV_LOCK_H
/*
 * Locks on regular files, so that a writer is alone and readers see that somebody writes.  They
 * belong to the open file description: fork() keeps them, close() or the end of the program
 * releases them, and two dev_open() of one file in one process exclude each other like two
 * programs.
 */
#include <stdbool.h>

#include "base/err.h"

/*
 * @write: nobody else may have the file; else other readers may.  Waits for half a second at most.  0, also on a
 * filesystem without locks; -ETXTBSY: another program writes (for a reader); -EBUSY: another
 * program reads or writes (for a writer).
 */
int dev_lock(int fd, const char *path, bool write, struct err *err);
/* Releases the locks of dev_lock(). */
void dev_unlock(int fd);

#endif
