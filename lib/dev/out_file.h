/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef DEV_OUT_FILE_H
#define DEV_OUT_FILE_H
/*
 * A file that a command writes as its result (a dump, a pack): afterwards the name stands for the
 * whole new content or for the old file.
 *
 * A regular file is written without a name in the same folder and takes the name when it is
 * complete and on stable storage; a temporary name that it needs before that is noted in
 * base/leftover.h.  Anything else (a pipe, a terminal, /dev/full) is written directly.  The new
 * file has the owner and the mode of the one that it replaces.  Refused: block devices, because
 * nothing that is written through this is meant for a disk, symbolic links without a target, and
 * new names in /dev.
 */
#include "dev/io.h"

struct out_file;

/*
 * Begins a file that out_file_commit() will put at @path; "-" is standard output.  -EISDIR,
 * -ENOTBLK for a block device, -ENODEV for a new name in /dev, or what open() says.
 */
int out_file_open(const char *path, struct out_file **out, struct err *err);
/*
 * The same for a path that must not exist.  If a file is made there meanwhile, it is kept, and
 * out_file_commit() returns -EEXIST.
 */
int out_file_new(const char *path, struct out_file **out, struct err *err);
/* Checks for a dry run whether out_file_open() would succeed, and makes nothing; a fifo is not opened. */
int out_file_check(const char *path, struct err *err);
int out_file_fd(const struct out_file *f);
/*
 * The file as an io of @size bytes that read as zeros, for contents not written in order.  Call
 * io_free() before the file is committed or aborted.  An output that is not a regular file gets its
 * bytes from a temporary file at the commit; a terminal is refused.  @out is NULL on failure.
 */
int out_file_io(struct out_file *f, uint64_t size, struct io **out, struct err *err);
/* Flushes the file and gives it its name.  Frees @f, also on failure. */
int out_file_commit(struct out_file *f, struct err *err);
/*
 * out_file_commit() when @code is not negative, else out_file_abort().  Returns @code, or the error
 * of the commit.
 */
int out_file_close(struct out_file *f, int code, struct err *err);
/* Drops what was written; the file at the path is unchanged.  NULL is allowed. */
void out_file_abort(struct out_file *f);

#endif
