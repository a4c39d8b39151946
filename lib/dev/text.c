/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Files read from beginning to end: tables, XML, backups of volume groups. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/vec.h"
#include "dev/dev.h"

#define FIRST_CAP ((size_t)16 << 10)

int dev_open_text(const char *path, struct err *err)
{
	CLEANUP(close_fd) int fd = dev_is_standard(path) ? fd_copy(STDIN_FILENO) :
							   fd_not_standard(open(path, O_RDONLY | O_CLOEXEC));
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return err_set(err, -ENOENT, "Couldn't find input file '%s'", path);
	if (fd < 0 || fstat(fd, &st))
		return err_sys(err, -errno, "cannot open '%s'", dev_shown(path));
	if (S_ISDIR(st.st_mode))
		return err_set(err, -EISDIR, "Not a file to read text from: '%s' is a directory",
			       dev_shown(path));
	return steal_fd(&fd);
}

int dev_read_text(const char *path, size_t max, char **text, size_t *len, struct err *err)
{
	CLEANUP(close_fd) int fd = dev_open_text(path, err);
	CLEANUP(free_ptr) char *buf = NULL;
	size_t cap = 0;
	ssize_t n = 1;

	if (fd < 0)
		return fd;
	for (*len = 0; n; *len += n > 0 ? (size_t)n : 0) {
		if (*len > max)
			return err_set(err, -EFBIG, "'%s' is larger than %zu bytes", dev_shown(path), max);
		if (vec_reserve(buf, cap, MAX(*len + 2, FIRST_CAP)))
			return err_nomem(err, dev_shown(path));
		n = read(fd, buf + *len, cap - *len - 1);
		if (n < 0 && errno != EINTR)
			return err_sys(err, -errno, "cannot read '%s'", dev_shown(path));
	}
	buf[*len] = 0;
	*text = steal_ptr(&buf);
	return 0;
}
