/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/overflow.h"
#include "dev/io.h"

struct io_mem {
	struct io io;
	uint8_t *data;
	char name[];
};

static int range_check(struct io *io, size_t len, uint64_t at, const char *what, struct err *err)
{
	uint64_t end;

	if (!add_overflow(at, len, &end) && end <= io->size)
		return 0;
	return err_set(err, -EIO, "%s: %s of %zu bytes at offset %llu goes past the end (%llu)", io->name,
		       what, len, (unsigned long long)at, (unsigned long long)io->size);
}

static int mem_read(struct io *io, void *buf, size_t len, uint64_t at, struct err *err)
{
	int r = range_check(io, len, at, "read", err);

	if (!r)
		memcpy(buf, ((struct io_mem *)io)->data + at, len);
	return r;
}

static int mem_write(struct io *io, const void *buf, size_t len, uint64_t at, struct err *err)
{
	int r = range_check(io, len, at, "write", err);

	if (!r)
		memcpy(((struct io_mem *)io)->data + at, buf, len);
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
	int r = range_check(io, len, at, "discard", err);

	if (!r)
		memset(((struct io_mem *)io)->data + at, 0, len);
	return r;
}

static void mem_free(struct io *io)
{
	free(((struct io_mem *)io)->data);
	free(io);
}

static const struct io_ops mem_ops = {
	.read = mem_read,
	.write = mem_write,
	.flush = mem_flush,
	.punch = mem_punch,
	.free = mem_free,
};

struct io *io_mem_new(const char *name, uint64_t size)
{
	size_t len = strlen(name) + 1;
	struct io_mem *m = malloc(sizeof(*m) + len);

	if (!m)
		return NULL;
	m->data = calloc(1, size ? size : 1);
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
	return ((struct io_mem *)io)->data;
}
