/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include <errno.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/err.h"
#include "base/jobs.h"
#include "base/units.h"
#include "tap.h"
#include "tasks.h"

struct tally {
	_Atomic unsigned char hits[10007];
	_Atomic uint64_t per_worker[64];
	size_t grain;
	unsigned max_worker;
};

static int count_hits(void *ctx, unsigned worker, size_t begin, size_t end, struct err *err)
{
	struct tally *t = ctx;

	(void)err;
	if (worker > t->max_worker || end - begin > t->grain || begin >= end)
		return -ERANGE;
	for (; begin < end; begin++)
		t->hits[begin]++;
	t->per_worker[worker]++;
	return 0;
}

static void each_item_once(void)
{
	static struct tally t;
	unsigned nr, round;
	size_t i;

	for (nr = 1; nr <= 16; nr = nr * 2 + 1) {
		struct jobs *j = jobs_new(nr);

		check(j);
		check_eq(jobs_nr(j), nr);
		memset(&t, 0, sizeof(t));
		t.max_worker = nr - 1;
		for (round = 1; round <= 20; round++) {
			t.grain = round * 3;
			check(!jobs_for(j, ARRAY_SIZE(t.hits), t.grain, count_hits, &t, NULL));
			for (i = 0; i < ARRAY_SIZE(t.hits); i++)
				check(t.hits[i] == round);
		}
		jobs_free(j);
	}
}

static void wide_and_narrow(void)
{
	static struct tally t;
	struct jobs *j = jobs_new(2);
	size_t i;

	memset(&t, 0, sizeof(t));
	t.grain = 1;
	t.max_worker = 31;
	check(!jobs_for_wide(j, 32, ARRAY_SIZE(t.hits), 1, count_hits, &t, NULL));
	t.max_worker = 1;
	check(!jobs_for(j, ARRAY_SIZE(t.hits), 1, count_hits, &t, NULL));
	for (i = 0; i < ARRAY_SIZE(t.hits); i++)
		check(t.hits[i] == 2);
	jobs_free(j);
}

static void small_starts_none(void)
{
	static struct tally t;
	struct jobs *j = jobs_new(8);
	unsigned before = nr_tasks();

	memset(&t, 0, sizeof(t));
	t.grain = 64;
	check(!jobs_for(j, 64, 64, count_hits, &t, NULL));
	check(!jobs_for(j, 0, 64, count_hits, &t, NULL));
	check_eq(t.per_worker[0], 1);
	check_eq(nr_tasks(), before);
	t.max_worker = 7;
	check(!jobs_for(j, 65 * 8, 64, count_hits, &t, NULL));
	check(nr_tasks() > before);
	jobs_free(j);
	check_eq(nr_tasks(), before);
}

static int fail_from_500(void *ctx, unsigned worker, size_t begin, size_t end, struct err *err)
{
	(void)ctx;
	(void)worker;
	(void)end;
	if (begin == 500)
		usleep(2000); /* later ones fail first */
	return begin >= 500 ? err_set(err, -EUCLEAN, "item %zu", begin) : 0;
}

static void earliest_error(void)
{
	unsigned nr, round;

	for (nr = 1; nr <= 8; nr++) {
		struct jobs *j = jobs_new(nr);

		for (round = 0; round < 5; round++) {
			struct err err = { 0 };

			check(jobs_for(j, 2000, 1, fail_from_500, NULL, &err) == -EUCLEAN);
			check_str(err.text, "item 500");
			check(jobs_for(j, 2000, 1, fail_from_500, NULL, NULL) == -EUCLEAN);
			check(!jobs_for(j, 400, 1, fail_from_500, NULL, &err));
		}
		jobs_free(j);
	}
}

/* squares of numbers, in order */
struct line {
	uint64_t slot[20];
	uint64_t n, next_in, next_out, sum;
	uint64_t fail_produce, fail_work, fail_consume;
	_Atomic int producers, consumers;
	unsigned nr_workers;
	size_t most_slot; /* that was used */
	bool bad;
};

static int line_produce(void *ctx, size_t slot, struct err *err)
{
	struct line *l = ctx;
	int r = 1;

	if (l->producers++ != 0)
		l->bad = true;
	if (l->next_in == l->fail_produce)
		r = err_set(err, -EIO, "produce %llu", (unsigned long long)l->next_in);
	else if (l->next_in == l->n)
		r = 0;
	else
		l->slot[slot] = l->next_in++;
	l->most_slot = MAX(l->most_slot, slot);
	l->producers--;
	return r;
}

static int line_work(void *ctx, unsigned worker, size_t slot, struct err *err)
{
	struct line *l = ctx;
	uint64_t n = l->slot[slot];

	if (worker >= l->nr_workers)
		l->bad = true;
	if (n == l->fail_work)
		return err_set(err, -EUCLEAN, "work %llu", (unsigned long long)n);
	if (n % 13 == 0)
		usleep(100);
	l->slot[slot] = n * n;
	return 0;
}

static int line_consume(void *ctx, size_t slot, struct err *err)
{
	struct line *l = ctx;

	if (l->consumers++ != 0)
		l->bad = true;
	if (l->next_out == l->fail_consume)
		return err_set(err, -EPIPE, "consume %llu", (unsigned long long)l->next_out);
	if (l->slot[slot] != l->next_out * l->next_out)
		l->bad = true;
	l->next_out++;
	l->consumers--;
	return 0;
}

