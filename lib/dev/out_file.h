/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef DEV_OUT_FILE_H
#define DEV_OUT_FILE_H
/*
 * A file that a command writes as its result (a dump, a pack): either the whole new
 * content stands under the name, or what was there before.
 *
 * A regular file is written without a name in the same folder and takes the name when it is
 * complete and on stable storage; a temporary name that it needs before that is noted in
 * base/leftover.h.  Anything else (a pipe, a terminal, /dev/full) is written
 * directly.  The new file has the owner and the mode of the one that it replaces.  Refused: block
 * devices, since nothing that writes through this is meant for a disk, symbolic links that lead
 * nowhere, and new names in /dev.
 */
#include "dev/io.h"

struct out_file;

/*
 * Creates or will replace @path; "-" is standard output.  -EISDIR, -ENOTBLK for a block device,
 * -ENODEV for a new name in /dev, or what open() says.
 */
int out_file_open(const char *path, struct out_file **out, struct err *err);
/*
 * The same for what must not exist: a file that comes up meanwhile is kept, and
 * out_file_commit() returns -EEXIST.
 */
int out_file_new(const char *path, struct out_file **out, struct err *err);
/* Could out_file_new() make it?  Nothing is made. */
int out_file_check_new(const char *path, struct err *err);
int out_file_fd(const struct out_file *f);
/*
 * The file as an io of @size bytes that read as zeros, for what is not written in order; by
 * io_free() before the file is committed or aborted.  What is no regular file gets the bytes from a
 * temporary one when it is committed; a terminal is refused.  NULL: err->code says why.
 */
struct io *out_file_io(struct out_file *f, uint64_t size, struct err *err);
/* Flushes and gives it its name; @f is gone, whatever is returned. */
int out_file_commit(struct out_file *f, struct err *err);
/* out_file_commit() when @code is not negative, else out_file_abort().  @code, or why it failed. */
int out_file_close(struct out_file *f, int code, struct err *err);
/* Drops what was written; nothing happens to what stands under the name.  NULL is taken. */
void out_file_abort(struct out_file *f);

#endif
