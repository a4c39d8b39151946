/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef DEV_IO_H
#define DEV_IO_H
/*
 * Bytes at offsets, as an interface, so that everything above runs on files,
 * block devices and memory (tests, fuzzing).  All offsets and lengths are bytes.
 *
 * Thread rule: read, write and flush may be called by any number of threads at
 * once on one struct io; nothing orders writes that overlap.
 * Errors: 0 or a negative errno with the device's name, the offset and what was
 * tried in @err.  A short read (past the end) is -EIO with that text.
 */
#include "base/err.h"
#include "base/meter.h"
#include "base/units.h"

struct io;

/* What bytes are: stored somewhere, zeros that are stored nowhere, or lost. */
enum io_kind { IO_STORED, IO_ZERO, IO_LOST };

struct io_place {
	enum io_kind kind;
	struct io *io; /* IO_STORED: a file, a device or memory, never a stack */
	uint64_t at;   /* in @io */
	uint64_t len;  /* bytes from @at on that are of this kind and in one piece */
};

struct io_ops {
	int (*read)(struct io *io, void *buf, size_t len, uint64_t at, struct err *err);
	int (*write)(struct io *io, const void *buf, size_t len, uint64_t at, struct err *err);
	int (*flush)(struct io *io, struct err *err);
	/* Makes [at, at+len) read as zeros and frees its space. */
	int (*punch)(struct io *io, uint64_t at, uint64_t len, struct err *err);
	/* Frees the space of [at, at+len); it may read as anything afterwards. */
	int (*discard)(struct io *io, uint64_t at, uint64_t len, struct err *err);
	/* Says that [at, at+len) will be read soon; NULL: nothing to gain. */
	void (*will_need)(struct io *io, uint64_t at, uint64_t len);
	/* Says that [at, at+len) will be written soon; NULL: nothing to gain. */
	void (*will_write)(struct io *io, uint64_t at, uint64_t len);
	/* Finds the place of [at, at+len), see io_where().  NULL: the io itself stores it. */
	void (*where)(struct io *io, uint64_t at, uint64_t len, struct io_place *out);
	void (*free)(struct io *io);
};

struct io {
	const struct io_ops *ops;
	const char *name; /* for messages; lives as long as the io */
	uint64_t size;	  /* bytes */
	unsigned align;	  /* buffers, offsets and lengths: 1, or 4096 with O_DIRECT */
	bool direct;	  /* each request waits for the device, so more threads help */
	bool nameless;	  /* a file whose name comes after a flush of its own: io_flush() is nothing */
	bool lossy;	  /* io_where() has a part that is lost: on an error target, or past an end */
	int fd;		  /* -1 when there is none; for holes, reflink and copies in the kernel */
	struct meter *meter; /* counts bytes of a file or stack read or written; NULL: not counted */
};

static inline int io_read(struct io *io, void *buf, size_t len, uint64_t at, struct err *err)
{
	return io->ops->read(io, buf, len, at, err);
}

static inline int io_write(struct io *io, const void *buf, size_t len, uint64_t at, struct err *err)
{
	return io->ops->write(io, buf, len, at, err);
}

static inline int io_flush(struct io *io, struct err *err)
{
	return io->ops->flush(io, err);
}

/* -EOPNOTSUPP, with a text, where the device does not support it. */
int io_punch(struct io *io, uint64_t at, uint64_t len, struct err *err);
int io_discard(struct io *io, uint64_t at, uint64_t len, struct err *err);
/* Says that [at, at+len) will be read soon.  A hint that costs one system call at most. */
void io_will_need(struct io *io, uint64_t at, uint64_t len);
/*
 * A hint: most of [at, at+len) will be written.  A new file gets its space here at once, which costs
 * the kernel less than block by block; io_punch() gives back what was not written.
 */
void io_will_write(struct io *io, uint64_t at, uint64_t len);
/* Is the byte at @at in the page cache?  False also when that cannot be asked. */
bool io_is_cached(const struct io *io, uint64_t at);

/*
 * The first byte from @at on that does not lie in a hole of a file, which reads as zeros; the size where
 * there is none.  @at where holes cannot be found, and in a file that has become shorter.  It moves
 * the file's position, which nothing here uses.
 */
uint64_t io_next_data(const struct io *io, uint64_t at);

/*
 * Finds where the bytes of [at, at+len) are, up to the end of the first place; @len is not 0.
 * Bytes past the end of a file or device are lost.  Any thread.
 */
void io_where(struct io *io, uint64_t at, uint64_t len, struct io_place *out);

/* Closes and frees @io.  NULL is allowed. */
void io_free(struct io *io);

/* Memory aligned for any io; free() releases it.  NULL: no memory. */
void *io_alloc(size_t len);

/*
 * @direct: @fd was opened with O_DIRECT; requests that are not aligned go through a bounce
 * buffer.  Takes over @fd (closed by io_free); @name is copied.
 * NULL: no memory; @fd is then still the caller's.
 */
struct io *io_file_new(int fd, const char *name, uint64_t size, bool direct);

/* @size bytes of zeros in memory, at io_mem_data().  NULL: no memory. */
struct io *io_mem_new(const char *name, uint64_t size);
void *io_mem_data(struct io *io);

#endif
