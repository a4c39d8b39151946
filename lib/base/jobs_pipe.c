/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * The ordered pipeline.
 *
 * Items are numbered from 0 and live in slot (number % nr_slots).  A failure of item k, or the end
 * of the input, sets @limit: items before it are finished and consumed, the rest is dropped.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/jobs_impl.h"

struct pipe_call {
	const struct jobs_pipe *p;
	struct err *err;
	pthread_mutex_t lock; /* everything below */
	pthread_cond_t change;
	unsigned nr_waiting;
	uint64_t produced, handed, consumed, limit;
	bool producing, consuming;
	bool *done; /* for each slot: worked on, not yet consumed */
	int code;
};

/* Records what a step on item @n said; the lock is held. */
static void pipe_result(struct pipe_call *c, uint64_t n, int r, const struct err *err)
{
	if (r >= 0 || n >= c->limit)
		return;
	c->limit = n;
	c->code = r;
	if (c->err)
		*c->err = *err;
}

static void pipe_produce(struct pipe_call *c, struct err *err)
{
	uint64_t n = c->produced;
	int r;

	c->producing = true;
	pthread_mutex_unlock(&c->lock);
	r = c->p->produce(c->p->ctx, n % c->p->nr_slots, err);
	pthread_mutex_lock(&c->lock);
	c->producing = false;
	if (r > 0)
		c->produced++;
	else if (r < 0)
		pipe_result(c, n, r, err);
	else if (n < c->limit)
		c->limit = n;
}

static void pipe_work(struct pipe_call *c, unsigned worker, struct err *err)
{
	uint64_t n = c->handed++;
	size_t slot = n % c->p->nr_slots;
	int r = 0;

	if (c->p->work) {
		pthread_mutex_unlock(&c->lock);
		r = c->p->work(c->p->ctx, worker, slot, err);
		pthread_mutex_lock(&c->lock);
	}
	pipe_result(c, n, r, err);
	c->done[slot] = true;
}

static void pipe_consume(struct pipe_call *c, struct err *err)
{
	uint64_t n = c->consumed;
	size_t slot = n % c->p->nr_slots;
	int r = 0;

	if (c->p->consume) {
		c->consuming = true;
		pthread_mutex_unlock(&c->lock);
		r = c->p->consume(c->p->ctx, slot, err);
		pthread_mutex_lock(&c->lock);
		c->consuming = false;
	}
	pipe_result(c, n, r, err);
	c->done[slot] = false;
	c->consumed++;
}

/* Does one step that can be done now, the latest stage first; false: nothing to do. */
static bool pipe_step(struct pipe_call *c, unsigned worker, struct err *err)
{
	if (!c->consuming && c->consumed < c->handed && c->consumed < c->limit &&
	    c->done[c->consumed % c->p->nr_slots])
		pipe_consume(c, err);
	else if (c->handed < c->produced && c->handed < c->limit)
		pipe_work(c, worker, err);
	else if (!c->producing && c->produced < c->limit &&
		 c->produced - c->consumed < c->p->nr_slots)
		pipe_produce(c, err);
	else
		return false;
	return true;
}

static void pipe_body(void *arg, unsigned worker)
{
	struct pipe_call *c = arg;
	struct err err = { 0 };

	pthread_mutex_lock(&c->lock);
	while (c->consumed < c->limit) {
		if (pipe_step(c, worker, &err)) {
			if (c->nr_waiting)
				pthread_cond_broadcast(&c->change);
		} else {
			c->nr_waiting++;
			pthread_cond_wait(&c->change, &c->lock);
			c->nr_waiting--;
		}
	}
	pthread_cond_broadcast(&c->change);
	pthread_mutex_unlock(&c->lock);
}

/* Takes the first two items on the owner's thread alone.  True: there is work for more threads. */
static bool pipe_prime(struct pipe_call *c)
{
	struct err err = { 0 };
	bool more;

	pthread_mutex_lock(&c->lock);
	pipe_produce(c, &err);
	if (c->limit > 1 && c->p->nr_slots > 1)
		pipe_produce(c, &err);
	more = c->limit > 1;
	pthread_mutex_unlock(&c->lock);
	return more;
}

int jobs_pipe(struct jobs *j, const struct jobs_pipe *p, struct err *err)
{
	struct pipe_call c = { .p = p, .err = err, .limit = UINT64_MAX };
	bool crowd;

	c.done = calloc(p->nr_slots, sizeof(*c.done));
	if (!c.done)
		return err_nomem(err, "pipeline");
	pthread_mutex_init(&c.lock, NULL);
	pthread_cond_init(&c.change, NULL);
	crowd = !p->alone && jobs_nr(j) > 1 && pipe_prime(&c);
	if (crowd)
		jobs_open_door(j, jobs_nr(j), pipe_body, &c);
	pipe_body(&c, 0);
	if (crowd)
		jobs_close_door(j);
	pthread_cond_destroy(&c.change);
	pthread_mutex_destroy(&c.lock);
	free(c.done);
	return c.code;
}
