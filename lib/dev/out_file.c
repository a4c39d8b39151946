/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * A file made with O_TMPFILE vanishes however the process dies.  Where the filesystem or a missing
 * /proc does not allow it, a file with a temporary name takes its place.
 */
#include "dev/out_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/leftover.h"
#include "base/portable.h"
#include "base/signals.h"
#include "dev/dev.h"

#define COPY_LEN ((size_t)1 << 20)

struct out_file {
	int fd;
	int spool; /* holds what fd gets in out_file_commit(), which cannot be written anywhere; or -1 */
	bool is_new; /* nothing may be replaced */
	char *path; /* symbolic links resolved; NULL: written directly */
	char *temp; /* NULL: the file has no name yet */
	char *shown; /* the name as it was given, for messages */
};

static void out_file_free(struct out_file *f)
{
	leftover_keep(f->temp);
	if (f->fd >= 0)
		close(f->fd);
	if (f->spool >= 0)
		close(f->spool);
	free(f->path);
	free(f->temp);
	free(f->shown);
	free(f);
}

static char *folder_of(const char *path)
{
	CLEANUP(free_ptr) char *copy = strdup(path);

	return copy ? strdup(dirname(copy)) : NULL;
}

#define TEMP_LEN 100 /* bytes of the file's name that its temporary name begins with */

/* A name of the greatest length has no room for more, so not all of it is taken; a character of UTF-8 is not cut. */
static int temp_name(const struct out_file *f, unsigned i, char **out)
{
	const char *slash = strrchr(f->path, '/'), *name = slash ? slash + 1 : f->path;
	size_t n = strlen(name);

	if (n > TEMP_LEN)
		for (n = TEMP_LEN; n && (name[n] & 0xc0) == 0x80; n--)
			;
	return asprintf(out, "%.*s.%d.%u", (int)(name + n - f->path), f->path, (int)getpid(), i);
}

/* Finds a temporary name with which @attempt succeeds, which returns -EEXIST where the name is in use. */
static int find_temp_name(struct out_file *f, int (*attempt)(struct out_file *f, mode_t mode), mode_t mode)
{
	int r = -EEXIST;
	sigset_t old;

	for (unsigned i = 0; i < 1000 && r == -EEXIST; i++) {
		if (temp_name(f, i, &f->temp) < 0) {
			f->temp = NULL;
			return -ENOMEM;
		}
		signals_hold(&old); /* no file is made and not noted */
		r = attempt(f, mode);
		if (!r)
			leftover_note(f->temp);
		signals_release(&old);
		if (r) {
			free(f->temp);
			f->temp = NULL;
		}
	}
	return r;
}

static int open_temp_name(struct out_file *f, mode_t mode)
{
	f->fd = open(f->temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	return f->fd < 0 ? -errno : 0;
}

/* Opens a file with a temporary name, where the filesystem has no files without a name. */
static int open_named(struct out_file *f, mode_t mode)
{
	int r = find_temp_name(f, open_temp_name, mode);

	if (r)
		return r;
	f->fd = fd_not_standard(f->fd);
	return f->fd < 0 ? -errno : 0;
}

/*
 * @old: the file that will be replaced; the new file gets its owner and mode.  NULL: there is none.
 */
static int open_temp(struct out_file *f, const struct stat *old, struct err *err)
{
	CLEANUP(free_ptr) char *folder = folder_of(f->path);
	mode_t mode = old ? 0600 : 0666;
	int r = 0;

	if (!folder)
		return err_nomem(err, f->shown);
	if (!access("/proc/self/fd", X_OK))
		f->fd = fd_not_standard(open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, mode));
	if (f->fd < 0)
		r = open_named(f, mode);
	if (r)
		return err_sys(err, r, "cannot create '%s'", f->shown);
	/* owner first: changing it takes the set-id bits away */
	if (old && fchown(f->fd, old->st_uid, old->st_gid) && errno != EPERM)
		return err_sys(err, -errno, "cannot set the owner of '%s'", f->shown);
	if (old && fchmod(f->fd, old->st_mode & 07777))
		return err_sys(err, -errno, "cannot set the mode of '%s'", f->shown);
	return 0;
}

