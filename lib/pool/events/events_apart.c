/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * A ring of batches.  The source fills one without any lock; only when it is full, or at the end,
 * the two sides meet.  If the second thread does not start, the source finds the ring full and
 * delivers a batch itself.
 */
#include "pool/events/events_apart.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define NR_BATCHES 4
#define BATCH_RUNS 4096
#define BATCH_STEPS 2048

enum kind { BEGIN_POOL, BEGIN_DEF, END_DEF, BEGIN_DEVICE, RUNS, REF, END_DEVICE, END_POOL };

struct step {
	enum kind kind;
	union {
		uint64_t name;
		size_t nr_runs;
		struct device_info device;
	};
};

struct batch {
	struct step step[BATCH_STEPS];
	struct run run[BATCH_RUNS];
	size_t nr_steps, nr_runs;
};

struct queue {
	events_source_fn *source;
	void *ctx;
	const struct events *to;
	struct pool_info pool; /* of the one BEGIN_POOL */
	struct batch *batch;
	struct batch *open; /* belongs to the source until it is handed over */
	int source_code;
	struct err source_err;

	pthread_mutex_t lock; /* all below */
	pthread_cond_t change;
	uint64_t filled, emptied; /* batches */
	bool taker_here, ended;
	bool delivering; /* one side at a time */
	int sink_code;
	struct err sink_err;
};

static int deliver_step(struct queue *q, const struct step *s, const struct run **run,
			struct err *err)
{
	const struct events_ops *ops = q->to->ops;
	void *ctx = q->to->ctx;
	const struct run *first = *run;

	switch (s->kind) {
	case BEGIN_POOL:
		return ops->begin_pool(ctx, &q->pool, err);
	case BEGIN_DEF:
		return ops->begin_def(ctx, s->name, err);
	case END_DEF:
		return ops->end_def(ctx, err);
	case BEGIN_DEVICE:
		return ops->begin_device(ctx, &s->device, err);
	case RUNS:
		*run += s->nr_runs;
		return ops->runs(ctx, first, s->nr_runs, err);
	case REF:
		return ops->ref(ctx, s->name, err);
	case END_DEVICE:
		return ops->end_device(ctx, err);
	case END_POOL:
		return ops->end_pool(ctx, err);
	}
	return 0;
}

/* Delivers the oldest batch, with the lock held around but not during it; after an error, drops it. */
static void empty_one(struct queue *q)
{
	const struct batch *b = &q->batch[q->emptied % NR_BATCHES];
	const struct run *run = b->run;
	int r = q->sink_code;
	size_t i;

	q->delivering = true;
	pthread_mutex_unlock(&q->lock);
	for (i = 0; i < b->nr_steps && r >= 0; i++)
		r = deliver_step(q, &b->step[i], &run, &q->sink_err);
	pthread_mutex_lock(&q->lock);
	if (r < 0)
		q->sink_code = r;
	q->emptied++;
	q->delivering = false;
	pthread_cond_broadcast(&q->change);
}

/* Hands the open batch over and opens the next. */
static int hand_over(struct queue *q, struct err *err)
{
	int r;

	pthread_mutex_lock(&q->lock);
	q->filled++;
	pthread_cond_broadcast(&q->change);
	while (q->filled - q->emptied == NR_BATCHES) {
		if (q->taker_here)
			pthread_cond_wait(&q->change, &q->lock);
		else
			empty_one(q);
	}
	q->open = &q->batch[q->filled % NR_BATCHES];
	q->open->nr_steps = q->open->nr_runs = 0;
	r = q->sink_code;
	if (r < 0 && err)
		*err = q->sink_err;
	pthread_mutex_unlock(&q->lock);
	return r;
}

static int add_step(struct queue *q, struct step s, struct err *err)
{
	q->open->step[q->open->nr_steps++] = s;
	return q->open->nr_steps == BATCH_STEPS ? hand_over(q, err) : 0;
}

static int put_begin_pool(void *ctx, const struct pool_info *p, struct err *err)
{
	struct queue *q = ctx;

	q->pool = *p;
	return add_step(q, (struct step){ .kind = BEGIN_POOL }, err);
}

