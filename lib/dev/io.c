/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "dev/io.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/overflow.h"
#include "base/portable.h"
#include "base/units.h"

#define IO_ALIGN 4096

void io_free(struct io *io)
{
	if (io)
		io->ops->free(io);
}

void io_where(struct io *io, uint64_t at, uint64_t len, struct io_place *out)
{
	if (io->ops->where)
		io->ops->where(io, at, len, out);
	else if (at >= io->size)
		*out = (struct io_place){ .kind = IO_LOST, .len = len };
	else
		*out = (struct io_place){ IO_STORED, io, at, MIN(len, io->size - at) };
}

void *io_alloc(size_t len)
{
	return len > SIZE_MAX - IO_ALIGN ? NULL : aligned_alloc(IO_ALIGN, len ? round_up(len, IO_ALIGN) : IO_ALIGN);
}

int io_punch(struct io *io, uint64_t at, uint64_t len, struct err *err)
{
	return len ? io->ops->punch(io, at, len, err) : 0;
}

int io_discard(struct io *io, uint64_t at, uint64_t len, struct err *err)
{
	return len ? io->ops->discard(io, at, len, err) : 0;
}

void io_will_need(struct io *io, uint64_t at, uint64_t len)
{
	if (io->ops->will_need)
		io->ops->will_need(io, at, len);
}

bool io_is_cached(const struct io *io, uint64_t at)
{
	char byte;

	return io->fd >= 0 && pread_nowait(io->fd, &byte, 1, (off_t)at) == 1;
}

uint64_t io_next_data(const struct io *io, uint64_t at)
{
	off_t data = io->fd < 0 ? (off_t)at : lseek(io->fd, (off_t)at, SEEK_DATA);

	if (data >= 0)
		return MIN((uint64_t)data, io->size);
	/* what a file lost at its end is no hole: reading it fails, as it should */
	return errno == ENXIO && lseek(io->fd, 0, SEEK_END) >= (off_t)io->size ? io->size : at;
}

void io_will_write(struct io *io, uint64_t at, uint64_t len)
{
	if (io->ops->will_write)
		io->ops->will_write(io, at, len);
}
