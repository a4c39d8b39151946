/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include <errno.h>
#include <unistd.h>

#include "base/text/outbuf.h"
#include "pool/events/events_apart.h"
#include "tap.h"

/* A sink that writes down what it gets, and fails at event @fail_at. */
struct diary {
	struct outbuf text;
	uint64_t nr, fail_at;
	unsigned pause; /* microseconds at each */
};

static int write_down(struct diary *d, char kind, uint64_t a, uint64_t b, struct err *err)
{
	if (d->pause)
		usleep(d->pause);
	if (d->nr++ == d->fail_at)
		return err_set(err, -ENOSPC, "event %llu", (unsigned long long)d->fail_at);
	outbuf_printf(&d->text, "%c %llu %llu\n", kind, (unsigned long long)a,
		      (unsigned long long)b);
	return 0;
}

static int begin_pool(void *ctx, const struct pool_info *p, struct err *err)
{
	return write_down(ctx, 'P', p->nr_data_blocks, p->transaction, err);
}

static int begin_def(void *ctx, uint64_t name, struct err *err)
{
	return write_down(ctx, 'D', name, 0, err);
}

static int end_def(void *ctx, struct err *err)
{
	return write_down(ctx, 'd', 0, 0, err);
}

static int begin_device(void *ctx, const struct device_info *d, struct err *err)
{
	return write_down(ctx, 'T', d->dev_id, d->mapped_blocks, err);
}

/* Runs may be cut into calls anywhere. */
static int runs(void *ctx, const struct run *run, size_t nr, struct err *err)
{
	int r = 0;
	size_t i;

	for (i = 0; i < nr && !r; i++)
		r = write_down(ctx, 'r', run[i].vbegin, run[i].dbegin, err);
	return r;
}

static int ref(void *ctx, uint64_t name, struct err *err)
{
	return write_down(ctx, 'R', name, 0, err);
}

static int end_device(void *ctx, struct err *err)
{
	return write_down(ctx, 't', 0, 0, err);
}

static int end_pool(void *ctx, struct err *err)
{
	return write_down(ctx, 'p', 0, 0, err);
}

static const struct events_ops ops = {
	.begin_pool = begin_pool,
	.begin_def = begin_def,
	.end_def = end_def,
	.begin_device = begin_device,
	.runs = runs,
	.ref = ref,
	.end_device = end_device,
	.end_pool = end_pool,
};

struct plan {
	unsigned nr_devices, nr_calls;
	size_t call_len;    /* runs a call */
	unsigned fail_after; /* devices */
};

static int send_runs(const struct plan *p, const struct events *to, struct err *err)
{
	struct run run[5000];
	unsigned call;
	size_t i;
	int r = 0;

	for (call = 0; call < p->nr_calls && !r; call++) {
		for (i = 0; i < p->call_len; i++)
			run[i] = (struct run){ call * p->call_len + i, i, 1, 0 };
		r = to->ops->runs(to->ctx, run, p->call_len, err);
	}
	return r;
}

static int source(void *ctx, const struct events *to, struct err *err)
{
	struct pool_info pool = { .nr_data_blocks = 77, .transaction = 5 };
	const struct plan *p = ctx;
	unsigned dev;
	int r = to->ops->begin_pool(to->ctx, &pool, err);

	for (dev = 0; dev < p->nr_devices && !r; dev++) {
		struct device_info d = { .dev_id = dev, .mapped_blocks = 9 };

		if (dev == p->fail_after)
			return err_set(err, -EINVAL, "device %u is wrong", dev);
		r = to->ops->begin_def(to->ctx, dev, err);
		r = r ? r : to->ops->end_def(to->ctx, err);
		r = r ? r : to->ops->begin_device(to->ctx, &d, err);
		r = r ? r : send_runs(p, to, err);
		r = r ? r : to->ops->ref(to->ctx, dev, err);
		r = r ? r : to->ops->end_device(to->ctx, err);
	}
	return r ? r : to->ops->end_pool(to->ctx, err);
}

#define NEVER UINT32_MAX

static const struct plan plans[] = {
	{ 0, 0, 0, NEVER },	{ 3, 2, 3, NEVER },	  { 2, 7, 5000, NEVER },
	{ 9000, 1, 1, NEVER },	{ 1, 20000, 2, NEVER },	  { 40, 3, 1500, 33 },
	{ 9000, 0, 0, 8000 },
};

/* With and without threads: the result, the text of the error and what the sink got must be the same. */
static void compare(struct plan p, unsigned nr_workers, uint64_t fail_at, unsigned pause)
{
	struct diary plain = { .fail_at = fail_at }, apart = { .fail_at = fail_at, .pause = pause };
	struct events to_plain = { &ops, &plain }, to_apart = { &ops, &apart };
	struct jobs *jobs = jobs_new(nr_workers);
	struct err want = { 0 }, got = { 0 };

	outbuf_init(&plain.text);
	outbuf_init(&apart.text);
	check(events_apart(jobs, source, &p, &to_apart, &got) == source(&p, &to_plain, &want));
	check_str(got.text, want.text);
	check_eq(apart.text.len, plain.text.len);
	check(!plain.text.len || !memcmp(apart.text.data, plain.text.data, plain.text.len));
	outbuf_fini(&plain.text);
	outbuf_fini(&apart.text);
	jobs_free(jobs);
}

static void same_events(void)
{
	size_t i;

	for (i = 0; i < sizeof(plans) / sizeof(plans[0]); i++) {
		compare(plans[i], 1, UINT64_MAX, 0);
		compare(plans[i], 2, UINT64_MAX, 0);
		compare(plans[i], 5, UINT64_MAX, 0);
	}
	compare((struct plan){ 300, 1, 60, NEVER }, 2, UINT64_MAX, 1);
}

static void sink_fails(void)
{
	static const uint64_t at[] = { 0, 1, 5, 2047, 2048, 4100, 20001, 34000 };
	size_t i, k;

	for (i = 1; i < sizeof(plans) / sizeof(plans[0]); i++)
		for (k = 0; k < sizeof(at) / sizeof(at[0]); k++)
			compare(plans[i], 2, at[k], 0);
}

static const struct test tests[] = {
	{ "events reach the sink whole and in order, and so does the source's error", same_events },
	{ "an error of the sink is the result, wherever it comes", sink_fails },
	{ 0 }
};

int main(int argc, char **argv)
{
	return tap_main(tests, argc, argv);
}
