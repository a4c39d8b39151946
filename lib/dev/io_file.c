/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/overflow.h"
#include "dev/io.h"

#define DIRECT_ALIGN 4096
#define BOUNCE_LEN (1u << 20)

struct io_file {
	struct io io;
	bool block_device;
	char name[];
};

void io_free(struct io *io)
{
	if (io)
		io->ops->free(io);
}

void *io_alloc(size_t len)
{
	void *p = NULL;

	return posix_memalign(&p, DIRECT_ALIGN, len ? len : 1) ? NULL : p;
}

static int past_end(struct io *io, uint64_t at, size_t len, const char *what, struct err *err)
{
	return err_set(err, -EIO, "%s: %s of %zu bytes at offset %llu goes past the end (%llu)", io->name,
		       what, len, (unsigned long long)at, (unsigned long long)io->size);
}

static bool beyond(const struct io *io, uint64_t at, uint64_t len)
{
	uint64_t end;

	return add_overflow(at, len, &end) || end > io->size;
}

static int pread_all(struct io *io, uint8_t *buf, size_t len, uint64_t at, struct err *err)
{
	while (len) {
		ssize_t n = pread(io->fd, buf, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, -errno, "%s: cannot read %zu bytes at offset %llu", io->name,
				       len, (unsigned long long)at);
		if (!n)
			return err_set(err, -EIO, "%s: ends at offset %llu, where %zu more bytes were wanted",
				       io->name, (unsigned long long)at, len);
		buf += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int pwrite_all(struct io *io, const uint8_t *buf, size_t len, uint64_t at, struct err *err)
{
	while (len) {
		ssize_t n = pwrite(io->fd, buf, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_sys(err, n ? -errno : -EIO, "%s: cannot write %zu bytes at offset %llu",
				       io->name, len, (unsigned long long)at);
		buf += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static bool aligned(const struct io *io, const void *buf, size_t len, uint64_t at)
{
	return !io->direct || !(((uintptr_t)buf | len | at) % io->align);
}

/* O_DIRECT with a buffer or range that is not aligned: through a buffer that is. */
static int read_bounced(struct io *io, uint8_t *buf, size_t len, uint64_t at, struct err *err)
{
	CLEANUP(free_ptr) uint8_t *bounce = io_alloc(BOUNCE_LEN);

	if (!bounce)
		return err_nomem(err, "read buffer");
	while (len) {
		uint64_t from = at - at % io->align;
		size_t skip = (size_t)(at - from);
		size_t want = MIN((uint64_t)BOUNCE_LEN, round_up(skip + len, io->align));
		size_t n;
		int r;

		want = MIN((uint64_t)want, io->size - from);
		r = pread_all(io, bounce, want, from, err);
		if (r)
			return r;
		n = MIN(len, want - skip);
		memcpy(buf, bounce + skip, n);
		buf += n;
		at += n;
		len -= n;
	}
	return 0;
}

static int file_read(struct io *io, void *buf, size_t len, uint64_t at, struct err *err)
{
	if (beyond(io, at, len))
		return past_end(io, at, len, "read", err);
	return aligned(io, buf, len, at) ? pread_all(io, buf, len, at, err) :
					   read_bounced(io, buf, len, at, err);
}

static int write_bounced(struct io *io, const uint8_t *buf, size_t len, uint64_t at, struct err *err)
{
	CLEANUP(free_ptr) uint8_t *bounce = io_alloc(BOUNCE_LEN);

	if (!bounce)
		return err_nomem(err, "write buffer");
	while (len) {
		uint64_t from = at - at % io->align;
		size_t skip = (size_t)(at - from);
		size_t want = MIN((uint64_t)BOUNCE_LEN, round_up(skip + len, io->align));
		size_t n = MIN(len, want - skip);
		int r = 0;

		if (skip || n != want)
			r = pread_all(io, bounce, want, from, err);
		if (r)
			return r;
		memcpy(bounce + skip, buf, n);
		r = pwrite_all(io, bounce, want, from, err);
		if (r)
			return r;
		buf += n;
		at += n;
		len -= n;
	}
	return 0;
}

static int file_write(struct io *io, const void *buf, size_t len, uint64_t at, struct err *err)
{
	if (beyond(io, at, len))
		return past_end(io, at, len, "write", err);
	return aligned(io, buf, len, at) ? pwrite_all(io, buf, len, at, err) :
					   write_bounced(io, buf, len, at, err);
}

static int file_flush(struct io *io, struct err *err)
{
	/* EINVAL, EROFS: a special file that has nothing to flush */
	if (fsync(io->fd) && errno != EINVAL && errno != EROFS)
		return err_sys(err, -errno, "%s: cannot flush", io->name);
	return 0;
}

static int file_punch(struct io *io, uint64_t at, uint64_t len, struct err *err)
{
	struct io_file *f = (struct io_file *)io;
	uint64_t range[2] = { at, len };

	if (beyond(io, at, len))
		return past_end(io, at, len, "discard", err);
	if (!fallocate(io->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at, (off_t)len))
		return 0;
	if (f->block_device && !ioctl(io->fd, BLKDISCARD, range))
		return 0;
	return err_sys(err, errno == EOPNOTSUPP ? -ENOTSUP : -errno,
		       "%s: cannot discard %llu bytes at offset %llu", io->name,
		       (unsigned long long)len, (unsigned long long)at);
}

static void file_will_need(struct io *io, uint64_t at, uint64_t len)
{
	posix_fadvise(io->fd, (off_t)at, (off_t)len, POSIX_FADV_WILLNEED);
}

static void file_free(struct io *io)
{
	close(io->fd);
	free(io);
}

static const struct io_ops buffered_ops = {
	.read = file_read,
	.write = file_write,
	.flush = file_flush,
	.punch = file_punch,
	.will_need = file_will_need,
	.free = file_free,
};

static const struct io_ops direct_ops = {
	.read = file_read,
	.write = file_write,
	.flush = file_flush,
	.punch = file_punch,
	.free = file_free,
};

struct io *io_file_new(int fd, const char *name, uint64_t size, bool direct)
{
	size_t len = strlen(name) + 1;
	struct io_file *f = malloc(sizeof(*f) + len);
	struct stat st;

	if (!f)
		return NULL;
	memcpy(f->name, name, len);
	f->block_device = !fstat(fd, &st) && S_ISBLK(st.st_mode);
	f->io = (struct io){
		.ops = direct ? &direct_ops : &buffered_ops,
		.name = f->name,
		.size = size,
		.align = direct ? DIRECT_ALIGN : 1,
		.direct = direct,
		.fd = fd,
	};
	return &f->io;
}
