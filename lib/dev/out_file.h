/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DEV_OUT_FILE_H
#define DEV_OUT_FILE_H
/*
 * A file that a command writes as its result (a dump, a pack): either the whole new
 * content stands under the name, or what was there before.
 *
 * A regular file is written without a name in the same folder and takes the name when it is
 * complete and on stable storage.  Anything else (a pipe, a terminal, /dev/full) is written
 * directly.  The new file has the owner and the mode of the one that it replaces.  Block devices are refused: nothing that writes through this is meant for a disk.
 */
#include "dev/io.h"

struct out_file;

/* Creates or will replace @path.  -EISDIR, -ENOTBLK for a block device, or what open() says. */
int out_file_open(const char *path, struct out_file **out, struct err *err);
int out_file_fd(const struct out_file *f);
/*
 * The file as an io of @size bytes that read as zeros, for what is not written in order; by
 * io_free() before the file is committed or aborted.  NULL: err->code says why.
 */
struct io *out_file_io(struct out_file *f, uint64_t size, struct err *err);
/* Flushes and gives it its name; @f is gone, whatever is returned. */
int out_file_commit(struct out_file *f, struct err *err);
/* Drops what was written; nothing happens to what stands under the name.  NULL is taken. */
void out_file_abort(struct out_file *f);

#endif
