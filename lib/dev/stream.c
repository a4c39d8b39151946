/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The list is cut into chunks: ascending blocks that one request can fetch.
 * Chunks are found by each worker as it goes (a chunk's limits depend on nothing
 * but the list), read with one request and handed on block by block.  On a file
 * the page cache reads ahead when told; on a device with O_DIRECT more threads than
 * CPUs keep many requests in flight.
 */
#include "dev/stream.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/cleanup.h"

#define MAX_GAP 16		    /* blocks: shorter gaps are read through */
#define REQUEST_BLOCKS 64	    /* 256 KiB a request: stays in the L2 cache while it is worked on */
#define DIRECT_REQUEST_BLOCKS 256   /* 1 MiB where each request waits for the device */
#define DIRECT_THREADS 16
#define INLINE_BLOCKS 64	    /* so few are read without waking anybody */
#define PIECE 1024		    /* list entries handed out at once */

struct reading {
	struct stream *s;
	const mblock_t *list;
	stream_fn *fn;
	void *ctx;
	uint64_t nr_device_blocks;
	unsigned request_blocks;
	uint8_t **buffers; /* one a worker, made on first use */
};

void stream_init(struct stream *s, struct io *io, struct jobs *jobs)
{
	*s = (struct stream){ .io = io, .jobs = jobs };
}

unsigned stream_nr_workers(const struct stream *s)
{
	unsigned nr = jobs_nr(s->jobs);

	return s->io->direct && nr < DIRECT_THREADS ? DIRECT_THREADS : nr;
}

/* May one request go from block @a on to block @b? */
static bool joins(const struct stream *s, mblock_t a, mblock_t b)
{
	if (b == a + 1)
		return true;
	if (b - a > MAX_GAP + 1 || !s->may_skip)
		return false;
	while (++a < b)
		if (!s->may_skip(s->may_skip_ctx, a))
			return false;
	return true;
}

/* The end of the chunk that begins at list[i]. */
static size_t chunk_end(const struct reading *r, size_t i, size_t end)
{
	mblock_t first = r->list[i];

	for (i++; i < end; i++) {
		if (r->list[i] >= r->nr_device_blocks || r->list[i] - first >= r->request_blocks ||
		    !joins(r->s, r->list[i - 1], r->list[i]))
			break;
	}
	return i;
}

/* A merged request failed: find out which blocks are really bad. */
static int one_by_one(struct reading *r, unsigned worker, uint8_t *buf, size_t i, size_t end)
{
	int ret = 0;

	for (; i < end && !ret; i++) {
		struct err err;
		int code = io_read(r->s->io, buf, MBLOCK_SIZE, r->list[i] * MBLOCK_SIZE, &err);

		atomic_fetch_add_explicit(&r->s->nr_requests, 1, memory_order_relaxed);
		atomic_fetch_add_explicit(&r->s->nr_blocks_read, 1, memory_order_relaxed);
		ret = r->fn(r->ctx, worker, i, r->list[i], code ? NULL : buf, code);
	}
	return ret;
}

static int read_chunk(struct reading *r, unsigned worker, uint8_t *buf, size_t i, size_t end)
{
	mblock_t first = r->list[i];
	uint64_t nr = r->list[end - 1] - first + 1;
	struct err err;
	int ret = 0;

	atomic_fetch_add_explicit(&r->s->nr_requests, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&r->s->nr_blocks_read, nr, memory_order_relaxed);
	if (io_read(r->s->io, buf, nr * MBLOCK_SIZE, first * MBLOCK_SIZE, &err))
		return one_by_one(r, worker, buf, i, end);
	for (; i < end && !ret; i++)
		ret = r->fn(r->ctx, worker, i, r->list[i],
			    buf + (r->list[i] - first) * MBLOCK_SIZE, 0);
	return ret;
}

static int read_piece(void *ctx, unsigned worker, size_t i, size_t end, struct err *err)
{
	struct reading *r = ctx;
	uint8_t *buf = r->buffers[worker];

	if (!buf)
		buf = r->buffers[worker] = io_alloc((size_t)r->request_blocks * MBLOCK_SIZE);
	if (!buf)
		return err_nomem(err, "read buffer");
	if (r->s->io->ops->will_need && end - i > REQUEST_BLOCKS && r->list[end - 1] < r->nr_device_blocks)
		r->s->io->ops->will_need(r->s->io, r->list[i] * MBLOCK_SIZE,
					 (r->list[end - 1] - r->list[i] + 1) * MBLOCK_SIZE);
	while (i < end) {
		size_t next = chunk_end(r, i, end);
		int ret;

		if (r->list[i] >= r->nr_device_blocks)
			ret = r->fn(r->ctx, worker, i, r->list[i], NULL, -ENXIO), next = i + 1;
		else
			ret = read_chunk(r, worker, buf, i, next);
		if (ret < 0)
			return err_set(err, ret, "reading stopped at block %llu of %s",
				       (unsigned long long)r->list[i], r->s->io->name);
		i = next;
	}
	return 0;
}

int stream_read(struct stream *s, const mblock_t *list, size_t nr, stream_fn *fn, void *ctx,
		struct err *err)
{
	unsigned nr_workers = stream_nr_workers(s);
	CLEANUP(free_ptr) uint8_t **buffers = calloc(nr_workers, sizeof(*buffers));
	struct reading r = {
		.s = s,
		.list = list,
		.fn = fn,
		.ctx = ctx,
		.nr_device_blocks = s->io->size / MBLOCK_SIZE,
		.request_blocks = s->io->direct ? DIRECT_REQUEST_BLOCKS : REQUEST_BLOCKS,
		.buffers = buffers,
	};
	size_t grain = nr <= INLINE_BLOCKS ? INLINE_BLOCKS : s->io->direct ? DIRECT_REQUEST_BLOCKS : PIECE;
	int ret;

	if (!buffers)
		return err_nomem(err, "read buffers");
	if (nr <= INLINE_BLOCKS)
		r.request_blocks = INLINE_BLOCKS;
	ret = jobs_for_wide(s->jobs, nr_workers, nr, grain, read_piece, &r, err);
	for (unsigned i = 0; i < nr_workers; i++)
		free(buffers[i]);
	return ret;
}