static int check_new(const char *path, struct err *err)
{
	CLEANUP(free_ptr) char *folder = NULL;
	struct stat st;

	if (!lstat(path, &st) && S_ISLNK(st.st_mode))
		return err_set(err, -ENOENT, "'%s' is a symbolic link whose target does not exist; nothing was written", path);
	if (dev_would_be_device(path))
		return err_set(err, -ENODEV, "'%s': no such device, and no file is created in "
					     "/dev", path);
	folder = folder_of(path);
	if (!folder)
		return err_nomem(err, path);
	if (stat(folder, &st))
		return err_sys(err, -errno, "cannot create '%s'", path);
	if (!S_ISDIR(st.st_mode))
		return err_sys(err, -ENOTDIR, "cannot create '%s'", path);
	if (!*path || path[strlen(path) - 1] == '/')
		return err_set(err, -EISDIR, "'%s': the output needs a file name", path);
	return 0;
}

static int open_new(struct out_file *f, const char *path, struct err *err)
{
	int r = check_new(path, err);

	if (r < 0)
		return r;
	f->path = strdup(path);
	return f->path ? open_temp(f, NULL, err) : err_nomem(err, path);
}

static int open_standard(struct out_file *f, struct err *err)
{
	f->fd = fd_copy(STDOUT_FILENO);
	return f->fd < 0 ? err_sys(err, -errno, "cannot write to standard output") : 0;
}

static int open_kind(struct out_file *f, const char *path, struct err *err)
{
	struct stat st;

	if (dev_is_standard(path))
		return open_standard(f, err);
	if (stat(path, &st)) {
		if (errno != ENOENT)
			return err_sys(err, -errno, "cannot open '%s'", path);
		return open_new(f, path, err);
	}
	if (f->is_new)
		return err_set(err, -EEXIST, "'%s' exists", path);
	if (S_ISDIR(st.st_mode))
		return err_sys(err, -EISDIR, "Invalid output file: '%s'", path);
	if (S_ISBLK(st.st_mode))
		return err_set(err, -ENOTBLK,
			       "Invalid output file: '%s' is a block device: name a file",
			       path);
	if (S_ISREG(st.st_mode)) {
		if (access(path, W_OK))
			return err_sys(err, -errno, "cannot write to '%s'", path);
		f->path = realpath(path, NULL);
		if (!f->path)
			return err_sys(err, -errno, "cannot open '%s'", path);
		return open_temp(f, &st, err);
	}
	f->fd = fd_not_standard(open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY));
	return f->fd < 0 ? err_sys(err, -errno, "cannot open '%s'", path) : 0;
}

static int open_either(const char *path, bool is_new, struct out_file **out, struct err *err)
{
	struct out_file *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return err_nomem(err, path);
	f->fd = f->spool = -1;
	f->is_new = is_new;
	f->shown = strdup(dev_shown_output(path));
	r = f->shown ? open_kind(f, path, err) : err_nomem(err, path);
	if (r)
		out_file_abort(f);
	else
		*out = f;
	return r;
}

int out_file_open(const char *path, struct out_file **out, struct err *err)
{
	return open_either(path, false, out, err);
}

int out_file_check(const char *path, struct err *err)
{
	struct out_file *f;
	struct stat st;
	int r;

	if (!dev_is_standard(path) && !stat(path, &st) && S_ISFIFO(st.st_mode))
		return access(path, W_OK) ? err_sys(err, -errno, "cannot open '%s'", path) : 0;
	r = out_file_open(path, &f, err);
	if (!r)
		out_file_abort(f);
	return r;
}

int out_file_new(const char *path, struct out_file **out, struct err *err)
{
	return open_either(path, true, out, err);
}

/*
 * An output without a path (a pipe) takes bytes in order only, so a temporary file collects them.
 */
static int make_spool(struct out_file *f, struct err *err)
{
	int r = f->path ? 0 : dev_no_terminal(f->fd, err);

	if (r < 0 || f->path)
		return r;
	f->spool = dev_temp_file(err);
	return MIN(f->spool, 0);
}

