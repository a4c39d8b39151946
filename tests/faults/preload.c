/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Preloaded into a command: makes one call to the system fail.
 *
 *	FAULT=CLASS:N:ERRNO  the N-th call of that class fails with that error (a number); 0: it does
 *	                     half of what was asked, or is interrupted; -1: the command is killed
 *	                     before it; -2: after half of what was to be written; -3: interrupted by
 *	                     SIGINT before it; -4: the file that is to be read loses its second half first
 *	FAULT_HIT=FILE       made when that call came
 *
 * Classes: memory, read, write, flush, name (rename), open, size (ftruncate, fallocate), lock.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static struct {
	char class[16];
	long nr;
	int error;
	atomic_long seen;
	bool on;
} fault;

static void hit(void)
{
	const char *path = getenv("FAULT_HIT");
	int fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) : -1;

	if (fd >= 0)
		close(fd);
}

__attribute__((constructor)) static void start(void)
{
	const char *text = getenv("FAULT");

	fault.on = text && sscanf(text, "%15[a-z]:%ld:%d", fault.class, &fault.nr, &fault.error) == 3;
}

static bool fails(const char *class)
{
	if (!fault.on || strcmp(class, fault.class) || atomic_fetch_add(&fault.seen, 1) + 1 != fault.nr)
		return false;
	hit();
	if (fault.error == -1)
		raise(SIGKILL);
	if (fault.error == -3)
		raise(SIGINT);
	errno = fault.error > 0 ? fault.error : EINTR; /* -3 comes here where SIGINT is ignored */
	return true;
}

