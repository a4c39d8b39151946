/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include <errno.h>
#include <unistd.h>

#include "volume/copy/impl.h"

#define CALL_MAX ((size_t)1 << 30) /* bytes a system call is asked for; a size_t may have 32 bits */

int copy_range(struct copy_state *c, struct copy_source *s, uint64_t from, uint64_t at, uint64_t len,
	       struct err *err)
{
	off_t in, out = (off_t)at;
	struct io_place p;
	ssize_t n;

	while (len) {
		io_where(s->io, from, len, &p);
		in = (off_t)p.at;
		n = p.kind == IO_STORED && p.io->fd >= 0 ?
			    copy_file_range(p.io->fd, &in, c->out->fd, &out, MIN(p.len, CALL_MAX), 0) :
			    0;
		if (n > 0) {
			len -= (uint64_t)n;
			from += (uint64_t)n;
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		/*
		 * A full disk is an error here; after other errors reading and writing find the
		 * cause.
		 */
		if (n < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EFBIG))
			return err_sys(err, -errno, "%s: cannot write %llu bytes at offset %llu",
				       c->out->path, (unsigned long long)len,
				       (unsigned long long)out);
		s->kernel = false;
		return 0;
	}
	return 1;
}
