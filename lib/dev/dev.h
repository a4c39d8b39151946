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

/* Called a few times in a run: small is better than fast. */
#define DEV_ONCE __attribute__((cold))

enum dev_flags {
	DEV_WRITE = 1,	 /* read and write; else read only */
	DEV_SHARED = 2,	 /* no O_EXCL: a device that others may hold, too (data, origins) */
	DEV_BUFFERED = 4, /* no O_DIRECT, also on a block device */
	DEV_FORCE = 8,	 /* no O_EXCL and no lock: the pool is live, or the user wants it so */
};

/*
 * Opens an existing file or block device ("8:16" names one too, and a name of named.h a device made of
 * parts; "-" is standard input, which dev_stdin_as_file() must have prepared, and which cannot be
 * written).  *out is the caller's, io_free() closes it.  -ENOENT, -ENODEV, -EBUSY (in use; for a writer also: another program has
 * the file), -ETXTBSY (for a reader: another program writes the file), ...; the text
 * speaks of an output file when DEV_WRITE is given.
 */
DEV_ONCE int dev_open(const char *path, unsigned flags, struct io **out, struct err *err);

struct stat;
/* stat() of what dev_open() opens, also by number; no name of named.h.  0 or -errno. */
int dev_stat(const char *path, struct stat *st);

/* "-": standard input where something is read, standard output where something is written. */
static inline bool dev_is_standard(const char *path)
{
	return !strcmp(path, "-");
}

/* What opens an output: @path, or where standard output leads, which a shell may have opened anywhere. */
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
 * Opens what is read from its beginning to its end: a file, a pipe, or standard input ("-").  The
 * caller's descriptor, or -errno: -ENOENT, -EISDIR, ...  text.c
 */
DEV_ONCE int dev_open_text(const char *path, struct err *err);
/* All of it, with a 0 behind the *@len bytes; free() releases it.  -EFBIG: more than @max bytes. */
DEV_ONCE int dev_read_text(const char *path, size_t max, char **text, size_t *len, struct err *err);

/* A file without a name in $TMPDIR, /var/tmp or /tmp: the caller's descriptor, or -errno.  standard.c */
DEV_ONCE int dev_temp_file(struct err *err);
/*
 * Makes standard input something that can be read anywhere and again: what comes through a pipe or
 * from a terminal goes into a temporary file, which becomes standard input.  Reads to its end; threads
 * must not use standard input meanwhile.
 */
DEV_ONCE int dev_stdin_as_file(struct err *err);
/* -EINVAL when @fd is a terminal: for what writes binary data. */
int dev_no_terminal(int fd, struct err *err);
/* @path does not exist: would it stand among the device nodes of /dev, where no file is to be made? */
bool dev_would_be_device(const char *path);

/* Is @name of the form MAJOR:MINOR, which means a block device where no file has that name? */
bool dev_numbers(const char *name, unsigned *major, unsigned *minor);

/* What opens the block device of that number here; the caller's.  NULL: no memory.  numbers.c */
DEV_ONCE char *dev_path_of_numbers(unsigned major, unsigned minor);
/* What the device of that number is on this machine, as "/dev/mapper/web (/dev/dm-3)". */
DEV_ONCE bool dev_describe_numbers(unsigned major, unsigned minor, char *buf, size_t len);

/* Is @path a block device that is mounted or otherwise in use? 1, 0 or -errno. */
DEV_ONCE int dev_in_use(const char *path, struct err *err);

/*
 * Would writing to one change the other?  The same file or device (also by "MAJOR:MINOR"), a
 * partition and its disk, a loop device and its file, two devices with a part in common.  1, 0 or
 * -ENOMEM.  same.c
 */
DEV_ONCE int dev_same(const char *a, const char *b, struct err *err);

/*
 * Is @path a device-mapper device that LVM or Stratis has made (DM uuid "LVM-...", "stratis-...")?
 * They hand such devices to our commands with whatever bytes they held before.  dm.c
 */
bool dev_is_handed_over(const char *path);

/* What a file or device is used as: "metadata", "data device", "output", ... */
struct dev_role {
	const char *what;
	const char *path; /* NULL: nothing has this role */
};
/*
 * -EINVAL (or -ENOMEM) with the two roles when one file or device (dev_same()) has two of them.  The one guard
 * of all commands: metadata given as data, the input as the output.
 */
DEV_ONCE int dev_roles_apart(const struct dev_role *role, size_t nr, struct err *err);

/* What libblkid finds on @path ("ext4 filesystem", "LVM2_member", "dos partition table"):
 * 1 and the text in @what, 0 when nothing is found, or -errno.  probe.c */
int dev_probe(const char *path, char *what, size_t len, struct err *err);

#endif
