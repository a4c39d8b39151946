/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_POOL_SOURCE_H
#define VOLUME_POOL_SOURCE_H
/*
 * A POOL argument opened for reading its metadata: every command that only reads begins with it.
 * The argument is what pool_arg.h takes, but XML only for pool_source_open_text().
 */
#include "base/jobs.h"
#include "pool/format/metadata.h"
#include "volume/open/pool_arg.h"

struct pool_source_options {
	struct metadata_options metadata; /* .snap: the pool is live, and force_share is implied */
	bool force_share;		  /* read although another program may be writing */
	struct pool_want want;
	unsigned nr_jobs;		  /* 0: as many as there are CPUs */
	struct jobs *jobs;		  /* the caller's, used in place of new ones; or NULL */
	struct meter *meter;		  /* counts what is read of the metadata; may be NULL */
};

struct pool_source {
	struct pool_arg arg;
	struct io *io;
	struct jobs *jobs;
	bool own_jobs;
	struct stream stream;
	struct metadata md;
};

/*
 * Fails as pool_arg_open(), pool_arg_readable(), dev_open() and metadata_open() do, and with
 * -EINVAL when the table's block size is not the metadata's.  *out does not move in memory until
 * pool_source_close(), which takes a zeroed one too.
 */
int pool_source_open(const char *path, const struct pool_source_options *opt,
		     struct pool_source *out, struct err *err);
/* The same for an argument that is open already; it passes to @out, also after a failure. */
int pool_source_open_arg(struct pool_arg *arg, const struct pool_source_options *opt,
			 struct pool_source *out, struct err *err);
/* pool_source_open_arg() whose metadata is in @io, which passes to *out; NULL: what @arg names. */
int pool_source_open_io(struct pool_arg *arg, struct io *io, const struct pool_source_options *opt,
			struct pool_source *out, struct err *err);
/*
 * The same as pool_source_open(), and XML as thin_dump writes it, too.  Such a pool is made in
 * memory as small as it can be; arg.kind is POOL_XML then, and it uses fewer metadata blocks than
 * the pool from which the dump was made.  The caller's program needs expat.  pool_text.c
 */
int pool_source_open_text(const char *path, const struct pool_source_options *opt,
			  struct pool_source *out, struct err *err);
/*
 * After reading failed with @code: tells of a held metadata snapshot where damage hides devices of the live
 * pool and none of the snapshot.
 */
void pool_source_tell_snap(struct pool_source *src, int code, void (*tell)(void *ctx, const char *text), void *ctx);
void pool_source_close(struct pool_source *src);

#endif
