/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "volume/copy/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "dev/dev.h"
#include "volume/guard/occupied.h"

static int refuse_sources(const char *path, const struct output_options *opt, struct err *err)
{
	const char *real = dev_output_path(path);
	size_t i;

	for (i = 0; i < opt->nr_sources; i++)
		if (opt->sources[i] && dev_same(real, opt->sources[i]))
			return err_set(err, -EINVAL,
				       "%s: is a source (%s) of the image: the output must be another file "
				       "or device; nothing was written",
				       real == path ? path : "standard output", opt->sources[i]);
	return 0;
}

/* The folder of @path, open; *base is what follows its last slash. */
static int open_folder(const char *path, const char **base, int *fd, struct err *err)
{
	const char *slash = strrchr(path, '/');
	CLEANUP(free_ptr) char *folder = NULL;

	folder = !slash ? strdup(".") : slash == path ? strdup("/") :
							strndup(path, (size_t)(slash - path));
	if (!folder)
		return err_nomem(err, "output");
	*base = slash ? slash + 1 : path;
	if (!**base)
		return err_set(err, -EISDIR, "%s: the output needs a file name", path);
	*fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*fd < 0)
		return err_sys(err, -errno, "%s: folder of the output '%s'", folder, path);
	return 0;
}

/* Can the file behind @fd be given a name later?  Needs /proc. */
static bool can_link(int fd)
{
	char proc[40];

	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	return !access(proc, F_OK);
}