static int put_begin_def(void *ctx, uint64_t name, struct err *err)
{
	return add_step(ctx, (struct step){ .kind = BEGIN_DEF, .name = name }, err);
}

static int put_end_def(void *ctx, struct err *err)
{
	return add_step(ctx, (struct step){ .kind = END_DEF }, err);
}

static int put_begin_device(void *ctx, const struct device_info *d, struct err *err)
{
	return add_step(ctx, (struct step){ .kind = BEGIN_DEVICE, .device = *d }, err);
}

static int put_runs(void *ctx, const struct run *run, size_t nr, struct err *err)
{
	struct queue *q = ctx;
	int r = 0;

	while (nr && r == 0) {
		size_t part = MIN(nr, BATCH_RUNS - q->open->nr_runs);

		memcpy(q->open->run + q->open->nr_runs, run, part * sizeof(*run));
		q->open->nr_runs += part;
		run += part;
		nr -= part;
		r = add_step(q, (struct step){ .kind = RUNS, .nr_runs = part }, err);
		if (r == 0 && q->open->nr_runs == BATCH_RUNS)
			r = hand_over(q, err);
	}
	return r;
}

static int put_ref(void *ctx, uint64_t name, struct err *err)
{
	return add_step(ctx, (struct step){ .kind = REF, .name = name }, err);
}

static int put_end_device(void *ctx, struct err *err)
{
	return add_step(ctx, (struct step){ .kind = END_DEVICE }, err);
}

static int put_end_pool(void *ctx, struct err *err)
{
	return add_step(ctx, (struct step){ .kind = END_POOL }, err);
}

static const struct events_ops put_ops = {
	.begin_pool = put_begin_pool,
	.begin_def = put_begin_def,
	.end_def = put_end_def,
	.begin_device = put_begin_device,
	.runs = put_runs,
	.ref = put_ref,
	.end_device = put_end_device,
	.end_pool = put_end_pool,
};

static void run_source(struct queue *q)
{
	const struct events put = { &put_ops, q };

	q->source_code = q->source(q->ctx, &put, &q->source_err);
	pthread_mutex_lock(&q->lock);
	q->filled += q->open->nr_steps != 0;
	q->ended = true;
	pthread_cond_broadcast(&q->change);
	pthread_mutex_unlock(&q->lock);
}

static void run_taker(struct queue *q)
{
	pthread_mutex_lock(&q->lock);
	q->taker_here = true;
	while (q->emptied < q->filled || !q->ended) {
		if (q->emptied < q->filled && !q->delivering)
			empty_one(q);
		else
			pthread_cond_wait(&q->change, &q->lock);
	}
	pthread_mutex_unlock(&q->lock);
}

/* Item 0 is the source, item 1 the taker; on one thread after all, one after the other. */
static int run_side(void *ctx, unsigned worker, size_t begin, size_t end, struct err *err)
{
	(void)worker;
	(void)end;
	(void)err;
	if (begin == 0)
		run_source(ctx);
	else
		run_taker(ctx);
	return 0;
}

int events_apart(struct jobs *jobs, events_source_fn *source, void *ctx, const struct events *to,
		 struct err *err)
{
	CLEANUP(free_ptr) struct batch *batch = NULL;
	CLEANUP(free_ptr) struct queue *q = NULL;
	const struct err *failed = NULL;
	int r;

	if (!jobs || jobs_nr(jobs) < 2)
		return source(ctx, to, err);
	q = calloc(1, sizeof(*q));
	batch = calloc(NR_BATCHES, sizeof(*batch));
	if (!q || !batch)
		return err_nomem(err, "queue of events");
	q->source = source;
	q->ctx = ctx;
	q->to = to;
	q->batch = q->open = batch;
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->change, NULL);
	jobs_for_wide(jobs, 2, 2, 1, run_side, q, NULL);
	pthread_cond_destroy(&q->change);
	pthread_mutex_destroy(&q->lock);
	r = q->source_code;
	if (r < 0)
		failed = &q->source_err;
	if (q->sink_code < 0) {
		r = q->sink_code;
		failed = &q->sink_err;
	}
	if (failed && err)
		*err = *failed;
	return r;
}
