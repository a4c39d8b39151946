/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H
/*
 * Shows how far a long command is.  On a terminal a line appears on stderr after a second.  It is
 * as wide as the terminal is at that moment and vanishes at the end.  --quiet, --no-progress and
 * running in the background turn the line off.  --progress-fd N gets lines "DONE TOTAL" in bytes
 * (TOTAL 0: not known), the last one at the end.  A thread makes at most ten updates a second; it
 * is started only when there is a reader.
 */
#include "base/meter.h"
#include "cli/cli.h"

struct progress;

/*
 * @title: "reading", one word before the numbers.  NULL: nothing is shown; all functions below take
 * NULL.
 */
struct progress *progress_new(struct cli *c, const char *title, uint64_t total);
void progress_add(struct progress *p, uint64_t bytes);
/* The meter that the work adds to; NULL for NULL. */
struct meter *progress_meter(struct progress *p);
/*
 * Takes the file offset of @fd as what is done, and the size of the file as the total.  False: @fd
 * is not a file.
 */
bool progress_follow(struct progress *p, int fd);
void progress_free(struct progress *p);

#endif
