/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "volume/guard/meta_out.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dev/folded.h"
#include "dev/named.h"
#include "pool/format/format.h"
#include "volume/guard/occupied.h"

typedef unsigned long long ull;

/* *@size: bytes of the new file. */
static int choose_size(const struct meta_out_options *opt, uint64_t *size, struct err *err)
{
	struct build_counts n;
	int r = 0;

	*size = opt->size;
	if (!opt->size || opt->size == META_OUT_AUTO) {
		r = opt->count(opt->ctx, &n, err);
		*size = r ? 0 : size_for(&n) * MBLOCK_SIZE;
	}
	return r;
}

bool meta_out_is_missing(const char *path)
{
	unsigned major, minor;
	struct stat st;

	return !dev_is_standard(path) && !dev_named_find(path) && stat(path, &st) &&
	       errno == ENOENT && !dev_numbers(path, &major, &minor) && !dev_would_be_device(path);
}

/* The error when the output is missing and no size is given. */
static int missing(const char *path, const struct meta_out_options *opt, struct err *err)
{
	uint64_t size;

	if (dev_would_be_device(path))
		return err_set(err, -ENOENT, "Couldn't find output file '%s': no such device", path);
	if (choose_size(opt, &size, NULL))
		return err_set(err, -ENOENT,
			       "Couldn't find output file '%s': it must exist, with the size of "
			       "the new metadata; --size auto creates it",
			       path);
	return err_set(err, -ENOENT,
		       "Couldn't find output file '%s': it must exist, with %llu bytes for "
		       "this content: --size auto creates it, and so does truncate -s %llu",
		       path, (ull)size, (ull)size);
}

static int open_new(const char *path, const struct meta_out_options *opt, struct meta_out *out,
		    struct err *err)
{
	uint64_t size;
	int r = out_file_open(path, &out->file, err);

	if (!r && dev_is_standard(path))
		r = dev_no_terminal(out_file_fd(out->file), err);
	if (!r)
		r = choose_size(opt, &size, err);
	if (!r)
		r = out_file_io(out->file, size, &out->io, err);
	return r < 0 ? meta_out_close(out, r, err) : 0;
}

/* A file that exists may have been made by the same command before. */
static int check_existing(const char *path, const struct meta_out_options *opt,
			  const struct stat *st, struct err *err)
{
	uint64_t size;
	int r = S_ISREG(st->st_mode) ? choose_size(opt, &size, err) : 0;

	if (r)
		return r;
	if (!S_ISREG(st->st_mode))
		return err_set(err, -EEXIST,
			       "'%s' exists and is not a file: leave out --size, which creates "
			       "new files; nothing was written",
			       path);
	if ((uint64_t)st->st_size == size)
		return 0;
	return err_set(err, -EEXIST,
		       "'%s' exists and has %llu bytes, but --size asks for %llu: leave out "
		       "--size, or name a new file; nothing was written",
		       path, (ull)st->st_size, (ull)size);
}

/* Whoever cuts the file off while it is looked at gets no pool that is larger than the file. */
static int check_size(const struct meta_out *out, struct err *err)
{
	struct stat st;

	if (out->io->fd < 0 || fstat(out->io->fd, &st) || !S_ISREG(st.st_mode) ||
	    (uint64_t)st.st_size >= out->io->size)
		return 0;
	return err_set(err, -EIO, "'%s' became smaller while it was examined: nothing was written",
		       out->path);
}

/* A device of a table that cannot hold all that may be written would be noticed only when its old content is gone. */
static int check_whole(const struct meta_out *out, struct err *err)
{
	struct io_place p;

	for (uint64_t at = 0; at < out->io->size; at += p.len) {
		io_where(out->io, at, out->io->size - at, &p);
		if (p.kind != IO_STORED)
			return err_set(err, -EINVAL,
				       "'%s' cannot hold %llu bytes at %llu: a zero or error target is there, or the end of what "
				       "is below; nothing was written",
				       out->path, (ull)p.len, (ull)at);
	}
	return 0;
}

int meta_out_open(const char *path, const struct meta_out_options *opt, struct meta_out *out,
		  struct err *err)
{
	struct meta_out_options made = *opt;
	unsigned major, minor;
	struct stat st;
	int r = 0;

	*out = (struct meta_out){ .path = path, .opt = *opt };
	if (dev_is_standard(path)) {
		made.size = opt->size ? opt->size : META_OUT_AUTO;
		return open_new(path, &made, out, err);
	}
	if (dev_named_find(path)) {
		st.st_mode = S_IFBLK; /* a device of a table */
		r = dev_refuse_folded(path, err);
	} else if (stat(path, &st)) {
		if (errno != ENOENT || dev_numbers(path, &major, &minor))
			return dev_open(path, DEV_WRITE, &out->io, err);
		return opt->size ? open_new(path, opt, out, err) : missing(path, opt, err);
	}
	if (!r && opt->size)
		r = check_existing(path, opt, &st, err);
	if (!r)
		r = dev_open(path, DEV_WRITE, &out->io, err);
	if (!r && dev_named_find(path))
		r = check_whole(out, err);
	if (!r && !opt->force)
		r = occupied_check(path, out->io, FOR_METADATA, err);
	if (!r)
		r = check_size(out, err);
	if (r && out->io) {
		io_free(out->io);
		out->io = NULL;
	}
	return r;
}

int meta_out_open_existing(const char *path, const struct meta_out_options *opt, struct meta_out *out,
			   struct err *err)
{
	*out = (struct meta_out){ .path = path, .opt = *opt };
	return dev_open(path, DEV_WRITE, &out->io, err);
}

#define REFUSED "marked as not complete: the kernel and all tools refuse it until the command has run again"

static void say_state(const struct meta_out *out, const char *state)
{
	char text[600];

	if (!out->opt.left)
		return;
	snprintf(text, sizeof(text), "'%s' %s%s", out->path, out->file ? "was not created" : state,
		 out->opt.also ? out->opt.also : "");
	out->opt.left(out->opt.left_ctx, text);
}

void meta_out_begins(const struct meta_out *out)
{
	say_state(out, "is unchanged, or " REFUSED);
}

static void hear_mark(void *ctx, bool stands)
{
	say_state(ctx, stands ? "is " REFUSED : "is complete, or " REFUSED);
}

struct superblock_mark meta_out_mark(struct meta_out *out)
{
	return (struct superblock_mark){ hear_mark, out };
}

/* The output existed, and writing failed: does it still hold what it held? */
static void say_left(const struct meta_out *out, int code, struct err *err)
{
	char text[sizeof(err->text)];

	if (!err || !superblock_is_invalidated(out->io))
		return;
	snprintf(text, sizeof(text), "%s", err->text);
	err_set(err, code,
		"%.700s; '%.100s' holds no pool now: the kernel and all tools refuse it until a "
		"complete pool is written to it",
		text, out->path);
}

void meta_out_drop(struct meta_out *out)
{
	io_free(out->io);
	out_file_abort(out->file);
	*out = (struct meta_out){ 0 };
}

int meta_out_close(struct meta_out *out, int code, struct err *err)
{
	if (code < 0 && out->io && !out->file)
		say_left(out, code, err);
	io_free(out->io);
	if (out->file)
		code = out_file_close(out->file, code, err);
	*out = (struct meta_out){ 0 };
	return code;
}
