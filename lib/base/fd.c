/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

int fd_write(int fd, const char *name, const void *data, size_t len, struct err *err)
{
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };
	const char *p = data;
	ssize_t n;

	while (len) {
		n = write(fd, p, len);
		if (n >= 0) {
			p += n;
			len -= (size_t)n;
		} else if (errno == EAGAIN) {
			poll(&pfd, 1, -1);
		} else if (errno != EINTR) {
			return err_sys(err, -errno, "cannot write to %s", name);
		}
	}
	return 0;
}

int fd_copy(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
}

int fd_not_standard(int fd)
{
	int copy, error;

	if (fd < 0 || fd > STDERR_FILENO)
		return fd;
	copy = fd_copy(fd);
	error = errno;
	close(fd);
	errno = error;
	return copy;
}

int fd_pipe(int fd[2])
{
	int error;

	if (pipe2(fd, O_CLOEXEC))
		return -errno;
	fd[0] = fd_not_standard(fd[0]);
	error = errno;
	fd[1] = fd_not_standard(fd[1]);
	if (fd[0] >= 0 && fd[1] >= 0)
		return 0;
	error = fd[0] < 0 ? error : errno;
	for (int i = 0; i < 2; i++)
		if (fd[i] >= 0)
			close(fd[i]);
	return -error;
}