int out_file_io(struct out_file *f, uint64_t size, struct io **out, struct err *err)
{
	int r = make_spool(f, err);
	CLEANUP(close_fd) int fd = r ? -1 : fd_copy(f->path ? f->fd : f->spool);

	*out = NULL;
	if (r)
		return r;
	if (fd < 0 || ftruncate(fd, (off_t)size))
		return err_sys(err, -errno, "cannot set the size of '%s' to %llu bytes", f->shown,
			       (unsigned long long)size);
	*out = io_file_new(fd, f->shown, size, false);
	if (!*out)
		return err_nomem(err, f->shown);
	steal_fd(&fd);
	(*out)->nameless = true; /* commit() flushes it, once, before anybody can find it */
	return 0;
}

int out_file_fd(const struct out_file *f)
{
	return f->fd;
}

static int link_temp_name(struct out_file *f, mode_t mode)
{
	char fd_path[40];

	(void)mode;
	snprintf(fd_path, sizeof(fd_path), "/proc/self/fd/%d", f->fd);
	return linkat(AT_FDCWD, fd_path, AT_FDCWD, f->temp, AT_SYMLINK_FOLLOW) ? -errno : 0;
}

/* Gives a file without a name a temporary name that is not in use. */
static int give_temp_name(struct out_file *f, struct err *err)
{
	int r = find_temp_name(f, link_temp_name, 0);

	return r ? err_sys(err, r, "cannot make a temporary name for '%s'", f->shown) : 0;
}

static int copy_spool(struct out_file *f, struct err *err)
{
	CLEANUP(free_ptr) char *buf = malloc(COPY_LEN);
	off_t at = 0;
	ssize_t n;
	int r = 0;

	if (!buf)
		return err_nomem(err, f->shown);
	while (!r && (n = pread(f->spool, buf, COPY_LEN, at))) {
		if (n < 0)
			return err_sys(err, -errno, "cannot read a temporary file");
		r = fd_write(f->fd, f->shown, buf, (size_t)n, err);
		at += n;
	}
	return r;
}

/* Renames the file to its path.  With @is_new a file that was made there meanwhile is kept. */
static int take_name(const struct out_file *f)
{
	int r = f->is_new ? rename_noreplace(f->temp, f->path) : rename(f->temp, f->path);

	if (r && f->is_new && (errno == EINVAL || errno == ENOSYS))
		r = faccessat(AT_FDCWD, f->path, F_OK, AT_SYMLINK_NOFOLLOW) ? rename(f->temp, f->path) :
									     (errno = EEXIST, -1);
	return r ? -errno : 0;
}

static int commit(struct out_file *f, struct err *err)
{
	CLEANUP(free_ptr) char *folder = NULL;
	sigset_t old;
	int r, fd;

	r = f->spool >= 0 ? copy_spool(f, err) : 0;
	if (r < 0)
		return r;
	/* pipes and most devices have nothing to flush */
	if (fsync(f->fd) && errno != EINVAL && errno != EROFS && errno != ENOTSUP)
		return err_sys(err, -errno, "cannot write to %s", f->shown);
	if (!f->path)
		return 0;
	if (!f->temp) {
		r = give_temp_name(f, err);
		if (r)
			return r;
	}
	signals_hold(&old);
	r = take_name(f);
	if (!r)
		leftover_named();
	signals_release(&old);
	if (r < 0)
		return err_sys(err, r, "cannot rename the finished file to '%s', which is unchanged", f->shown);
	leftover_keep(f->temp);
	free(f->temp);
	f->temp = NULL;
	folder = folder_of(f->path);
	fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (fd >= 0) { /* the content is safe; the name as far as the filesystem lets us */
		(void)fsync(fd);
		close(fd);
	}
	return 0;
}

int out_file_commit(struct out_file *f, struct err *err)
{
	int r = commit(f, err);

	if (r)
		out_file_abort(f);
	else
		out_file_free(f);
	return r;
}

void out_file_abort(struct out_file *f)
{
	if (!f)
		return;
	if (f->temp)
		unlink(f->temp);
	out_file_free(f);
}

int out_file_close(struct out_file *f, int code, struct err *err)
{
	int r = code < 0 ? code : out_file_commit(f, err);

	if (code < 0)
		out_file_abort(f);
	return r < 0 ? r : code;
}
