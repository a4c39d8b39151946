/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "dev/writeback.h"

#include <fcntl.h>
#include <stdatomic.h>

#define STEP ((uint64_t)8 << 20)

void writeback_add(_Atomic uint64_t *written, struct io *io, uint64_t len, uint64_t at)
{
	uint64_t was = atomic_fetch_add(written, len);
	struct io_place p;

	if (was / STEP == (was + len) / STEP)
		return;
	io_where(io, at, len, &p);
	/* this alone looks at no error of earlier writes, so that the flush finds them */
	if (p.kind == IO_STORED && p.io->fd >= 0 && !p.io->direct)
		sync_file_range(p.io->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}
