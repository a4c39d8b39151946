/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Files and block devices.  With O_DIRECT the kernel wants buffer, offset and length aligned to the
 * device's logical block; other requests are rounded out and go through a bounce buffer, a write
 * then reads, changes and writes the blocks at its ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/overflow.h"
#include "dev/io.h"

#define DIRECT_ALIGN 4096
#define BOUNCE_MAX ((size_t)1 << 20)

typedef unsigned long long ull;

struct io_file {
	struct io io;
	bool block_device;
	unsigned unit; /* alignment that O_DIRECT demands: 1 when buffered */
	unsigned sector; /* of a block device, its unit of discards and zeroing: 512 to 4096 */
	pthread_mutex_t bounce_write; /* two writers may share a block at their ends */
	char name[];
};

static struct io_file *file_of(struct io *io)
{
	return (struct io_file *)io;
}

static bool aligned(const struct io_file *f, const void *buf, size_t len, uint64_t at)
{
	return (((uintptr_t)buf | len | at) & (f->unit - 1)) == 0;
}

/* Reads at least @need of @len bytes: bytes past the end may be missing. */
static int pread_full(struct io_file *f, void *buf, size_t len, size_t need, uint64_t at,
		      struct err *err)
{
	size_t done = 0;

	while (done < need) {
		ssize_t n = pread(f->io.fd, (char *)buf + done, len - done, (off_t)(at + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, -errno, "%s: reading %zu bytes at offset %llu", f->name,
				       len, (ull)at);
		if (n == 0)
			return err_set(err, -EIO,
				       "%s: reading %zu bytes at offset %llu: the file ends at %llu",
				       f->name, len, (ull)at, (ull)(at + done));
		done += (size_t)n;
	}
	return 0;
}

static int pwrite_full(struct io_file *f, const void *buf, size_t len, uint64_t at, struct err *err)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pwrite(f->io.fd, (const char *)buf + done, len - done,
				   (off_t)(at + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_sys(err, n ? -errno : -EIO, "%s: writing %zu bytes at offset %llu",
				       f->name, len, (ull)at);
		done += (size_t)n;
	}
	return 0;
}

/* The whole blocks around one part of a request.  They fit into the bounce buffer. */
struct window {
	uint64_t begin, end; /* rounded out */
	size_t skip, len;    /* the part of the request within */
};

static struct window window_at(const struct io_file *f, uint64_t at, size_t left)
{
	struct window w;
	uint64_t end;

	w.begin = at & ~(uint64_t)(f->unit - 1);
	w.skip = (size_t)(at - w.begin);
	w.len = MIN(left, BOUNCE_MAX - w.skip);
	end = at + w.len;
	w.end = round_up(end, f->unit);
	return w;
}

static void *bounce_alloc(const struct io_file *f, size_t len, struct err *err)
{
	void *bounce = io_alloc(MIN(len, BOUNCE_MAX) + 2 * DIRECT_ALIGN);

	if (!bounce)
		err_nomem(err, f->name);
	return bounce;
}

static int read_bounced(struct io_file *f, void *buf, size_t len, uint64_t at, struct err *err)
{
	CLEANUP(free_ptr) char *bounce = bounce_alloc(f, len, err);
	size_t done = 0;
	int r;

	if (!bounce)
		return -ENOMEM;
	while (done < len) {
		struct window w = window_at(f, at + done, len - done);

		r = pread_full(f, bounce, w.end - w.begin, w.skip + w.len, w.begin, err);
		if (r < 0)
			return r;
		memcpy((char *)buf + done, bounce + w.skip, w.len);
		done += w.len;
	}
	return 0;
}

static int write_window(struct io_file *f, char *bounce, const void *from, const struct window *w,
			struct err *err)
{
	size_t whole = (size_t)(w->end - w->begin);
	int r;

	if (w->skip) {
		r = pread_full(f, bounce, f->unit, f->unit, w->begin, err);
		if (r < 0)
			return r;
	}
	if (w->skip + w->len < whole && (whole > f->unit || !w->skip)) {
		r = pread_full(f, bounce + whole - f->unit, f->unit, f->unit, w->end - f->unit, err);
		if (r < 0)
			return r;
	}
	memcpy(bounce + w->skip, from, w->len);
	return pwrite_full(f, bounce, whole, w->begin, err);
}

static int write_bounced(struct io_file *f, const void *buf, size_t len, uint64_t at,
			 struct err *err)
{
	CLEANUP(free_ptr) char *bounce = bounce_alloc(f, len, err);
	size_t done = 0;
	int r = 0;

