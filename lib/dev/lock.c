/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Two kinds of locks are taken, because other programs use two kinds: flock(), which scripts use by
 * flock(1), and byte ranges, which qemu uses.
 *
 * A writer locks all bytes.  A reader locks, shared, the bytes by which qemu says "nobody may write or
 * resize this": so a virtual machine that only reads a base image may start beside a reader, and
 * one that writes may not.  qemu says that it writes by a shared lock on byte 101 or 103.
 */
#include "dev/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <sys/file.h>
#include <sys/vfs.h>

/* A program that was killed needs a moment until its locks are gone. */
#define WAIT_MS	 500
#define NR_TRIES 25

#define QEMU_NO_WRITER	  201
#define QEMU_NO_WRITER_NR 3
#define QEMU_WRITES	  101
#define QEMU_WRITES_NR	  3
#define QEMU_FIRST	  100
#define QEMU_END	  200

/* If locking is not possible, the file is used without: only a lock of another program counts. */
static bool is_held(int code)
{
	return code == EAGAIN || code == EACCES;
}

/* On such a filesystem flock() locks all bytes, which would conflict with our own locks. */
static bool flock_is_ranges(int fd)
{
	struct statfs fs;

	if (fstatfs(fd, &fs))
		return false;
	switch ((unsigned)fs.f_type) {
	case 0x6969:	 /* NFS */
	case 0x517b:	 /* SMB */
	case 0xff534d42: /* CIFS */
	case 0xfe534d42: /* SMB2 */
		return true;
	}
	return false;
}

static bool flock_held(int fd, bool write)
{
	return flock(fd, (write ? LOCK_EX : LOCK_SH) | LOCK_NB) && is_held(errno);
}

static struct flock range(bool write)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (!write) {
		l.l_type = F_RDLCK;
		l.l_start = QEMU_NO_WRITER;
		l.l_len = QEMU_NO_WRITER_NR;
	}
	return l;
}

static bool range_held(int fd, bool write)
{
	struct flock l = range(write);

	return fcntl(fd, F_OFD_SETLK, &l) && is_held(errno);
}

/* A lock on all bytes is the way in which other programs mark that they read. */
static bool qemu_writes(int fd)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = QEMU_WRITES,
			   .l_len = QEMU_WRITES_NR };

	return !fcntl(fd, F_OFD_GETLK, &l) && l.l_type != F_UNLCK && l.l_start >= QEMU_FIRST &&
	       l.l_len && l.l_start + l.l_len <= QEMU_END;
}

static bool is_written(int fd, bool use_flock)
{
	return (use_flock && flock_held(fd, false)) || range_held(fd, false) || qemu_writes(fd);
}

/* Does another program hold a lock that excludes us? */
static bool is_taken(int fd, bool write, bool use_flock)
{
	if (!write)
		return is_written(fd, use_flock);
	return (use_flock && flock_held(fd, true)) || range_held(fd, true);
}

static int say_who(int fd, const char *path, bool write, bool use_flock, struct err *err)
{
	if (!write)
		return err_set(err, -ETXTBSY,
			       "'%s' is busy: it is being written by another program, so what is "
			       "read now could mix old and new data; try again when that has ended",
			       path);
	return err_set(err, -EBUSY,
		       "'%s' is busy: it is being %s by another program, and a writer needs it "
		       "alone; try again when that has ended",
		       path, is_written(fd, use_flock) ? "written" : "read");
}

int dev_lock(int fd, const char *path, bool write, struct err *err)
{
	bool use_flock = !flock_is_ranges(fd);

	for (int tries = 1; is_taken(fd, write, use_flock); tries++) {
		if (tries == NR_TRIES)
			return say_who(fd, path, write, use_flock, err);
		poll(NULL, 0, WAIT_MS / NR_TRIES);
	}
	return 0;
}

void dev_unlock(int fd)
{
	struct flock l = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

	fcntl(fd, F_OFD_SETLK, &l);
	flock(fd, LOCK_UN);
}