/* Finds the function that this one stands before. */
#define REAL(ret, name, ...)                          \
	static ret (*real)(__VA_ARGS__);              \
	if (!real)                                    \
	real = (ret (*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

void *malloc(size_t len)
{
	return fails("memory") ? NULL : __libc_malloc(len);
}

void *calloc(size_t nr, size_t len)
{
	return fails("memory") ? NULL : __libc_calloc(nr, len);
}

void *realloc(void *p, size_t len)
{
	return fails("memory") ? NULL : __libc_realloc(p, len);
}

void *aligned_alloc(size_t align, size_t len)
{
	return fails("memory") ? NULL : __libc_memalign(align, len);
}

int posix_memalign(void **p, size_t align, size_t len)
{
	void *q = fails("memory") ? NULL : __libc_memalign(align, len);

	if (!q)
		return ENOMEM;
	*p = q;
	return 0;
}

/* Error 0 or -2 with what can be done by halves: the first half; of a killed write whole sectors, as on a disk. */
static size_t less(size_t len)
{
	if (fault.error == -2)
		return len / 1024 * 512;
	return len > 1 ? len / 2 : len;
}

/* Another program cuts the file off, as the owner of a log or an image may. */
static void shrink(int fd)
{
	struct stat st;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && truncate(path, st.st_size / 8192 * 4096))
		abort();
}

#define SOME(ret, class, call, half)               \
	do {                                       \
		if (!fails(class))                 \
			return call;               \
		if (fault.error == -4) {           \
			shrink(fd);                \
			return call;               \
		}                                  \
		if (fault.error > 0)               \
			return -1;                 \
		ret did = half;                    \
		if (fault.error == -2)             \
			raise(SIGKILL);            \
		return did;                        \
	} while (0)

ssize_t read(int fd, void *buf, size_t len)
{
	REAL(ssize_t, read, int, void *, size_t);
	SOME(ssize_t, "read", real(fd, buf, len), real(fd, buf, less(len)));
}

#define PREAD(name)                                                                        \
	ssize_t name(int fd, void *buf, size_t len, off_t at)                              \
	{                                                                                  \
		REAL(ssize_t, name, int, void *, size_t, off_t);                           \
		SOME(ssize_t, "read", real(fd, buf, len, at), real(fd, buf, less(len), at)); \
	}
PREAD(pread)
PREAD(pread64)

ssize_t preadv2(int fd, const struct iovec *iov, int nr, off_t at, int flags)
{
	REAL(ssize_t, preadv2, int, const struct iovec *, int, off_t, int);
	SOME(ssize_t, "read", real(fd, iov, nr, at, flags), real(fd, iov, 1, at, flags));
}

ssize_t write(int fd, const void *buf, size_t len)
{
	REAL(ssize_t, write, int, const void *, size_t);
	if (fd == 2)
		return real(fd, buf, len);
	SOME(ssize_t, "write", real(fd, buf, len), real(fd, buf, less(len)));
}

ssize_t writev(int fd, const struct iovec *iov, int nr)
{
	REAL(ssize_t, writev, int, const struct iovec *, int);
	if (fd == 2)
		return real(fd, iov, nr);
	SOME(ssize_t, "write", real(fd, iov, nr), real(fd, iov, 1));
}

#define PWRITE(name)                                                                        \
	ssize_t name(int fd, const void *buf, size_t len, off_t at)                         \
	{                                                                                   \
		REAL(ssize_t, name, int, const void *, size_t, off_t);                      \
		SOME(ssize_t, "write", real(fd, buf, len, at), real(fd, buf, less(len), at)); \
	}
PWRITE(pwrite)
PWRITE(pwrite64)

#define PWRITEV(name, ...)                                                                         \
	ssize_t name(int fd, const struct iovec *iov, int nr, off_t at)                            \
	{                                                                                          \
		REAL(ssize_t, name, int, const struct iovec *, int, off_t);                        \
		SOME(ssize_t, "write", real(fd, iov, nr, at), real(fd, iov, 1, at)); \
	}
PWRITEV(pwritev)
PWRITEV(pwritev64)

ssize_t copy_file_range(int in, off_t *in_at, int out, off_t *out_at, size_t len, unsigned flags)
{
	const int fd = in;
	REAL(ssize_t, copy_file_range, int, off_t *, int, off_t *, size_t, unsigned);
	SOME(ssize_t, "write", real(in, in_at, out, out_at, len, flags),
	     real(in, in_at, out, out_at, less(len), flags));
}

#define WHOLE(class, ret, name, types, names)   \
	ret name types                          \
	{                                       \
		static ret(*real) types;        \
		if (fails(class))               \
			return -1;              \
		if (!real)                      \
			*(void **)&real = dlsym(RTLD_NEXT, #name); \
		return real names;              \
	}

WHOLE("flush", int, fsync, (int fd), (fd))
WHOLE("flush", int, fdatasync, (int fd), (fd))
WHOLE("size", int, ftruncate, (int fd, off_t len), (fd, len))
WHOLE("size", int, ftruncate64, (int fd, off_t len), (fd, len))
WHOLE("size", int, fallocate, (int fd, int mode, off_t at, off_t len), (fd, mode, at, len))
WHOLE("size", int, fallocate64, (int fd, int mode, off_t at, off_t len), (fd, mode, at, len))
WHOLE("lock", int, flock, (int fd, int how), (fd, how))
WHOLE("name", int, rename, (const char *a, const char *b), (a, b))
WHOLE("name", int, renameat2, (int da, const char *a, int db, const char *b, unsigned flags),
      (da, a, db, b, flags))

#define OPEN(name)                                                     \
	int name(const char *path, int flags, ...)                     \
	{                                                              \
		va_list ap;                                            \
		mode_t mode;                                           \
		REAL(int, name, const char *, int, ...);               \
		va_start(ap, flags);                                   \
		mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0; \
		va_end(ap);                                            \
		return fails("open") ? -1 : real(path, flags, mode);   \
	}
OPEN(open)
OPEN(open64)

#define FCNTL(name)                                                                            \
	int name(int fd, int command, ...)                                                     \
	{                                                                                      \
		va_list ap;                                                                    \
		void *arg;                                                                     \
		REAL(int, name, int, int, ...);                                                \
		va_start(ap, command);                                                         \
		arg = va_arg(ap, void *);                                                      \
		va_end(ap);                                                                    \
		return command == F_OFD_SETLK && fails("lock") ? -1 : real(fd, command, arg);  \
	}
FCNTL(fcntl)
FCNTL(fcntl64)
