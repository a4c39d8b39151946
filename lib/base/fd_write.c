/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "base/fd_write.h"

#include <errno.h>
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
