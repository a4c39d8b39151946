/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * A crew of threads that sleep between calls.  A call opens the door (@wanted > 0, a new
 * @generation), and its caller works as worker 0.  It closes the door when no work is left, and
 * waits only for the workers that came in: a worker that wakes up late costs nothing.
 *
 * Errors are those of the earliest piece or slot that failed, so that the outcome does
 * not depend on the number of threads: work is handed out in ascending order and
 * everything before a failure is finished.
 */
#include "base/jobs_impl.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/overflow.h"
#include "base/signals.h"

#define MAX_WORKERS 256

struct worker {
	struct jobs *j;
	pthread_t thread;
	unsigned index;
	uint64_t seen; /* generation it has answered; under j->lock */
};

struct scratch {
	void *p;
	size_t len;
};

struct jobs {
	unsigned nr;
	struct scratch scratch[MAX_WORKERS]; /* each its worker's */
	struct worker *worker[MAX_WORKERS]; /* [0] is the owner: unused */
	unsigned nr_started;		    /* threads; workers 1..nr_started; owner only */
	pthread_mutex_t lock;		    /* all below */
	pthread_cond_t wake, idle;
	uint64_t generation;
	unsigned wanted; /* workers below this index may come in; 0: closed */
	unsigned inside;
	jobs_body_fn *body;
	void *arg;
	bool quit;
};

static unsigned nr_cpus(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set))
		return 64; /* the machine has more CPUs than the set has room for */
	return (unsigned)CPU_COUNT(&set);
}

struct jobs *jobs_new(unsigned nr)
{
	struct jobs *j = calloc(1, sizeof(*j));

	if (!j)
		return NULL;
	if (!nr)
		nr = nr_cpus();
	j->nr = nr < MAX_WORKERS ? nr : MAX_WORKERS;
	pthread_mutex_init(&j->lock, NULL);
	pthread_cond_init(&j->wake, NULL);
	pthread_cond_init(&j->idle, NULL);
	return j;
}

void jobs_free(struct jobs *j)
{
	unsigned i;

	if (!j)
		return;
	pthread_mutex_lock(&j->lock);
	j->quit = true;
	pthread_cond_broadcast(&j->wake);
	pthread_mutex_unlock(&j->lock);
	for (i = 1; i <= j->nr_started; i++) {
		pthread_join(j->worker[i]->thread, NULL);
		free(j->worker[i]);
	}
	for (i = 0; i < MAX_WORKERS; i++)
		free(j->scratch[i].p);
	pthread_cond_destroy(&j->idle);
	pthread_cond_destroy(&j->wake);
	pthread_mutex_destroy(&j->lock);
	free(j);
}

void *jobs_scratch(struct jobs *j, unsigned worker, size_t len)
{
	struct scratch *s = &j->scratch[worker];

	if (s->len < len) {
		free(s->p);
		s->len = 0;
		s->p = aligned_alloc(4096, round_up(len, 4096));
		if (!s->p)
			return NULL;
		s->len = len;
	}
	return s->p;
}

unsigned jobs_nr(const struct jobs *j)
{
	return j->nr;
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct jobs *j = w->j;

	pthread_mutex_lock(&j->lock);
	for (;;) {
		while (!j->quit && w->seen == j->generation)
			pthread_cond_wait(&j->wake, &j->lock);
		if (j->quit)
			break;
		w->seen = j->generation;
		if (w->index >= j->wanted)
			continue;
		j->inside++;
		pthread_mutex_unlock(&j->lock);
		j->body(j->arg, w->index);
		pthread_mutex_lock(&j->lock);
		if (--j->inside == 0)
			pthread_cond_signal(&j->idle);
	}
	pthread_mutex_unlock(&j->lock);
	return NULL;
}

/* Starts one more thread.  False: there was no memory or no thread; the work goes on with fewer. */
static bool start_worker(struct jobs *j)
{
	struct worker *w = calloc(1, sizeof(*w));
	sigset_t old;
	int r;

	if (!w)
		return false;
	w->j = j;
	w->index = j->nr_started + 1;
	w->seen = j->generation;
	signals_hold(&old);
	r = pthread_create(&w->thread, NULL, worker_main, w);
	signals_release(&old);
	if (r) {
		free(w);
		return false;
	}
	j->worker[w->index] = w;
	j->nr_started++;
	return true;
}

void jobs_open_door(struct jobs *j, unsigned nr, jobs_body_fn *body, void *arg)
{
	while (j->nr_started + 1 < nr && start_worker(j))
		;
	pthread_mutex_lock(&j->lock);
	j->body = body;
	j->arg = arg;
	j->wanted = nr;
	j->generation++;
	pthread_cond_broadcast(&j->wake);
	pthread_mutex_unlock(&j->lock);
}

void jobs_close_door(struct jobs *j)
{
	pthread_mutex_lock(&j->lock);
	j->wanted = 0;
	while (j->inside)
		pthread_cond_wait(&j->idle, &j->lock);
	pthread_mutex_unlock(&j->lock);
}

