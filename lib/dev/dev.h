/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef DEV_DEV_H
#define DEV_DEV_H
/*
 * The policy of opening files and block devices, in one place.
 *
 * Block devices are opened with O_DIRECT (the kernel writes pool metadata below
 * the page cache, so a cached read can be stale) and O_EXCL unless
 * DEV_SHARED or DEV_FORCE, files through the page cache.  Anything else (directory, fifo,
 * character device) is refused: -ENODEV "Not a block device or regular file".
 * Files are locked unless DEV_FORCE: exclusively for writing, so that a pool has one writer, shared
 * for reading, so that a reader is told of a writer (lock.h).
 */
#include <string.h>

#include "dev/io.h"

/* For functions that run only a few times: compiled for size. */
#define DEV_ONCE __attribute__((cold))

enum dev_flags {
	DEV_WRITE = 1,	 /* read and write; else read only */
	DEV_SHARED = 2,	 /* no O_EXCL: a device that others may hold, too (data, origins) */
	DEV_BUFFERED = 4, /* no O_DIRECT, also on a block device */
	DEV_FORCE = 8,	 /* no O_EXCL and no lock: the pool is live, or the user demands it */
	DEV_DRY = 16,	 /* refuses what DEV_WRITE refuses, but opens to read only: for a dry run */
};

/*
 * Opens an existing file or block device ("8:16" names a block device, too, and a name of named.h a
 * device made of parts; "-" is standard input, which dev_stdin_as_file() must have prepared, and
 * which cannot be written).  *out is the caller's, io_free() closes it.  -ENOENT, -ENODEV, -EBUSY
 * (in use; for a writer also: another program has the file), -ETXTBSY (for a reader: another
 * program writes the file), ...; the text speaks of an output file when DEV_WRITE is given.
 */
DEV_ONCE int dev_open(const char *path, unsigned flags, struct io **out, struct err *err);

struct stat;
/*
 * stat() of the file or device that dev_open() opens, also by number, but not of a name of named.h.
 * 0 or -errno.
 */
int dev_stat(const char *path, struct stat *st);

/* "-": standard input for a reader, standard output for a writer. */
static inline bool dev_is_standard(const char *path)
{
	return !strcmp(path, "-");
}

/* The path of an output: @path, or for "-" the file that standard output is. */
static inline const char *dev_output_path(const char *path)
{
	return path && dev_is_standard(path) ? "/proc/self/fd/1" : path;
}

/* The name of an input in messages, ... */
static inline const char *dev_shown(const char *path)
{
	return dev_is_standard(path) ? "standard input" : path;
}

/* ... and that of an output. */
static inline const char *dev_shown_output(const char *path)
{
	return dev_is_standard(path) ? "standard output" : path;
}

/*
 * Opens a file, a pipe or standard input ("-") to be read once from its beginning to its end.
 * Returns a descriptor that the caller owns, or -errno: -ENOENT, -EISDIR, ...  text.c
 */
DEV_ONCE int dev_open_text(const char *path, struct err *err);
/*
 * Reads all of it and puts a 0 behind the *@len bytes; free() releases the text.  -EFBIG: more than
 * @max bytes.
 */
DEV_ONCE int dev_read_text(const char *path, size_t max, char **text, size_t *len, struct err *err);

/*
 * Makes a file without a name in $TMPDIR, /var/tmp or /tmp.  Returns a descriptor that the caller
 * owns, or -errno.  standard.c
 */
DEV_ONCE int dev_temp_file(struct err *err);
/*
 * Makes standard input readable at any offset: the data of a pipe or terminal is copied to a
 * temporary file, which becomes standard input.  Reads to the end of the input.  No other thread
 * may use standard input meanwhile.
 */
DEV_ONCE int dev_stdin_as_file(struct err *err);
/* -EDOM: says that standard input, which may be such a copy, cannot be changed in place. */
int dev_no_stdin(struct err *err);
/* -EINVAL when @fd is a terminal.  Writers of binary data ask first. */
int dev_no_terminal(int fd, struct err *err);
/*
 * Would @path, which does not exist, be a file among the device nodes of /dev?  No file should be
 * made there.
 */
bool dev_would_be_device(const char *path);

/* Is @name of the form MAJOR:MINOR, which means a block device where no file has that name? */
bool dev_numbers(const char *name, unsigned *major, unsigned *minor);

/*
 * A path that opens the block device of that number on this machine; the caller frees it.  NULL: no
 * memory.  numbers.c
 */
DEV_ONCE char *dev_path_of_numbers(unsigned major, unsigned minor);
/* Names the device of that number on this machine, as "/dev/mapper/web (/dev/dm-3)". */
DEV_ONCE bool dev_describe_numbers(unsigned major, unsigned minor, char *buf, size_t len);

/*
 * Would writing to one change the other?  The same file or device (also by "MAJOR:MINOR"), a
 * partition and its disk, a loop device and its file, a device of device-mapper and what its table names, two
 * devices with a part in common.  1, 0 or -ENOMEM.  same.c
 */
DEV_ONCE int dev_same(const char *a, const char *b, struct err *err);

/*
 * Do both have the same bytes at the same offsets?  True for one file, device or name of named.h.  False when that is
 * not known: also for two names, and for a device and a part of it.  same.c
 */
bool dev_is_equal(const char *a, const char *b);

/*
 * Is @path a device-mapper device that LVM or Stratis has made (DM uuid "LVM-...", "stratis-...")?
 * They call our commands on such devices, which still hold old data.  dm.c
 */
bool dev_is_handed_over(const char *path);
/* Is it a device of device-mapper?  Is it the pool itself that LVM has activated ("LVM-...-tpool")? */
bool dev_is_mapped(const char *path);
bool dev_is_lvm_pool(const char *path);

/* A file or device and what it is used as: "metadata", "data device", "output", ... */
struct dev_role {
	const char *what;
	const char *path; /* NULL: nothing has this role */
};
/*
 * -EDOM, with both roles in the text, when one file or device (dev_same()) has two roles;
 * -ENOMEM.  This is the one guard of all commands against metadata given as data, or an output that
 * is the input.
 */
DEV_ONCE int dev_roles_apart(const struct dev_role *role, size_t nr, struct err *err);

/* What libblkid finds in @io ("ext4 filesystem", "LVM2_member", "dos partition table"):
 * 1 and the text in @what, 0 when nothing is found, or -errno.  It reads through the descriptor of @io.  probe.c */
int dev_probe(struct io *io, char *what, size_t len, struct err *err);

#endif
