/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H
/*
 * How far a long command is.  On a terminal a line appears on stderr after a second, as wide as
 * the terminal is at that moment, and vanishes at the end; not with --quiet or --no-progress, nor
 * in the background.  --progress-fd N gets lines "DONE TOTAL" in bytes (TOTAL 0: not known), the
 * last one at the end.  At most ten updates a second, by a thread that nobody has without a reader.
 */
#include "base/meter.h"
#include "cli/cli.h"

struct progress;

/* @title: "reading", one word before the numbers.  NULL: nobody looks; all functions take it. */
struct progress *progress_new(struct cli *c, const char *title, uint64_t total);
void progress_add(struct progress *p, uint64_t bytes);
/* What others may count with; NULL for NULL. */
struct meter *progress_meter(struct progress *p);
/* What is done is where the file offset of @fd stands; total is its size.  False: it is no file. */
bool progress_follow(struct progress *p, int fd);
void progress_free(struct progress *p);

#endif
