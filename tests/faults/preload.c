/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Preloaded into a command: makes one call to the system fail.  With WRAP the same is linked into the
 * commands of a build with sanitizers, which have a malloc() of their own: `ld --wrap` sends our calls here.
 *
 *	FAULT=CLASS:N:ERRNO  the N-th call of that class fails with that error (a number); 0: it does
 *	                     half of what was asked, or is interrupted; -1: the command is killed
 *	                     before it; -2: after half of what was to be written; -3: interrupted by
 *	                     SIGINT before it; -4: the file that is to be read loses its second half first
 *	FAULT_HIT=FILE       made when that call came
 *	FAULT_FROM=WORD      only calls count that come from an object with this word in its path (a plugin)
 *
 * Classes: memory, read, write, flush, name (rename, link), open, size (ftruncate, fallocate), lock, thread.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
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
	const char *from;
	bool on;
} fault;

static void hit(void)
{
	const char *path = getenv("FAULT_HIT");
	int fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_CLOEXEC,
				     0600)
		      : -1;

	if (fd >= 0)
		close(fd);
}

__attribute__((constructor)) static void start(void)
{
	const char *text = getenv("FAULT");

	fault.from = getenv("FAULT_FROM");
	fault.on =
		text && sscanf(text, "%15[a-z]:%ld:%d", fault.class, &fault.nr, &fault.error) == 3;
}

#ifdef WRAP
#include "unit/failing.h"

void failing_begin(const char *class, long nr, int error)
{
	snprintf(fault.class, sizeof(fault.class), "%s", class);
	fault.nr = nr;
	fault.error = error;
	fault.seen = 0;
	fault.on = true;
}

bool failing_end(void)
{
	fault.on = false;
	return fault.seen >= fault.nr;
}
#endif

static bool counts(const void *caller)
{
	Dl_info info;

	return !fault.from ||
	       (dladdr(caller, &info) && info.dli_fname && strstr(info.dli_fname, fault.from));
}

static bool fails_from(const char *class, const void *caller)
{
	if (!fault.on || strcmp(class, fault.class) || !counts(caller) ||
	    atomic_fetch_add(&fault.seen, 1) + 1 != fault.nr)
		return false;
	hit();
	if (fault.error == -1)
		raise(SIGKILL);
	if (fault.error == -3)
		raise(SIGINT);
	errno = fault.error > 0 ? fault.error : EINTR; /* -3 comes here where SIGINT is ignored */
	return true;
}

#define fails(class) fails_from(class, __builtin_return_address(0))

/*
 * CALL(type, name, (parameters)) begins the function that stands before @name.  It hands on to REAL(name):
 * the linker's, or the next object's, which FIND(name) looks for.
 */
#ifdef WRAP
#define HERE(name) __wrap_##name
#define REAL(name) __real_##name
#define CALL(ret, name, params)          \
	extern ret __real_##name params; \
	ret __wrap_##name params;        \
	ret __wrap_##name params
