/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * The ordered pipeline.
 *
 * Items are numbered from 0.  An item gets the slot that was given back last, whose memory has been
 * touched already: as long as one thread does everything, only one slot is used.  A failure of item k,
 * or the end of the input, sets @limit: items before it are finished and consumed, the rest is dropped.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/jobs_impl.h"

struct item {
	size_t slot;
	bool done; /* worked on, not yet consumed */
};

struct pipe_call {
	const struct jobs_pipe *p;
	struct err *err;
	pthread_mutex_t lock; /* everything below */
	pthread_cond_t change;
	unsigned nr_waiting;
	uint64_t produced, handed, consumed, limit;
	bool producing, consuming;
	struct item *item; /* by number % nr_slots */
	size_t *spare;	   /* slots that no item has; the last one is taken next */
	size_t nr_spare;
	int code;
};

static struct item *item_of(const struct pipe_call *c, uint64_t n)
{
	return &c->item[n % c->p->nr_slots];
}

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

/* The steps that can be taken, the latest stage first. */
enum step { STEP_NONE, STEP_CONSUME, STEP_WORK, STEP_PRODUCE };

static enum step pipe_next(const struct pipe_call *c)
{
	if (!c->consuming && c->consumed < c->handed && c->consumed < c->limit &&
	    item_of(c, c->consumed)->done)
		return STEP_CONSUME;
	if (c->handed < c->produced && c->handed < c->limit)
		return STEP_WORK;
	if (!c->producing && c->produced < c->limit && c->nr_spare)
		return STEP_PRODUCE;
	return STEP_NONE;
}

/*
 * Lets go of the lock for a step that has been taken.  This thread comes back for one of the steps that follow from
 * it, so one other is woken, and only where there is something for it: it wakes the next one in the same way.  Were
 * all woken, most of them would find nothing.
 */
static void pipe_unlock(struct pipe_call *c)
{
	if (c->nr_waiting && pipe_next(c) != STEP_NONE)
		pthread_cond_signal(&c->change);
	pthread_mutex_unlock(&c->lock);
}

static void pipe_produce(struct pipe_call *c, struct err *err)
{
	uint64_t n = c->produced;
	size_t slot = c->spare[--c->nr_spare];
	int r;

	*item_of(c, n) = (struct item) { .slot = slot };
	c->producing = true;
	pipe_unlock(c);
	r = c->p->produce(c->p->ctx, slot, err);
	pthread_mutex_lock(&c->lock);
	c->producing = false;
	if (r > 0)
		c->produced++;
	else
		c->spare[c->nr_spare++] = slot;
	if (r < 0)
		pipe_result(c, n, r, err);
	else if (!r && n < c->limit)
		c->limit = n;
}

static void pipe_work(struct pipe_call *c, unsigned worker, struct err *err)
{
	uint64_t n = c->handed++;
	struct item *item = item_of(c, n);
	int r = 0;

	if (c->p->work) {
		pipe_unlock(c);
		r = c->p->work(c->p->ctx, worker, item->slot, err);
		pthread_mutex_lock(&c->lock);
	}
	pipe_result(c, n, r, err);
	item->done = true;
}

static void pipe_consume(struct pipe_call *c, struct err *err)
{
	uint64_t n = c->consumed;
	size_t slot = item_of(c, n)->slot;
	int r = 0;

	if (c->p->consume) {
		c->consuming = true;
		pipe_unlock(c);
		r = c->p->consume(c->p->ctx, slot, err);
		pthread_mutex_lock(&c->lock);
		c->consuming = false;
	}
	pipe_result(c, n, r, err);
	c->spare[c->nr_spare++] = slot;
	c->consumed++;
}

static void pipe_body(void *arg, unsigned worker)
{
	struct pipe_call *c = arg;
	struct err err = { 0 };

	pthread_mutex_lock(&c->lock);
	while (c->consumed < c->limit) {
		switch (pipe_next(c)) {
		case STEP_CONSUME:
			pipe_consume(c, &err);
			break;
		case STEP_WORK:
			pipe_work(c, worker, &err);
			break;
		case STEP_PRODUCE:
			pipe_produce(c, &err);
			break;
		case STEP_NONE:
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

static void pipe_run(struct pipe_call *c, struct jobs *j)
{
	bool crowd;

	for (size_t i = c->p->nr_slots; i-- > 0;)
		c->spare[c->nr_spare++] = i;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->change, NULL);
	crowd = jobs_nr(j) > 1 && pipe_prime(c);
	if (crowd)
		jobs_open_door(j, jobs_nr(j), pipe_body, c);
	pipe_body(c, 0);
	if (crowd)
		jobs_close_door(j);
	pthread_cond_destroy(&c->change);
	pthread_mutex_destroy(&c->lock);
}

int jobs_pipe(struct jobs *j, const struct jobs_pipe *p, struct err *err)
{
	struct pipe_call c = { .p = p, .err = err, .limit = UINT64_MAX };

	c.item = calloc(p->nr_slots, sizeof(*c.item));
	c.spare = calloc(p->nr_slots, sizeof(*c.spare));
	if (c.item && c.spare)
		pipe_run(&c, j);
	else
		c.code = err_nomem(err, "pipeline");
	free(c.item);
	free(c.spare);
	return c.code;
}
