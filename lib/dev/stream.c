/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Workers take batches off the list in ascending order and turn each into requests
 * of neighbouring blocks.
 *
 * Through the page cache a batch is 256 KiB, so that a block is still in the CPU's cache when
 * its checksum is computed, and there are as many workers as CPUs.  Nothing is announced to the
 * kernel while reads come from the cache; the first slow one turns announcements on,
 * and from the next batch on they run 16 MiB ahead of the readers, until what is so far ahead turns
 * out to be in the cache.
 *
 * With O_DIRECT every request waits for the device: a batch is one request of at most
 * 512 KiB and many threads have one in flight each.
 *
 * A short list is read by the caller itself.
 */
#include "dev/stream.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/search.h"

#define GAP_MAX 16		/* blocks read in vain to save a request */
#define BUFFERED_BATCH 64	/* blocks */
#define DIRECT_BATCH 128	/* blocks */
#define DIRECT_THREADS 32
#define AHEAD 4096		/* blocks */
#define INLINE_BLOCKS 128	/* buffered lists up to this long start no thread */
#define INLINE_REQUESTS 4	/* the same for O_DIRECT */

struct call {
	struct stream *s;
	const mblock_t *list;
	size_t nr;     /* blocks of the list inside the device */
	size_t batch;  /* blocks a request or a batch may span */
	size_t buffer; /* bytes for each worker */
	stream_fn *fn;
	void *ctx;
	pthread_mutex_t lock; /* next */
	size_t next;
	_Atomic size_t announced; /* list entries */
	atomic_bool announcing, stop;
};

void stream_init(struct stream *s, struct io *io, struct jobs *jobs)
{
	*s = (struct stream){ .io = io, .jobs = jobs };
}

unsigned stream_nr_workers(const struct stream *s)
{
	unsigned nr = s->jobs ? jobs_nr(s->jobs) : 1;

	return s->io->direct ? MAX(nr, DIRECT_THREADS) : nr;
}

static bool gap_ok(const struct stream *s, mblock_t after, mblock_t before)
{
	mblock_t b;

	if (before - after - 1 > GAP_MAX || (before - after > 1 && !s->may_skip))
		return false;
	for (b = after + 1; b < before; b++)
		if (!s->may_skip(s->may_skip_ctx, b))
			return false;
	return true;
}

/* One past the last entry of the request that begins with entry @begin. */
static size_t request_end(const struct call *c, size_t begin, size_t end, size_t span)
{
	const mblock_t *list = c->list;
	size_t i = begin + 1;

	while (i < end && list[i] - list[begin] < span && gap_ok(c->s, list[i - 1], list[i]))
		i++;
	return i;
}

static bool take(struct call *c, size_t *begin, size_t *end)
{
	bool any;

	pthread_mutex_lock(&c->lock);
	any = c->next < c->nr && !atomic_load_explicit(&c->stop, memory_order_relaxed);
	if (any) {
		*begin = c->next;
		if (c->s->io->direct)
			*end = request_end(c, c->next, c->nr, c->batch);
		else
			*end = MIN(c->next + c->batch, c->nr);
		c->next = *end;
	}
	pthread_mutex_unlock(&c->lock);
	return any;
}

/*
 * Announces reads to the kernel.  Only one worker at a time does so, because a full queue makes it
 * wait.
 */
static void announce(struct call *c, size_t from)
{
	size_t to = MIN(from + AHEAD, c->nr), i = c->announced, end;

	if ((i + AHEAD / 4 > to && to < c->nr) || atomic_exchange(&c->announcing, true))
		return;
	i = MAX(i, from);
	if (io_is_cached(c->s->io, c->list[to - 1] * MBLOCK_SIZE)) {
		c->s->cold = false; /* it was slow for another reason: what is far ahead is cached */
		i = to;
	}
	for (; i < to; i = end) {
		end = request_end(c, i, to, AHEAD);
		io_will_need(c->s->io, c->list[i] * MBLOCK_SIZE,
			     (c->list[end - 1] - c->list[i] + 1) * MBLOCK_SIZE);
	}
	atomic_store_explicit(&c->announced, to, memory_order_relaxed);
	atomic_store_explicit(&c->announcing, false, memory_order_release);
}

/* Two calls are smaller than two copies of it. */
static __attribute__((noinline)) uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/*
 * Was the request slower than one from the page cache, which takes some microseconds and 0.1 ns a
 * byte?
 */
static bool is_slow(uint64_t ns, size_t bytes)
{
	return ns > 60000 + bytes / 2;
}