#define FIND(name)     ((void)0)
#define LIBC(name)     __real_##name
#define MEMALIGN       __real_aligned_alloc
#define POSIX_MEMALIGN __real_posix_memalign
extern int __real_posix_memalign(void **, size_t, size_t);
#else
#define HERE(name) name
#define REAL(name) real_##name
#define CALL(ret, name, params)          \
	static ret(*real_##name) params; \
	ret name params
#define FIND(name)        \
	if (!real_##name) \
	*(void **)&real_##name = dlsym(RTLD_NEXT, #name)
#define LIBC(name)		      __libc_##name
#define MEMALIGN		      __libc_memalign
#define POSIX_MEMALIGN(p, align, len) ((*(p) = __libc_memalign(align, len)) ? 0 : ENOMEM)
#endif

extern void *LIBC(malloc)(size_t);
extern void *LIBC(calloc)(size_t, size_t);
extern void *LIBC(realloc)(void *, size_t);
extern void *MEMALIGN(size_t, size_t);
void *HERE(malloc)(size_t);
void *HERE(calloc)(size_t, size_t);
void *HERE(realloc)(void *, size_t);
void *HERE(aligned_alloc)(size_t, size_t);
int HERE(posix_memalign)(void **, size_t, size_t);

void *HERE(malloc)(size_t len)
{
	return fails("memory") ? NULL : LIBC(malloc)(len);
}

void *HERE(calloc)(size_t nr, size_t len)
{
	return fails("memory") ? NULL : LIBC(calloc)(nr, len);
}

void *HERE(realloc)(void *p, size_t len)
{
	return fails("memory") ? NULL : LIBC(realloc)(p, len);
}

void *HERE(aligned_alloc)(size_t align, size_t len)
{
	return fails("memory") ? NULL : MEMALIGN(align, len);
}

int HERE(posix_memalign)(void **p, size_t align, size_t len)
{
	return fails("memory") ? ENOMEM : POSIX_MEMALIGN(p, align, len);
}

#ifdef WRAP
/* Others that ask for memory: calls within libc are not seen here. */
#define MEMORY(ret, failed, name, params, names)                      \
	CALL(ret, name, params)                                       \
	{                                                             \
		return fails("memory") ? (failed) : REAL(name) names; \
	}
MEMORY(void *, NULL, reallocarray, (void *p, size_t nr, size_t len), (p, nr, len))
MEMORY(char *, NULL, strdup, (const char *s), (s))
MEMORY(char *, NULL, strndup, (const char *s, size_t len), (s, len))
MEMORY(char *, NULL, realpath, (const char *path, char *out), (path, out))
MEMORY(int, -1, vasprintf, (char **out, const char *format, va_list ap), (out, format, ap))

int __wrap_asprintf(char **out, const char *format, ...);
int __wrap_asprintf(char **out, const char *format, ...)
{
	va_list ap;
	int n = -1;

	va_start(ap, format);
	if (!fails("memory"))
		n = REAL(vasprintf)(out, format, ap);
	va_end(ap);
	return n;
}
#endif

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

#define SOME(ret, class, call, half)     \
	do {                             \
		if (!fails(class))       \
			return call;     \
		if (fault.error == -4) { \
			shrink(fd);      \
			return call;     \
		}                        \
		if (fault.error > 0)     \
			return -1;       \
		ret did = half;          \
		if (fault.error == -2)   \
			raise(SIGKILL);  \
		return did;              \
	} while (0)

CALL(ssize_t, read, (int fd, void *buf, size_t len))
{
	FIND(read);
	SOME(ssize_t, "read", REAL(read)(fd, buf, len), REAL(read)(fd, buf, less(len)));
}

#define PREAD(name)                                                    \
	CALL(ssize_t, name, (int fd, void *buf, size_t len, off_t at)) \
	{                                                              \
		FIND(name);                                            \
		SOME(ssize_t, "read", REAL(name)(fd, buf, len, at),    \
		     REAL(name)(fd, buf, less(len), at));              \
	}
PREAD(pread)
PREAD(pread64)

/* These may be asked for cached data only (RWF_NOWAIT): that it is not cached is no fault. */
#define PREADV2(name)                                                                       \
	CALL(ssize_t, name, (int fd, const struct iovec *iov, int nr, off_t at, int flags)) \
	{                                                                                   \
		FIND(name);                                                                 \
		SOME(ssize_t, "read", REAL(name)(fd, iov, nr, at, flags),                   \
		     REAL(name)(fd, iov, 1, at, flags));                                    \
	}
PREADV2(preadv2)
PREADV2(preadv64v2)

CALL(ssize_t, write, (int fd, const void *buf, size_t len))
{
	FIND(write);
	if (fd == 2)
		return REAL(write)(fd, buf, len);
	SOME(ssize_t, "write", REAL(write)(fd, buf, len), REAL(write)(fd, buf, less(len)));
}

CALL(ssize_t, writev, (int fd, const struct iovec *iov, int nr))
{
	FIND(writev);
	if (fd == 2)
		return REAL(writev)(fd, iov, nr);
	SOME(ssize_t, "write", REAL(writev)(fd, iov, nr), REAL(writev)(fd, iov, 1));
}

CALL(ssize_t, vmsplice, (int fd, const struct iovec *iov, size_t nr, unsigned flags))
{
	struct iovec part = { iov->iov_base, less(iov->iov_len) };

	FIND(vmsplice);
	SOME(ssize_t, "write", REAL(vmsplice)(fd, iov, nr, flags),
	     REAL(vmsplice)(fd, &part, 1, flags));
}

#define PWRITE(name)                                                         \
	CALL(ssize_t, name, (int fd, const void *buf, size_t len, off_t at)) \
	{                                                                    \
		FIND(name);                                                  \
		SOME(ssize_t, "write", REAL(name)(fd, buf, len, at),         \
		     REAL(name)(fd, buf, less(len), at));                    \
	}
PWRITE(pwrite)
PWRITE(pwrite64)

#define PWRITEV(name)                                                                            \
	CALL(ssize_t, name, (int fd, const struct iovec *iov, int nr, off_t at))                 \
	{                                                                                        \
		FIND(name);                                                                      \
		SOME(ssize_t, "write", REAL(name)(fd, iov, nr, at), REAL(name)(fd, iov, 1, at)); \
	}
PWRITEV(pwritev)
PWRITEV(pwritev64)

/* Both have @fd for the file that may be cut off: the one that is read. */
#define BETWEEN(name)                                                                 \
	CALL(ssize_t, name,                                                           \
	     (int fd, off_t *at, int out, off_t *out_at, size_t len, unsigned flags)) \
	{                                                                             \
		FIND(name);                                                           \
		SOME(ssize_t, "write", REAL(name)(fd, at, out, out_at, len, flags),   \
		     REAL(name)(fd, at, out, out_at, less(len), flags));              \
	}
BETWEEN(copy_file_range)
BETWEEN(splice)

#define WHOLE(class, name, params, names)                    \
	CALL(int, name, params)                              \
	{                                                    \
		FIND(name);                                  \
		return fails(class) ? -1 : REAL(name) names; \
	}
WHOLE("flush", fsync, (int fd), (fd))
WHOLE("flush", fdatasync, (int fd), (fd))
WHOLE("size", ftruncate, (int fd, off_t len), (fd, len))
WHOLE("size", ftruncate64, (int fd, off_t len), (fd, len))
WHOLE("size", fallocate, (int fd, int mode, off_t at, off_t len), (fd, mode, at, len))
WHOLE("size", fallocate64, (int fd, int mode, off_t at, off_t len), (fd, mode, at, len))
WHOLE("lock", flock, (int fd, int how), (fd, how))
WHOLE("name", rename, (const char *a, const char *b), (a, b))
WHOLE("name", renameat2, (int da, const char *a, int db, const char *b, unsigned flags),
      (da, a, db, b, flags))
WHOLE("name", linkat, (int da, const char *a, int db, const char *b, int flags),
      (da, a, db, b, flags))

CALL(int, pthread_create,
     (pthread_t * t, const pthread_attr_t *attr, void *(*fn)(void *), void *arg))
{
	FIND(pthread_create);
	return fails("thread") ? errno : REAL(pthread_create)(t, attr, fn, arg);
}

#define OPEN(name)                                                             \
	CALL(int, name, (const char *path, int flags, ...))                    \
	{                                                                      \
		va_list ap;                                                    \
		mode_t mode;                                                   \
		FIND(name);                                                    \
		va_start(ap, flags);                                           \
		mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0; \
		va_end(ap);                                                    \
		return fails("open") ? -1 : REAL(name)(path, flags, mode);     \
	}
OPEN(open)
OPEN(open64)

#define FCNTL(name)                                                                            \
	CALL(int, name, (int fd, int command, ...))                                            \
	{                                                                                      \
		va_list ap;                                                                    \
		void *arg;                                                                     \
		FIND(name);                                                                    \
		va_start(ap, command);                                                         \
		arg = va_arg(ap, void *);                                                      \
		va_end(ap);                                                                    \
		return command == F_OFD_SETLK && fails("lock") ? -1                            \
							       : REAL(name)(fd, command, arg); \
	}
FCNTL(fcntl)
FCNTL(fcntl64)
