/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_RUN_LVM_H
#define VOLUME_RUN_LVM_H
/* thin_lvm as a program of its own, which prints a table. */
#include <sys/types.h>

#include "base/err.h"
#include "base/text/outbuf.h"

struct run_lvm {
	const char *const *argv; /* with "thin_lvm" in front and NULL behind */
	int in, errors; /* what becomes its standard input and standard error; -1: this program's */
	int out;	/* private: its standard output is read from here; -1 when it has been closed */
	pid_t pid;
};

/* Starts the thin_lvm that stands beside this program, else the one in the PATH.  -ENOENT: there is none. */
int run_lvm_start(struct run_lvm *run, struct err *err);
/* All that it prints, until it closes its standard output. */
int run_lvm_read(struct run_lvm *run, struct outbuf *text, struct err *err);
/* Waits for its end: its exit code, or -1 when it was killed. */
int run_lvm_wait(struct run_lvm *run);

#endif