static int run_slots(struct line *l, unsigned nr, size_t nr_slots, struct err *err)
{
	struct jobs *j = jobs_new(nr);
	struct jobs_pipe p = { nr_slots, line_produce, line_work, line_consume, l };
	int r;

	l->nr_workers = nr;
	r = jobs_pipe(j, &p, err);
	jobs_free(j);
	return r;
}

static int run_line(struct line *l, unsigned nr, struct err *err)
{
	return run_slots(l, nr, nr + 2, err);
}

#define NEVER UINT64_MAX

static void pipe_in_order(void)
{
	unsigned nr, n;

	for (nr = 1; nr <= 12; nr++)
		for (n = 0; n < 700; n = n * 3 + 1) {
			struct line l = { .n = n,
					  .fail_produce = NEVER,
					  .fail_work = NEVER,
					  .fail_consume = NEVER };

			check(run_line(&l, nr, NULL) == 0);
			check(!l.bad);
			check_eq(l.next_out, n);
		}
}

static void pipe_fails_in_order(void)
{
	unsigned nr;

	for (nr = 1; nr <= 8; nr++) {
		struct line produce = { .n = 500, .fail_produce = 123, .fail_work = 130,
					.fail_consume = NEVER };
		struct line working = { .n = 500, .fail_produce = 200, .fail_work = 130,
					.fail_consume = 150 };
		struct line consume = { .n = 500, .fail_produce = NEVER, .fail_work = 130,
					.fail_consume = 26 };
		struct err err;

		check(run_line(&produce, nr, &err) == -EIO);
		check_str(err.text, "produce 123");
		check_eq(produce.next_out, 123);
		check(run_line(&working, nr, &err) == -EUCLEAN);
		check_str(err.text, "work 130");
		check_eq(working.next_out, 130);
		check(run_line(&consume, nr, &err) == -EPIPE);
		check_str(err.text, "consume 26");
		check_eq(consume.next_out, 26);
		check(!produce.bad && !working.bad && !consume.bad);
	}
}

static void short_pipe_is_modest(void)
{
	struct line l = { .n = 1, .fail_produce = NEVER, .fail_work = NEVER, .fail_consume = NEVER };
	struct jobs_pipe p = { 10, line_produce, NULL, NULL, &l };
	struct jobs *j = jobs_new(8);
	unsigned before = nr_tasks();

	check(!jobs_pipe(j, &p, NULL));
	check_eq(l.next_in, 1);
	check_eq(nr_tasks(), before);
	jobs_free(j);
}

static void one_worker_uses_one_slot(void)
{
	struct line l = { .n = 100, .fail_produce = NEVER, .fail_work = NEVER, .fail_consume = NEVER };

	check(!run_slots(&l, 1, 10, NULL));
	check(!l.bad);
	check_eq(l.next_out, 100);
	check_eq(l.most_slot, 0);
}

/* While one slot is consumed, the other one is filled. */
static void two_slots_are_enough(void)
{
	struct line l = { .n = 1000, .fail_produce = NEVER, .fail_work = NEVER, .fail_consume = NEVER };

	check(!run_slots(&l, 2, 2, NULL));
	check(!l.bad);
	check_eq(l.next_out, 1000);
	check_eq(l.most_slot, 1);
}

#define SLEEPS 2000

static int slow_produce(void *ctx, size_t slot, struct err *err)
{
	unsigned *n = ctx;

	(void)slot;
	(void)err;
	return (*n)++ < SLEEPS;
}

static int no_work(void *ctx, unsigned worker, size_t slot, struct err *err)
{
	(void)ctx;
	(void)worker;
	(void)slot;
	(void)err;
	return 0;
}

static int slow_consume(void *ctx, size_t slot, struct err *err)
{
	(void)ctx;
	(void)slot;
	(void)err;
	usleep(50);
	return 0;
}

/* For each item one thread sleeps, and the slot that this gives back is something for one other. */
static void pipe_wakes_few(void)
{
	unsigned n = 0;
	struct jobs_pipe p = { 64, slow_produce, no_work, slow_consume, &n };
	struct jobs *j = jobs_new(16);
	struct rusage before, after;

	getrusage(RUSAGE_SELF, &before);
	check(!jobs_pipe(j, &p, NULL));
	getrusage(RUSAGE_SELF, &after);
	check(after.ru_nvcsw - before.ru_nvcsw >= SLEEPS);
	check(after.ru_nvcsw - before.ru_nvcsw < 5 * SLEEPS);
	jobs_free(j);
}

static void at_least_one(void)
{
	struct jobs *j = jobs_new(0);

	check(j);
	check(jobs_nr(j) >= 1);
	jobs_free(j);
	jobs_free(NULL);
}

static const struct test tests[] = {
	{ "each item is worked on exactly once, with any number of workers", each_item_once },
	{ "a call may use more workers than there are CPUs, the next fewer", wide_and_narrow },
	{ "work of one piece starts no thread", small_starts_none },
	{ "the error is that of the earliest piece, whoever fails first", earliest_error },
	{ "a pipeline consumes in the order of production", pipe_in_order },
	{ "a pipeline that fails has consumed exactly what came before", pipe_fails_in_order },
	{ "a pipeline of one item starts no thread", short_pipe_is_modest },
	{ "a pipeline that one worker runs uses one slot again and again", one_worker_uses_one_slot },
	{ "a pipeline of two slots fills one while the other is consumed", two_slots_are_enough },
	{ "a pipeline wakes a thread only where there is something for it", pipe_wakes_few },
	{ "there is at least one worker, and freeing nothing is fine", at_least_one },
	{ 0 }
};

int main(int argc, char **argv)
{
	return tap_main(tests, argc, argv);
}
