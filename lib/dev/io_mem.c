/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/overflow.h"
#include "dev/io.h"

struct io_mem {
	struct io io;
	char *data;
	char name[];
};

static struct io_mem *mem_of(struct io *io)
{
	return (struct io_mem *)io;
}

static int check_range(const struct io *io, uint64_t len, uint64_t at, const char *what,
		       struct err *err)
{
	if (at <= io->size && len <= io->size - at)
		return 0;
	return err_set(err, -EIO, "%s: %s %llu bytes at offset %llu: the memory ends at %llu",
		       io->name, what, (unsigned long long)len, (unsigned long long)at,
		       (unsigned long long)io->size);
}

static int mem_read(struct io *io, void *buf, size_t len, uint64_t at, struct err *err)
{
	int r = check_range(io, len, at, "reading", err);

	if (r == 0)
		memcpy(buf, mem_of(io)->data + at, len);
	return r;
}

static int mem_write(struct io *io, const void *buf, size_t len, uint64_t at, struct err *err)
{
	int r = check_range(io, len, at, "writing", err);

	if (r == 0)
		memcpy(mem_of(io)->data + at, buf, len);
	return r;
}

static int mem_flush(struct io *io, struct err *err)
{
	(void)io;
	(void)err;
	return 0;
}

static int mem_punch(struct io *io, uint64_t at, uint64_t len, struct err *err)
{
	int r = check_range(io, len, at, "zeroing", err);

	if (r == 0)
		memset(mem_of(io)->data + at, 0, len);
	return r;
}

static void mem_free(struct io *io)
{
	free(mem_of(io)->data);
	free(io);
}

static const struct io_ops mem_ops = {
	.read = mem_read,
	.write = mem_write,
	.flush = mem_flush,
	.punch = mem_punch,
	.discard = mem_punch,
	.free = mem_free,
};

struct io *io_mem_new(const char *name, uint64_t size)
{
	size_t len = strlen(name) + 1;
	struct io_mem *m = calloc(1, sizeof(*m) + len);

	if (!m)
		return NULL;
	m->data = calloc_u64(size ? size : 1, 1);
	if (!m->data) {
		free(m);
		return NULL;
	}
	memcpy(m->name, name, len);
	m->io = (struct io){ .ops = &mem_ops, .name = m->name, .size = size, .align = 1, .fd = -1 };
	return &m->io;
}

void *io_mem_data(struct io *io)
{
	return mem_of(io)->data;
}
