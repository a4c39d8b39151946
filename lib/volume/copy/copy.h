/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_COPY_H
#define VOLUME_COPY_H
/*
 * Writes the bytes of a map to an output, and compares them with it afterwards.
 *
 * The cheapest way is taken for each part: sharing extents with the source (reflink), copying
 * inside the kernel, reading and writing on all workers; zeros in an output that is zero already
 * are skipped.  A stream gets everything in order.  Memory: one plan window (plan.h), and
 * COPY_CHUNK (COPY_CHUNK_DIRECT) a worker; 20 MiB for a stream from a device.
 */
#include "base/jobs.h"
#include "volume/map/map.h"
#include "volume/copy/output.h"

enum copy_reflink { REFLINK_AUTO, REFLINK_ALWAYS, REFLINK_NEVER };

enum copy_sparse {
	SPARSE_AUTO,   /* holes for what is not mapped and for holes of the sources */
	SPARSE_ALWAYS, /* also for blocks of zeros */
	SPARSE_NEVER,  /* all is written */
};

struct copy_counts {
	_Atomic uint64_t shared;  /* bytes that were reflinked */
	_Atomic uint64_t copied;  /* read and written, or copied by the kernel */
	_Atomic uint64_t zeroed;  /* zeros written, or made by the device */
	_Atomic uint64_t skipped; /* left as they are, because they read as zeros */
};

#define COPY_FRAME_MAX 32

struct copy_options {
	struct io *data, *origin; /* NULL: the map has no extent of it */
	enum copy_reflink reflink;
	enum copy_sparse sparse;
	/*
	 * Called with the bytes of the image done since the last call, from any thread, several at
	 * once.  Negative: stop with this code.  NULL: not called.
	 */
	int (*progress)(void *ctx, uint64_t bytes, struct err *err);
	void *progress_ctx;
	struct copy_counts *counts; /* added to; may be NULL */
	/*
	 * Called in order with all bytes that are copied, NULL for zeros.  Then one thread copies, and
	 * nothing is shared or copied by the kernel.  NULL: nobody looks.
	 */
	void (*seen)(void *ctx, const void *bytes, uint64_t len);
	void *seen_ctx;
	/*
	 * A stream only: called in order with each piece that is about to be written.  It puts
	 * bytes into @head and returns their number; these are written first.  Pieces of zeros then
	 * have no bytes of their own.  NULL: the stream is the bytes alone.
	 */
	size_t (*frame)(uint64_t at, uint64_t len, bool zero, uint8_t head[COPY_FRAME_MAX]);
	bool updated; /* copy_verify() alone: @out was an image of a base before, of which most bytes stay */
};

/*
 * Copies all of @m to @out, which was opened for m->size bytes. output_sync() then brings it to the
 * disk.  -ENOTSUP: REFLINK_ALWAYS, and an extent that cannot be shared or an @out that is no file.
 */
int copy_map(const struct map *m, struct output *out, const struct copy_options *opt,
	     struct jobs *jobs, struct err *err);

/* May extents of @source be shared with @out?  Not when it is known that the filesystem cannot. */
bool copy_may_share(const struct io *source, const struct output *out);

/*
 * The extents that @walk gives to its @fn, by the place in the output where each of them goes: they
 * ascend, and bytes between them are not written.  A stream has no places: it gets them in order.
 */
typedef int copy_walk_fn(void *walk_ctx, extent_fn *fn, void *fn_ctx, struct err *err);
int copy_extents(copy_walk_fn *walk, void *walk_ctx, struct output *out,
		 const struct copy_options *opt, struct jobs *jobs, struct err *err);

/*
 * Reads file or device @out back, below the page cache where possible, and compares it with the
 * sources.  -EBADMSG with the offset of the first difference found.
 */
int copy_verify(const struct map *m, struct output *out, const struct copy_options *opt,
		struct jobs *jobs, struct err *err);

#endif