static int open_named(struct output *o, const char *base, struct err *err)
{
	int n, tries;

	for (tries = 0; tries < 100; tries++) {
		free(o->temp);
		n = asprintf(&o->temp, ".%.200s.%d-%d", base, (int)getpid(), tries);
		if (n < 0) {
			o->temp = NULL;
			return err_nomem(err, "output");
		}
		o->fd = openat(o->folder, o->temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		if (o->fd >= 0)
			return 0;
		if (errno != EEXIST)
			break;
	}
	n = -errno;
	free(steal_ptr(&o->temp));
	return err_sys(err, n, "%s: making the file", o->path);
}

static int open_file(struct output *o, const struct output_options *opt, struct err *err)
{
	const char *base = NULL;
	int r = open_folder(o->path, &base, &o->folder, err);

	if (r < 0 || opt->dry_run)
		return r;
	o->fd = openat(o->folder, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
	if (o->fd >= 0 && !can_link(o->fd)) {
		close(o->fd);
		o->fd = -1;
	}
	if (o->fd < 0)
		r = open_named(o, base, err);
	if (r < 0)
		return r;
	if (ftruncate(o->fd, (off_t)o->size))
		return err_sys(err, -errno, "%s: a file of %llu bytes", o->path,
			       (unsigned long long)o->size);
	o->io = io_file_new(o->fd, o->path, o->size, false);
	o->reads_zero = true;
	return o->io ? 0 : err_nomem(err, "output");
}

static int open_device(struct output *o, const struct output_options *opt, struct err *err)
{
	unsigned flags = DEV_BUFFERED | (opt->dry_run ? DEV_SHARED : DEV_WRITE);
	int r;

	r = dev_in_use(o->path, err);
	if (r < 0)
		return r;
	if (r && opt->force < 2)
		return err_set(err, -EBUSY,
			       "%s: is mounted or in use: nothing was written (-f -f writes in spite of it)",
			       o->path);
	if (r)
		flags |= DEV_SHARED;
	r = opt->force ? 0 : occupied_check(o->path, FOR_IMAGE, err);
	if (r < 0)
		return r;
	r = dev_open(o->path, flags, &o->io, err);
	if (r < 0)
		return r;
	if (o->io->size < o->size)
		return err_set(err, -ENOSPC, "%s: has %llu bytes, the image needs %llu: nothing was written",
			       o->path, (unsigned long long)o->io->size,
			       (unsigned long long)o->size);
	o->fd = o->io->fd;
	o->reads_zero = opt->target_is_zero;
	return 0;
}

/* A symbolic link is followed: what it leads to is what will be replaced. */
static int existing(struct output *o, const char *path, const struct output_options *opt,
		    const struct stat *st, struct err *err)
{
	char *real = realpath(path, NULL);

	if (!real)
		return err_sys(err, -errno, "%s", path);
	o->path = real;
	if (S_ISBLK(st->st_mode)) {
		o->kind = OUTPUT_DEVICE;
		return 0;
	}
	if (S_ISDIR(st->st_mode))
		return err_set(err, -EISDIR, "%s: Invalid output file: Not a block device or regular file",
			       path);
	if (!S_ISREG(st->st_mode))
		return err_set(err, -EINVAL,
			       "%s: Invalid output file: Not a block device or regular file ('-' writes a "
			       "stream to standard output)",
			       path);
	if (!opt->force)
		return err_set(err, -EEXIST, "%s: exists: nothing was written (-f replaces it)", path);
	o->replace = true;
	o->mode = st->st_mode & 07777;
	o->uid = st->st_uid;
	o->gid = st->st_gid;
	return 0;
}

int output_open(const char *path, const struct output_options *opt, struct output *out,
		struct err *err)
{
	struct output o = { .fd = -1, .folder = -1, .size = opt->size };
	struct stat st;
	int r = 0;

	if (!strcmp(path, "-")) {
		o.kind = OUTPUT_STREAM;
		o.fd = STDOUT_FILENO;
		o.path = strdup("standard output");
		r = o.path ? refuse_sources(path, opt, err) : err_nomem(err, "output");
	} else {
		if (!stat(path, &st)) {
			r = refuse_sources(path, opt, err);
			if (!r)
				r = existing(&o, path, opt, &st, err);
		} else if (errno == ENOENT && !lstat(path, &st)) {
			r = err_set(err, -ENOENT, "%s: is a symbolic link that leads nowhere", path);
		} else {
			o.path = strdup(path);
			r = o.path ? 0 : err_nomem(err, "output");
		}
		if (!r)
			r = o.kind == OUTPUT_DEVICE ? open_device(&o, opt, err) :
						      open_file(&o, opt, err);
	}
	if (r < 0) {
		output_discard(&o);
		return r;
	}
	*out = o;
	return 0;
}

int output_sync(struct output *o, struct err *err)
{
	if (o->io)
		return io_flush(o->io, err);
	/* pipes and terminals cannot, and need not */
	if (fsync(o->fd) && errno != EINVAL && errno != EROFS && errno != ENOTSUP)
		return err_sys(err, -errno, "%s: bringing it to the disk", o->path);
	return 0;
}

/* An unnamed file gets its final name, or a hidden one when something is to be replaced. */
static int link_file(struct output *o, const char *base, struct err *err)
{
	char proc[40];
	int tries = 0, r;

	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", o->fd);
	if (!o->replace) {
		if (linkat(AT_FDCWD, proc, o->folder, base, AT_SYMLINK_FOLLOW))
			return err_sys(err, -errno, "%s: naming the complete file", o->path);
		return 0;
	}
	do {
		free(o->temp);
		if (asprintf(&o->temp, ".%.200s.%d-%d", base, (int)getpid(), tries) < 0) {
			o->temp = NULL;
			return err_nomem(err, "output");
		}
		r = linkat(AT_FDCWD, proc, o->folder, o->temp, AT_SYMLINK_FOLLOW);
	} while (r && errno == EEXIST && ++tries < 100);
	if (!r)
		return 0;
	r = -errno;
	free(steal_ptr(&o->temp));
	return err_sys(err, r, "%s: naming the complete file", o->path);
}

/* rename() would replace a file that came up meanwhile. */
static int rename_file(struct output *o, const char *base, struct err *err)
{
	unsigned flags = o->replace ? 0 : RENAME_NOREPLACE;
	int r = renameat2(o->folder, o->temp, o->folder, base, flags);

	if (r && flags && (errno == EINVAL || errno == ENOSYS))
		r = faccessat(o->folder, base, F_OK, AT_SYMLINK_NOFOLLOW) ?
			    renameat(o->folder, o->temp, o->folder, base) :
			    (errno = EEXIST, -1);
	if (r)
		return err_sys(err, -errno, "%s: naming the complete file", o->path);
	free(steal_ptr(&o->temp));
	return 0;
}

int output_commit(struct output *o, struct err *err)
{
	const char *slash, *base;
	int r = 0;

	if (o->kind != OUTPUT_FILE)
		return 0;
	slash = strrchr(o->path, '/');
	base = slash ? slash + 1 : o->path;
	if (o->replace) { /* owner first: changing it takes the set-id bits away */
		if (fchown(o->fd, o->uid, o->gid) && errno != EPERM)
			return err_sys(err, -errno, "%s: owner", o->path);
		if (fchmod(o->fd, o->mode))
			return err_sys(err, -errno, "%s: mode", o->path);
	}
	if (!o->temp)
		r = link_file(o, base, err);
	if (!r && o->temp)
		r = rename_file(o, base, err);
	if (r < 0)
		return r;
	if (fsync(o->folder) && errno != EINVAL)
		return err_sys(err, -errno, "%s: bringing its name to the disk", o->path);
	return 0;
}

void output_discard(struct output *o)
{
	if (o->temp)
		unlinkat(o->folder, o->temp, 0);
	if (o->io)
		io_free(o->io);
	else if (o->kind == OUTPUT_FILE && o->fd >= 0)
		close(o->fd);
	if (o->folder >= 0)
		close(o->folder);
	free(o->temp);
	free(o->path);
	*o = (struct output){ .fd = -1, .folder = -1 };
}
