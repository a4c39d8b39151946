/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef BASE_JOBS_H
#define BASE_JOBS_H
/*
 * The only place that makes threads.  A struct jobs is a pool of workers that
 * start on first need and wait between calls: a small pool of metadata that
 * needs one worker never starts a thread.  All calls below are made by one
 * thread at a time, the owner; they return when the work is done.
 *
 * Work functions return 0 or a negative errno; after the first negative one no more work is handed
 * out, and it is returned.  They accumulate into state of their own worker (index @worker <
 * jobs_nr()) and never print.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct jobs;

/* @nr workers, the owner counted; 0 = the CPUs this process may use. NULL: no memory. */
struct jobs *jobs_new(unsigned nr);
void jobs_free(struct jobs *j);
unsigned jobs_nr(const struct jobs *j);

/*
 * Memory of worker @worker's own, at least @len bytes, aligned to 4096, that stays from call to
 * call until jobs_free(): buffers of bulk reads are not mapped and cleared over and over. It
 * belongs to the function that runs the workers (stream_read()), not to functions that this one
 * calls.  NULL: no memory.
 */
void *jobs_scratch(struct jobs *j, unsigned worker, size_t len);

/*
 * Calls @fn(ctx, worker, begin, end, err) for pieces of [0, @n) of at most @grain
 * items, in parallel, pieces handed out in ascending order.  n <= grain runs in
 * the calling thread (as worker 0) without waking anybody.
 */
typedef int jobs_for_fn(void *ctx, unsigned worker, size_t begin, size_t end, struct err *err);
int jobs_for(struct jobs *j, size_t n, size_t grain, jobs_for_fn *fn, void *ctx, struct err *err);

/*
 * As jobs_for but with @nr_threads workers instead of jobs_nr() (more, when the
 * work mostly waits for a device).  @worker < nr_threads.
 */
int jobs_for_wide(struct jobs *j, unsigned nr_threads, size_t n, size_t grain, jobs_for_fn *fn,
		  void *ctx, struct err *err);

/*
 * An ordered pipeline over @nr_slots slots (the caller's own array, whatever a slot is; with
 * jobs_nr() + 2 of them no worker waits for one, with 2 one is filled while the other is consumed):
 *   produce  serial, in order, fills slot @slot; returns 1 = filled, 0 = no more,
 *            or a negative errno;
 *   work     parallel, any order;
 *   consume  serial, in the order of produce.
 * produce and consume each run on one thread at a time but not always the same one;
 * they may run at the same time as each other.  NULL work or consume is skipped.
 * With one worker everything runs in the calling thread.  A slot that was given back is used again
 * before one that never was: slots that hold much memory need not all be touched.
 */
struct jobs_pipe {
	size_t nr_slots;
	int (*produce)(void *ctx, size_t slot, struct err *err);
	int (*work)(void *ctx, unsigned worker, size_t slot, struct err *err);
	int (*consume)(void *ctx, size_t slot, struct err *err);
	void *ctx;
};
int jobs_pipe(struct jobs *j, const struct jobs_pipe *p, struct err *err);

/*
 * Calls @fn(@ctx) on a thread of its own every @ms milliseconds, until ticker_free(), which
 * waits for a call that is running.  NULL: no memory or no thread.
 */
struct ticker;
struct ticker *ticker_new(unsigned ms, void (*fn)(void *ctx), void *ctx);
void ticker_free(struct ticker *t);

#endif
