/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef BASE_FD_WRITE_H
#define BASE_FD_WRITE_H
#include <stddef.h>

#include "base/err.h"

/*
 * Writes all @len bytes to the descriptor @fd, which @name stands for in messages ("standard
 * output").  Waits where somebody made the descriptor non-blocking (a shared terminal, a pipe).
 * 0 or what write() says: -EPIPE when the reader has closed the pipe, -ENOSPC, ...
 */
int fd_write(int fd, const char *name, const void *data, size_t len, struct err *err);

#endif
