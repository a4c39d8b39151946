/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_META_OUT_H
#define VOLUME_META_OUT_H
/*
 * Where restore, repair and shrink write metadata: a device or file that exists and keeps its
 * size, or, with a size, a new file that gets its name when it is complete, or standard output.
 * What the output holds is judged by occupied.h.
 */
#include "dev/io.h"
#include "dev/out_file.h"
#include "pool/build/size.h"
#include "pool/format/superblock.h"

#define META_OUT_AUTO UINT64_MAX

struct meta_out_options {
	bool force;    /* overwrite the output whatever it holds */
	uint64_t size; /* of a new file: bytes, META_OUT_AUTO, or 0: the output must exist */
	/*
	 * counts what will be written: for the size of a new file, and for the advice when the
	 * output is missing
	 */
	int (*count)(void *ctx, struct build_counts *n, struct err *err);
	void *ctx;
	/*
	 * told what state the output is in when a signal ends the process: a sentence that names
	 * it, followed by @also; or NULL
	 */
	void (*left)(void *left_ctx, const char *text);
	void *left_ctx;
	const char *also;
};

struct meta_out {
	struct io *io;
	struct out_file *file; /* NULL: it existed */
	const char *path;      /* the caller's */
	struct meta_out_options opt;
};

/* Is there nothing at @path, neither there nor as a line of a table, and would it be a file, not a device? */
bool meta_out_is_missing(const char *path);
/*
 * -ENOENT with the size to make and how, when it is missing and there is no size; -EEXIST when
 * there is a size and it exists with another one; else as occupied_check(), dev_open() and
 * out_file_open() do.
 */
int meta_out_open(const char *path, const struct meta_out_options *opt, struct meta_out *out,
		  struct err *err);
/* The same for a file or device that exists and has the size that it shall have; the caller judges what it holds. */
int meta_out_open_existing(const char *path, const struct meta_out_options *opt, struct meta_out *out,
			   struct err *err);
/* Tells left() that writing begins: from now on the output may be marked as not complete. */
void meta_out_begins(const struct meta_out *out);
/* Tells left() when the writer's mark stands there for sure, and when it may go. */
struct superblock_mark meta_out_mark(struct meta_out *out);
/*
 * @code is what writing gave: 0 gives a new file its name, anything else drops it.  Where a failed
 * writer had begun to overwrite what existed, @err says that it holds no pool now.  0 or -errno.
 */
int meta_out_close(struct meta_out *out, int code, struct err *err);
/* Ends a dry run: what existed is as it was, and no new file gets its name. */
void meta_out_drop(struct meta_out *out);

#endif
