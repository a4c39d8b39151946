/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef BASE_FD_H
#define BASE_FD_H
#include <stddef.h>

#include "base/err.h"

/*
 * Writes all @len bytes to the descriptor @fd, which @name stands for in messages ("standard
 * output").  Waits where somebody made the descriptor non-blocking (a shared terminal, a pipe).
 * 0 or what write() says: -EPIPE when the reader has closed the pipe, -ENOSPC, ...
 */
int fd_write(int fd, const char *name, const void *data, size_t len, struct err *err);

/*
 * Gives the file that was opened as @fd a number above 2, and returns that, or -1 with errno.  When a
 * command starts with standard input, output or error closed, the next file that it opens gets that
 * number: messages would be written into it.
 */
int fd_not_standard(int fd);
/* pipe() whose two descriptors are above 2 and closed by exec.  0 or -errno. */
int fd_pipe(int fd[2]);
/* A copy of @fd with a number above 2 that is closed by exec, or -1 with errno. */
int fd_copy(int fd);

#endif
