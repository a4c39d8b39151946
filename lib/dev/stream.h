/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef DEV_STREAM_H
#define DEV_STREAM_H
/*
 * The prefetching stream: a list of blocks in, merged reads in location order,
 * many in flight, one call for each block on the workers while later reads run.
 * Every bulk reader of metadata goes through it; nothing reads block by block.
 */
#include "base/jobs.h"
#include "dev/io.h"

struct stream {
	struct io *io;
	struct jobs *jobs;
	/*
	 * May a read run through block @b, which was not asked for, to join two
	 * requests (a short gap is cheaper than a second request)?  NULL: never.
	 * Called on the workers, several at once.
	 */
	bool (*may_skip)(void *ctx, mblock_t b);
	void *may_skip_ctx;
	_Atomic bool cold; /* a read was slow: reads are announced to the kernel */
	/* Counters, for tests and --verbose; any thread, relaxed atomics. */
	_Atomic uint64_t nr_requests, nr_blocks_read;
};

/* @io and @jobs stay the caller's.  @jobs NULL: everything runs in the calling thread. */
void stream_init(struct stream *s, struct io *io, struct jobs *jobs);

/* The number of workers on which stream_read() may call @fn: the size of per-worker state. */
unsigned stream_nr_workers(const struct stream *s);

/*
 * @block's bytes at @data (4096, aligned, valid only during the call), or @status
 * < 0 with @data NULL when it could not be read.  @i is the block's index in
 * the list.  Runs on worker threads, several at once.
 */
typedef int stream_fn(void *ctx, unsigned worker, size_t i, mblock_t block, const void *data,
		      int status);

/*
 * Reads the @nr blocks of @list, which must be ascending without repeats, and
 * calls @fn once for each in any order.  A bad block does not stop the stream; a
 * negative return from @fn does.  Blocks past the device's end arrive with -ENXIO.
 * Returns 0, or the first negative errno.
 *
 * A short list is read by the calling thread.  Memory: 256 KiB a worker, kept by @jobs; 512 KiB for each
 * of 32 threads on a device with O_DIRECT.
 */
int stream_read(struct stream *s, const mblock_t *list, size_t nr, stream_fn *fn, void *ctx,
		struct err *err);

#endif
