/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef BASE_PORTABLE_H
#define BASE_PORTABLE_H
/* Functions that some C libraries lack (musl, old glibc); configure finds out which. */
#include <config.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#endif

/*
 * rename() that never replaces a file: -1 with EEXIST, or ENOSYS or EINVAL when the system has no
 * such call.
 */
static inline int rename_noreplace(const char *from, const char *to)
{
#if defined(HAVE_RENAMEAT2)
	return renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE);
#elif defined(SYS_renameat2)
	return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE);
#else
	errno = ENOSYS;
	return -1;
#endif
}

/*
 * Reads what the page cache holds of [@at, @at + @len), without waiting for a device; -1 with
 * EOPNOTSUPP: not known.
 */
static inline ssize_t pread_nowait(int fd, void *buf, size_t len, off_t at)
{
#ifdef HAVE_PREADV2
	struct iovec iov = { buf, len };

	return preadv2(fd, &iov, 1, at, RWF_NOWAIT);
#else
	(void)fd;
	(void)buf;
	(void)len;
	(void)at;
	errno = EOPNOTSUPP;
	return -1;
#endif
}

/* New readers wait behind a waiting writer, where the C library supports that. */
static inline void rwlock_prefer_writer(pthread_rwlockattr_t *attr)
{
#ifdef HAVE_PTHREAD_RWLOCKATTR_SETKIND_NP
	pthread_rwlockattr_setkind_np(attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
#else
	(void)attr;
#endif
}

#endif
