/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "volume/copy/output.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "dev/dev.h"
#include "dev/out_file.h"
#include "volume/guard/occupied.h"

int output_refuse_sources(const char *path, const struct output_options *opt, struct err *err)
{
	const char *real = dev_output_path(path);

	for (size_t i = 0; i < opt->nr_sources; i++) {
		int same = opt->sources[i] ? dev_same(real, opt->sources[i], err) : 0;

		if (same < 0)
			return same;
		if (same)
			return err_set(err, -EDOM,
				       "%s: is a source (%s) of the image: name another output; "
				       "nothing was written",
				       real == path ? path : "standard output", opt->sources[i]);
	}
	return 0;
}

static int open_file(struct output *o, const struct output_options *opt, struct err *err)
{
	int r;

	if (opt->dry_run)
		return out_file_check(o->path, err);
	r = opt->force ? out_file_open(o->path, &o->file, err) : out_file_new(o->path, &o->file, err);
	if (r < 0)
		return r;
	r = out_file_io(o->file, o->size, &o->io, err);
	if (r)
		return r;
	o->fd = o->io->fd;
	o->reads_zero = true;
	return 0;
}

static int open_device(struct output *o, const struct output_options *opt, struct err *err)
{
	const unsigned flags = DEV_BUFFERED | DEV_WRITE; /* a dry run, too: it says what the run would say */
	int r = dev_open(o->path, flags, &o->io, err);

	if (r == -EBUSY && opt->force >= 2)
		r = dev_open(o->path, flags | DEV_SHARED, &o->io, err);
	else if (r == -EBUSY)
		err_set(err, r,
			"%s: is mounted or in use: nothing was written (-f -f writes all the same)",
			o->path);
	if (!r && !opt->force)
		r = occupied_check(o->path, o->io, FOR_IMAGE, err);
	if (r < 0)
		return r;
	if (o->io->size < o->size)
		return err_set(err, -ERANGE, "%s: has %llu bytes, the image needs %llu: nothing was written",
			       o->path, (unsigned long long)o->io->size,
			       (unsigned long long)o->size);
	o->fd = o->io->fd;
	o->reads_zero = opt->target_is_zero;
	return 0;
}

/* A symbolic link is followed: the file it leads to will be replaced. */
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
		return err_set(err, -ENODEV,
			       "%s: Invalid output file: Not a block device or regular file ('-' writes a "
			       "stream to standard output)",
			       path);
	if (!opt->force)
		return err_set(err, -EEXIST, "%s: exists: nothing was written (-f replaces it)", path);
	return 0;
}

int output_open(const char *path, const struct output_options *opt, struct output *out,
		struct err *err)
{
	struct output o = { .fd = -1, .size = opt->size };
	struct stat st;
	int r = 0;

	if (!strcmp(path, "-")) {
		o.kind = OUTPUT_STREAM;
		o.fd = STDOUT_FILENO;
		o.path = strdup("standard output");
		r = o.path ? output_refuse_sources(path, opt, err) : err_nomem(err, "output");
		if (!r)
			r = dev_no_terminal(o.fd, err);
	} else {
		if (!stat(path, &st)) {
			r = output_refuse_sources(path, opt, err);
			if (!r)
				r = existing(&o, path, opt, &st, err);
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
		return err_sys(err, -errno, "%s: flushing it to disk", o->path);
	return 0;
}

int output_commit(struct output *o, struct err *err)
{
	return o->file ? out_file_commit(steal_ptr(&o->file), err) : 0;
}

void output_discard(struct output *o)
{
	io_free(o->io);
	out_file_abort(o->file);
	free(o->path);
	*o = (struct output){ .fd = -1 };
}