/* --- pieces of a range --- */

struct for_call {
	jobs_for_fn *fn;
	void *ctx;
	size_t nr_pieces, n, grain;
	struct err *err;
	_Atomic size_t next; /* piece */
	atomic_bool stop;
	pthread_mutex_t lock; /* the two below and *err */
	size_t failed;	      /* the earliest piece that did */
	int code;
};

static void for_failed(struct for_call *c, size_t piece, int code, const struct err *err)
{
	atomic_store(&c->stop, true);
	pthread_mutex_lock(&c->lock);
	if (!c->code || piece < c->failed) {
		c->failed = piece;
		c->code = code;
		if (c->err)
			*c->err = *err;
	}
	pthread_mutex_unlock(&c->lock);
}

static void for_body(void *arg, unsigned worker)
{
	struct for_call *c = arg;
	struct err err = { 0 };

	while (!atomic_load_explicit(&c->stop, memory_order_relaxed)) {
		size_t piece = atomic_fetch_add_explicit(&c->next, 1, memory_order_relaxed);
		size_t begin, end;
		int r;

		if (piece >= c->nr_pieces)
			return;
		begin = piece * c->grain;
		end = c->n - begin > c->grain ? begin + c->grain : c->n;
		r = c->fn(c->ctx, worker, begin, end, &err);
		if (r < 0) {
			for_failed(c, piece, r, &err);
			return;
		}
	}
}

int jobs_for_wide(struct jobs *j, unsigned nr_threads, size_t n, size_t grain, jobs_for_fn *fn,
		  void *ctx, struct err *err)
{
	struct for_call c = { .fn = fn, .ctx = ctx, .n = n, .err = err };
	int r;

	if (!n)
		return 0;
	c.grain = grain ? grain : 1;
	if (n <= c.grain) {
		r = fn(ctx, 0, 0, n, err);
		return r < 0 ? r : 0;
	}
	c.nr_pieces = n / c.grain + (n % c.grain != 0);
	if (nr_threads > MAX_WORKERS)
		nr_threads = MAX_WORKERS;
	if (nr_threads > c.nr_pieces)
		nr_threads = (unsigned)c.nr_pieces;
	pthread_mutex_init(&c.lock, NULL);
	if (nr_threads > 1)
		jobs_open_door(j, nr_threads, for_body, &c);
	for_body(&c, 0);
	if (nr_threads > 1)
		jobs_close_door(j);
	pthread_mutex_destroy(&c.lock);
	return c.code;
}

int jobs_for(struct jobs *j, size_t n, size_t grain, jobs_for_fn *fn, void *ctx, struct err *err)
{
	return jobs_for_wide(j, j->nr, n, grain, fn, ctx, err);
}

/* --- tickers --- */

struct ticker {
	pthread_t thread;
	pthread_mutex_t lock; /* quit */
	pthread_cond_t wake;
	bool quit;
	unsigned ms;
	void (*fn)(void *ctx);
	void *ctx;
};

static struct timespec later(unsigned ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += ms % 1000 * 1000000L;
	if (t.tv_nsec >= 1000000000L) {
		t.tv_nsec -= 1000000000L;
		t.tv_sec++;
	}
	return t;
}

static void *ticker_main(void *arg)
{
	struct ticker *t = arg;

	pthread_mutex_lock(&t->lock);
	while (!t->quit) {
		struct timespec when = later(t->ms);
		int r = 0;

		while (!t->quit && r != ETIMEDOUT)
			r = pthread_cond_timedwait(&t->wake, &t->lock, &when);
		if (t->quit)
			break;
		pthread_mutex_unlock(&t->lock);
		t->fn(t->ctx);
		pthread_mutex_lock(&t->lock);
	}
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

struct ticker *ticker_new(unsigned ms, void (*fn)(void *ctx), void *ctx)
{
	struct ticker *t = calloc(1, sizeof(*t));
	pthread_condattr_t attr;
	sigset_t old;
	int r;

	if (!t)
		return NULL;
	t->ms = ms;
	t->fn = fn;
	t->ctx = ctx;
	pthread_mutex_init(&t->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&t->wake, &attr);
	pthread_condattr_destroy(&attr);
	signals_hold(&old);
	r = pthread_create(&t->thread, NULL, ticker_main, t);
	signals_release(&old);
	if (!r)
		return t;
	pthread_cond_destroy(&t->wake);
	pthread_mutex_destroy(&t->lock);
	free(t);
	return NULL;
}

void ticker_free(struct ticker *t)
{
	if (!t)
		return;
	pthread_mutex_lock(&t->lock);
	t->quit = true;
	pthread_cond_signal(&t->wake);
	pthread_mutex_unlock(&t->lock);
	pthread_join(t->thread, NULL);
	pthread_cond_destroy(&t->wake);
	pthread_mutex_destroy(&t->lock);
	free(t);
}
