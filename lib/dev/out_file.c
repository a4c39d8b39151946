/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * O_TMPFILE leaves nothing behind however the process dies; where the filesystem or a missing
 * /proc does not allow it, a file with a temporary name does the work.
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

struct out_file {
	int fd;
	char *path; /* symbolic links resolved; NULL: written directly */
	char *temp; /* NULL: has no name yet */
	char *shown; /* the name as it was given, for messages */
};

static void out_file_free(struct out_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
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

static int open_temp(struct out_file *f, mode_t mode, struct err *err)
{
	CLEANUP(free_ptr) char *folder = folder_of(f->path);
	mode_t mask = umask(0);

	umask(mask);
	if (!folder || asprintf(&f->temp, "%s.XXXXXX", f->path) < 0) {
		f->temp = NULL;
		return err_nomem(err, f->shown);
	}
	if (!access("/proc/self/fd", X_OK))
		f->fd = open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	if (f->fd >= 0) {
		free(f->temp);
		f->temp = NULL;
	} else {
		f->fd = mkostemp(f->temp, O_CLOEXEC);
	}
	if (f->fd < 0) {
		int code = -errno;

		free(f->temp);
		f->temp = NULL;
		return err_sys(err, code, "cannot create '%s'", f->shown);
	}
	if (fchmod(f->fd, mode ? mode : 0666 & ~mask))
		return err_sys(err, -errno, "cannot set the mode of '%s'", f->shown);
	return 0;
}

static int open_kind(struct out_file *f, const char *path, struct err *err)
{
	struct stat st;

	if (stat(path, &st)) {
		if (errno != ENOENT)
			return err_sys(err, -errno, "cannot open '%s'", path);
		f->path = strdup(path);
		return f->path ? open_temp(f, 0, err) : err_nomem(err, path);
	}
	if (S_ISDIR(st.st_mode))
		return err_sys(err, -EISDIR, "Invalid output file: '%s'", path);
	if (S_ISBLK(st.st_mode))
		return err_set(err, -ENOTBLK,
			       "Invalid output file: '%s' is a block device, this would be written to a file",
			       path);
	if (S_ISREG(st.st_mode)) {
		if (access(path, W_OK))
			return err_sys(err, -errno, "cannot write to '%s'", path);
		f->path = realpath(path, NULL);
		if (!f->path)
			return err_sys(err, -errno, "cannot open '%s'", path);
		return open_temp(f, st.st_mode & 0777, err);
	}
	f->fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	return f->fd < 0 ? err_sys(err, -errno, "cannot open '%s'", path) : 0;
}

int out_file_open(const char *path, struct out_file **out, struct err *err)
{
	struct out_file *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return err_nomem(err, path);
	f->fd = -1;
	f->shown = strdup(path);
	r = f->shown ? open_kind(f, path, err) : err_nomem(err, path);
	if (r)
		out_file_abort(f);
	else
		*out = f;
	return r;
}

int out_file_fd(const struct out_file *f)
{
	return f->fd;
}

/* Gives a nameless file a temporary name, free at this moment. */
static int give_temp_name(struct out_file *f, struct err *err)
{
	char fd_path[40];

	snprintf(fd_path, sizeof(fd_path), "/proc/self/fd/%d", f->fd);
	for (unsigned i = 0; i < 1000; i++) {
		if (asprintf(&f->temp, "%s.%d.%u", f->path, (int)getpid(), i) < 0) {
			f->temp = NULL;
			return err_nomem(err, f->shown);
		}
		if (!linkat(AT_FDCWD, fd_path, AT_FDCWD, f->temp, AT_SYMLINK_FOLLOW))
			return 0;
		free(f->temp);
		f->temp = NULL;
		if (errno != EEXIST)
			break;
	}
	return err_sys(err, -errno, "cannot name '%s'", f->shown);
}

static int commit(struct out_file *f, struct err *err)
{
	CLEANUP(free_ptr) char *folder = NULL;
	int r, fd;

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
	if (rename(f->temp, f->path))
		return err_sys(err, -errno, "cannot replace '%s'", f->shown);
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