	if (!bounce)
		return -ENOMEM;
	pthread_mutex_lock(&f->bounce_write);
	while (done < len && r == 0) {
		struct window w = window_at(f, at + done, len - done);

		r = write_window(f, bounce, (const char *)buf + done, &w, err);
		done += w.len;
	}
	pthread_mutex_unlock(&f->bounce_write);
	return r;
}

/* Refuses a range that wraps, or that does not fit an off_t, as system calls take it. */
static int check_range(const struct io_file *f, uint64_t len, uint64_t at, struct err *err)
{
	uint64_t end;

	if (!add_overflow(at, len, &end) && end <= INT64_MAX)
		return 0;
	return err_set(err, -EIO, "%s: offset %llu is beyond what a file can have", f->name,
		       (ull)at);
}

static int file_read(struct io *io, void *buf, size_t len, uint64_t at, struct err *err)
{
	struct io_file *f = file_of(io);
	int r = check_range(f, len, at, err);

	if (r < 0)
		return r;
	meter_add(io->meter, len);
	if (aligned(f, buf, len, at))
		return pread_full(f, buf, len, len, at, err);
	return read_bounced(f, buf, len, at, err);
}

static int file_write(struct io *io, const void *buf, size_t len, uint64_t at, struct err *err)
{
	struct io_file *f = file_of(io);
	int r = check_range(f, len, at, err);

	if (r < 0)
		return r;
	meter_add(io->meter, len);
	if (aligned(f, buf, len, at))
		return pwrite_full(f, buf, len, at, err);
	return write_bounced(f, buf, len, at, err);
}

static int file_flush(struct io *io, struct err *err)
{
	if (!io->nameless && fdatasync(io->fd) < 0)
		return err_sys(err, -errno, "%s: flushing what was written", io->name);
	return 0;
}

static int punch_whole(struct io *io, uint64_t at, uint64_t len, struct err *err)
{
	while (fallocate(io->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at,
			 (off_t)len) < 0)
		if (errno != EINTR)
			return err_sys(err, -errno, "%s: zeroing %llu bytes at offset %llu",
				       io->name, (ull)len, (ull)at);
	return 0;
}

/* The whole sectors of a block device in [at, at+len): [*at, *end), perhaps empty. */
static void whole_sectors(const struct io_file *f, uint64_t *at, uint64_t len, uint64_t *end)
{
	*end = *at + len;
	if (!f->block_device)
		return;
	*end -= *end % f->sector;
	*at = MIN(round_up(*at, f->sector), *end);
}

/* Writes zeros.  @len is less than two sectors. */
static int write_zeros(struct io *io, uint64_t at, uint64_t len, struct err *err)
{
	const char zeros[2 * DIRECT_ALIGN] = { 0 };

	return len ? file_write(io, zeros, len, at, err) : 0;
}

/* Works on block devices, too: the kernel unmaps the range where unmapped sectors read as zeros. */
static int file_punch(struct io *io, uint64_t at, uint64_t len, struct err *err)
{
	uint64_t begin = at, end;
	int r = check_range(file_of(io), len, at, err);

	if (r < 0)
		return r;
	whole_sectors(file_of(io), &begin, len, &end);
	if (begin >= end) /* no whole sector, so less than two */
		return write_zeros(io, at, len, err);
	r = write_zeros(io, at, begin - at, err);
	if (!r)
		r = punch_whole(io, begin, end - begin, err);
	return r ? r : write_zeros(io, end, at + len - end, err);
}

/* Parts of sectors at both ends keep their contents. */
static int file_discard(struct io *io, uint64_t at, uint64_t len, struct err *err)
{
	uint64_t range[2] = { at, len }, end;

	if (!file_of(io)->block_device)
		return file_punch(io, at, len, err);
	whole_sectors(file_of(io), &range[0], len, &end);
	range[1] = end - range[0];
	if (!range[1])
		return 0;
	if (ioctl(io->fd, BLKDISCARD, range) < 0)
		return err_sys(err, -errno, "%s: discarding %llu bytes at offset %llu", io->name,
			       (ull)len, (ull)at);
	return 0;
}

static void file_will_need(struct io *io, uint64_t at, uint64_t len)
{
	if (!io->direct && at + len <= INT64_MAX)
		posix_fadvise(io->fd, (off_t)at, (off_t)len, POSIX_FADV_WILLNEED);
}

/* Where it fails (no space, not supported), the writes find out what is true. */
static void file_will_write(struct io *io, uint64_t at, uint64_t len)
{
	if (io->nameless && at + len <= INT64_MAX)
		(void)fallocate(io->fd, FALLOC_FL_KEEP_SIZE, (off_t)at, (off_t)len);
}

static void file_free(struct io *io)
{
	struct io_file *f = file_of(io);

	close(io->fd);
	pthread_mutex_destroy(&f->bounce_write);
	free(f);
}

static const struct io_ops file_ops = {
	.read = file_read,
	.write = file_write,
	.flush = file_flush,
	.punch = file_punch,
	.discard = file_discard,
	.will_need = file_will_need,
	.will_write = file_will_write,
	.free = file_free,
};

struct io *io_file_new(int fd, const char *name, uint64_t size, bool direct)
{
	size_t len = strlen(name) + 1;
	struct io_file *f = calloc(1, sizeof(*f) + len);
	struct stat st;
	int sector = 0;

	if (!f)
		return NULL;
	memcpy(f->name, name, len);
	f->block_device = fstat(fd, &st) == 0 && S_ISBLK(st.st_mode);
	f->unit = direct ? DIRECT_ALIGN : 1;
	/* a device need not end on a multiple of 4096 */
	f->sector = DIRECT_ALIGN;
	if (f->block_device && ioctl(fd, BLKSSZGET, &sector) == 0 && sector >= 512 &&
	    sector <= DIRECT_ALIGN && !(sector & (sector - 1)))
		f->sector = (unsigned)sector;
	if (direct && f->block_device)
		f->unit = f->sector;
	pthread_mutex_init(&f->bounce_write, NULL);
	f->io = (struct io){
		.ops = &file_ops,
		.name = f->name,
		.size = size,
		.align = direct ? DIRECT_ALIGN : 1,
		.direct = direct,
		.fd = fd,
	};
	return &f->io;
}
