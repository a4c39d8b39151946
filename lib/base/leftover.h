/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef BASE_LEFTOVER_H
#define BASE_LEFTOVER_H
/*
 * Names of files that must not outlive the process when a signal ends it.  Any thread; the names
 * belong to the caller and stay until leftover_keep().
 */
#include <stdbool.h>

#define LEFTOVER_MAX 8 /* more are not noted */

void leftover_note(const char *path);
/* Forgets @path: the file is complete, renamed or gone. NULL is allowed. */
void leftover_keep(const char *path);
/* Removes the files noted. A signal's handler may call it. */
void leftover_remove(void);
/*
 * A complete file has its name: whatever was to be said of it after a signal is not true any more.  Signals are to be held from
 * before the renaming until this returns.
 */
void leftover_named(void);
/* Was it called?  A signal's handler may ask. */
bool leftover_is_named(void);

#endif
