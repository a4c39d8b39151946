/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Turns standard input and output into files that can be read or written at any offset. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/signals.h"
#include "dev/dev.h"

#define PIECE 65536

static const char *temp_folder(void)
{
	const char *folder = getenv("TMPDIR");

	if (folder && *folder)
		return folder;
	return access("/var/tmp", W_OK) ? "/tmp" : "/var/tmp";
}

static int temp_error(struct err *err)
{
	return err_sys(err, -errno, "cannot use a temporary file in '%s' (TMPDIR names another folder)",
		       temp_folder());
}

int dev_temp_file(struct err *err)
{
	char name[PATH_MAX];
	sigset_t old;
	int fd;

	snprintf(name, sizeof(name), "%s/thin.XXXXXX", temp_folder());
	signals_hold(&old); /* none ends the process while the file has its name */
	fd = mkostemp(name, O_CLOEXEC);
	if (fd >= 0)
		unlink(name);
	signals_release(&old);
	fd = fd_not_standard(fd);
	return fd < 0 ? temp_error(err) : fd;
}

/* Writes a piece at @at.  A piece of zeros stays a hole. */
static int put(int fd, const char *p, size_t len, uint64_t at, struct err *err)
{
	ssize_t n;

	if (!p[0] && !memcmp(p, p + 1, len - 1))
		return 0;
	for (; len; p += n, len -= (size_t)n, at += (uint64_t)n) {
		n = pwrite(fd, p, len, (off_t)at);
		if (n < 0)
			return temp_error(err);
	}
	return 0;
}

static int spool(int to, struct err *err)
{
	char buf[PIECE];
	uint64_t at = 0;
	ssize_t n;
	int r = 0;

	while (!r && (n = read(STDIN_FILENO, buf, sizeof(buf)))) {
		if (n < 0)
			return err_sys(err, -errno, "cannot read standard input");
		r = put(to, buf, (size_t)n, at, err);
		at += (uint64_t)n;
	}
	return !r && ftruncate(to, (off_t)at) ? temp_error(err) : r;
}

int dev_stdin_as_file(struct err *err)
{
	CLEANUP(close_fd) int fd = -1;
	struct stat st;
	int r;

	if (fstat(STDIN_FILENO, &st))
		return err_sys(err, -errno, "cannot read standard input");
	if (S_ISBLK(st.st_mode) ||
	    (S_ISREG(st.st_mode) && !lseek(STDIN_FILENO, 0, SEEK_CUR)))
		return 0;
	fd = dev_temp_file(err);
	r = fd < 0 ? fd : spool(fd, err);
	return !r && dup2(fd, STDIN_FILENO) < 0 ? temp_error(err) : r;
}

int dev_no_terminal(int fd, struct err *err)
{
	if (!isatty(fd))
		return 0;
	return err_set(err, -EINVAL,
		       "binary data is not written to a terminal: name a file, or redirect standard output "
		       "to a file or a pipe");
}

/* Is the folder of @path one of device nodes? /dev/shm is not: it holds files. */
bool dev_would_be_device(const char *path)
{
	CLEANUP(free_ptr) char *folder = NULL, *real = NULL;
	const char *slash = strrchr(path, '/'), *where;

	folder = slash ? strndup(path, MAX((size_t)(slash - path), (size_t)1)) : strdup(".");
	real = folder ? realpath(folder, NULL) : NULL;
	where = real ? real : folder;
	if (!where || (strcmp(where, "/dev") && strncmp(where, "/dev/", 5)))
		return false;
	return strcmp(where, "/dev/shm") && strncmp(where, "/dev/shm/", 9);
}

int dev_no_stdin(struct err *err)
{
	return err_set(err, -EDOM, "standard input cannot be changed in place: name the device or file");
}
