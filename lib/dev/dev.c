/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "dev/dev.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "dev/lock.h"
#include "dev/named.h"

#define STDIN_PATH "/proc/self/fd/0"

static int open_error(struct err *err, int code, const char *path, unsigned flags)
{
	switch (code) {
	case -ENOENT:
	case -ENOTDIR:
		return err_set(err, -ENOENT,
			       flags & DEV_WRITE ? "Couldn't find '%s': it must exist; check the name" :
						   "Couldn't find input file '%s'",
			       path);
	case -EBUSY:
		return err_set(err, code,
			       "'%s' is busy: it is mounted or held by a device-mapper device; "
			       "deactivate the pool first",
			       path);
	default:
		return err_sys(err, code, "cannot open '%s'", path);
	}
}

static int size_of(int fd, const struct stat *st, uint64_t *size)
{
	if (S_ISREG(st->st_mode)) {
		*size = (uint64_t)st->st_size;
		return 0;
	}
	return ioctl(fd, BLKGETSIZE64, size) ? -errno : 0;
}

/* "8:16" names a block device by its numbers; *buf gets a path that opens it. */
static const char *real_path(const char *path, char *buf, size_t len)
{
	unsigned major, minor;

	if (dev_is_standard(path))
		return STDIN_PATH; /* opened anew, so that a device gets the flags of the policy */
	if (dev_numbers(path, &major, &minor) && access(path, F_OK)) {
		snprintf(buf, len, "/dev/block/%u:%u", major, minor);
		return buf;
	}
	return path;
}

/*
 * Checks the kind of file. open() would block on a fifo or terminal, so the kind is checked before
 * open() and again after.
 */
static int check_kind(const struct stat *st, const char *path, unsigned flags, struct err *err)
{
	if (S_ISREG(st->st_mode) || S_ISBLK(st->st_mode))
		return 0;
	if (flags & DEV_WRITE)
		return err_set(err, -ENODEV,
			       "Invalid output file: '%s' is not a block device or regular file", path);
	return err_set(err, -ENODEV, "Not a block device or regular file '%s'.", path);
}

static int find(const char *real, struct stat *st)
{
	return (strcmp(real, STDIN_PATH) ? stat(real, st) : fstat(STDIN_FILENO, st)) ? -errno : 0;
}

/* *@direct: in, whether O_DIRECT is wanted; out, whether it is in use. */
static int open_real(const char *real, int oflags, bool *direct)
{
	int fd = fd_not_standard(open(real, oflags | (*direct ? O_DIRECT : 0)));

	if (fd < 0 && errno == EINVAL && *direct) {
		*direct = false; /* a driver without O_DIRECT */
		fd = fd_not_standard(open(real, oflags));
	}
	/* a process may read its standard input even if it may not open it again */
	if (fd < 0 && (errno == EACCES || errno == ENOENT) && !strcmp(real, STDIN_PATH)) {
		*direct = false;
		fd = fd_copy(STDIN_FILENO);
	}
	return fd;
}

int dev_stat(const char *path, struct stat *st)
{
	char buf[64];

	return find(real_path(path, buf, sizeof(buf)), st);
}

static int open_file(const char *path, unsigned flags, struct io **out, struct err *err)
{
	int oflags = O_CLOEXEC | O_NONBLOCK | (flags & DEV_WRITE ? O_RDWR : O_RDONLY);
	char buf[64];
	const char *real = real_path(path, buf, sizeof(buf));
	bool direct = false;
	CLEANUP(close_fd) int fd = -1;
	struct stat st;
	int r, read_only;
	uint64_t size;

	if (dev_is_standard(path) && flags & DEV_WRITE)
		return dev_no_stdin(err);
	path = dev_shown(path);
	r = find(real, &st);
	if (r)
		return open_error(err, r, path, flags);
	r = check_kind(&st, path, flags, err);
	if (r)
		return r;
	if (S_ISBLK(st.st_mode)) {
		direct = !(flags & DEV_BUFFERED);
		oflags |= flags & (DEV_SHARED | DEV_FORCE) ? 0 : O_EXCL;
	}
	fd = open_real(real, oflags, &direct);
	if (fd < 0 || fstat(fd, &st))
		return open_error(err, -errno, path, flags);
	r = check_kind(&st, path, flags, err);
	/* some drivers let a read-only device be opened for writing, and fail each write */
	if (!r && flags & DEV_WRITE && !ioctl(fd, BLKROGET, &read_only) && read_only)
		r = err_set(err, -EACCES, "'%s' is read-only", path);
	if (!r && !(flags & DEV_FORCE) && S_ISREG(st.st_mode))
		r = dev_lock(fd, path, flags & DEV_WRITE, err);
	if (r)
		return r;
	r = size_of(fd, &st, &size);
	if (r)
		return err_sys(err, r, "cannot find the size of '%s'", path);
	*out = io_file_new(fd, path, size, direct);
	if (!*out)
		return err_nomem(err, path);
	fd = -1;
	return 0;
}

int dev_open(const char *path, unsigned flags, struct io **out, struct err *err)
{
	struct dev_named *named = dev_named_find(path);
	int r;

	if (flags & DEV_DRY) {
		flags &= ~(unsigned)DEV_DRY;
		r = dev_open(path, flags | DEV_WRITE, out, err);
		if (r)
			return r;
		io_free(*out); /* its lock ends, too */
	}
	return named ? named->open(named, flags, out, err) : open_file(path, flags, out, err);
}