/* Only reading is timed: what a callback does for the first time, it does slowly. */
static int read_blocks(struct call *c, void *buf, mblock_t first, size_t nr)
{
	struct stream *s = c->s;
	uint64_t begin;
	int r;

	atomic_fetch_add_explicit(&s->nr_requests, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&s->nr_blocks_read, nr, memory_order_relaxed);
	begin = now_ns();
	r = io_read(s->io, buf, nr * MBLOCK_SIZE, first * MBLOCK_SIZE, NULL);
	if (is_slow(now_ns() - begin, nr * MBLOCK_SIZE))
		s->cold = true;
	return r;
}

static int hand_over(struct call *c, unsigned worker, size_t i, const void *data, int status)
{
	int r = c->fn(c->ctx, worker, i, c->list[i], status < 0 ? NULL : data, status);

	return r < 0 ? r : 0;
}

/*
 * Reads entries [begin, end) with one request.  If it fails, reads block by block to find the bad
 * ones.
 */
static int do_request(struct call *c, unsigned worker, char *buf, size_t begin, size_t end)
{
	mblock_t first = c->list[begin];
	size_t nr = (size_t)(c->list[end - 1] - first) + 1, i;
	int status, r = 0;

	status = read_blocks(c, buf, first, nr);
	for (i = begin; i < end && r == 0; i++) {
		char *data = buf + (c->list[i] - first) * MBLOCK_SIZE;

		if (status < 0 && nr > 1)
			r = hand_over(c, worker, i, buf, read_blocks(c, buf, c->list[i], 1));
		else
			r = hand_over(c, worker, i, data, status);
	}
	return r;
}

static int do_batch(struct call *c, unsigned worker, char *buf, size_t begin, size_t end)
{
	size_t i = begin, to;
	int r = 0;

	if (!c->s->io->direct && c->s->cold)
		announce(c, end);
	for (; i < end && r == 0; i = to) {
		to = request_end(c, i, end, c->batch);
		r = do_request(c, worker, buf, i, to);
	}
	return r;
}

static int work(void *ctx, unsigned worker, size_t piece, size_t piece_end, struct err *err)
{
	CLEANUP(free_ptr) char *own = NULL;
	struct call *c = ctx;
	char *buf = NULL;
	size_t begin, end;
	int r;

	(void)piece;
	(void)piece_end;
	while (take(c, &begin, &end)) {
		if (!buf && c->s->jobs)
			buf = jobs_scratch(c->s->jobs, worker, c->buffer);
		else if (!buf)
			buf = own = io_alloc(c->buffer);
		if (!buf)
			r = err_nomem(err, "read buffer");
		else
			r = do_batch(c, worker, buf, begin, end);
		if (r < 0) {
			atomic_store(&c->stop, true);
			return buf ? err_set(err, r, "%s: reading was stopped", c->s->io->name) : r;
		}
	}
	return 0;
}

static unsigned nr_threads(const struct call *c)
{
	size_t i = 0, nr = 0;

	if (!c->s->jobs)
		return 1;
	if (!c->s->io->direct)
		return c->nr <= INLINE_BLOCKS ? 1 : jobs_nr(c->s->jobs);
	while (i < c->nr && nr < DIRECT_THREADS) {
		i = request_end(c, i, c->nr, c->batch);
		nr++;
	}
	return nr <= INLINE_REQUESTS ? 1 : stream_nr_workers(c->s);
}

/* First entry at or past @block. */
static size_t entries_before(const mblock_t *list, size_t nr, mblock_t block)
{
	return search_first(i, nr, list[i] >= block);
}

int stream_read(struct stream *s, const mblock_t *list, size_t nr, stream_fn *fn, void *ctx,
		struct err *err)
{
	struct call c = { .s = s, .list = list, .fn = fn, .ctx = ctx };
	unsigned threads;
	size_t i;
	int r = 0;

	c.nr = entries_before(list, nr, s->io->size / MBLOCK_SIZE);
	c.batch = s->io->direct ? DIRECT_BATCH : BUFFERED_BATCH;
	if (c.nr) {
		c.buffer = MIN(c.batch, list[c.nr - 1] - list[0] + 1) * MBLOCK_SIZE;
		pthread_mutex_init(&c.lock, NULL);
		threads = nr_threads(&c);
		if (threads == 1)
			r = work(&c, 0, 0, 1, err);
		else
			r = jobs_for_wide(s->jobs, threads, threads, 1, work, &c, err);
		pthread_mutex_destroy(&c.lock);
	}
	for (i = c.nr; i < nr && r == 0; i++)
		r = hand_over(&c, 0, i, NULL, -ENXIO);
	return r;
}
