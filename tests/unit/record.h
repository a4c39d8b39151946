/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef UNIT_RECORD_H
#define UNIT_RECORD_H
#include <errno.h>

#include "base/text/outbuf.h"
#include "pool/events/events.h"

/* A sink that writes down what it is told. */
struct record {
	struct outbuf out;
	unsigned fail_at; /* the nth call fails, counted down; 0: none */
};

static int noted(struct record *r, struct err *err)
{
	if (r->fail_at && !--r->fail_at)
		return err_set(err, -ENOSPC, "the sink is full");
	return 0;
}

static int rec_begin_pool(void *ctx, const struct pool_info *p, struct err *err)
{
	struct record *r = ctx;

	outbuf_printf(&r->out, "pool %s %u %llu %u %u %d %u %llu %llu\n", p->uuid, p->time,
		      (unsigned long long)p->transaction, p->flags, p->version, p->has_version,
		      p->data_block_size, (unsigned long long)p->nr_data_blocks,
		      (unsigned long long)p->metadata_snap);
	return noted(r, err);
}

static int rec_begin_def(void *ctx, uint64_t name, struct err *err)
{
	struct record *r = ctx;

	outbuf_printf(&r->out, "def %llu\n", (unsigned long long)name);
	return noted(r, err);
}

static int rec_end_def(void *ctx, struct err *err)
{
	struct record *r = ctx;

	outbuf_str(&r->out, "end def\n");
	return noted(r, err);
}

static int rec_begin_device(void *ctx, const struct device_info *d, struct err *err)
{
	struct record *r = ctx;

	outbuf_printf(&r->out, "device %u %llu %llu %u %u\n", d->dev_id,
		      (unsigned long long)d->mapped_blocks, (unsigned long long)d->transaction,
		      d->creation_time, d->snap_time);
	return noted(r, err);
}

static int rec_runs(void *ctx, const struct run *run, size_t nr, struct err *err)
{
	struct record *r = ctx;
	size_t i;

	for (i = 0; i < nr; i++)
		outbuf_printf(&r->out, "%llu %llu %llu %u\n", (unsigned long long)run[i].vbegin,
			      (unsigned long long)run[i].dbegin, (unsigned long long)run[i].len,
			      run[i].time);
	return noted(r, err);
}

static int rec_ref(void *ctx, uint64_t name, struct err *err)
{
	struct record *r = ctx;

	outbuf_printf(&r->out, "ref %llu\n", (unsigned long long)name);
	return noted(r, err);
}

static int rec_end_device(void *ctx, struct err *err)
{
	struct record *r = ctx;

	outbuf_str(&r->out, "end device\n");
	return noted(r, err);
}

static int rec_end_pool(void *ctx, struct err *err)
{
	struct record *r = ctx;

	outbuf_str(&r->out, "end pool\n");
	return noted(r, err);
}

static const struct events_ops record_ops = {
	.begin_pool = rec_begin_pool,
	.begin_def = rec_begin_def,
	.end_def = rec_end_def,
	.begin_device = rec_begin_device,
	.runs = rec_runs,
	.ref = rec_ref,
	.end_device = rec_end_device,
	.end_pool = rec_end_pool,
};

#endif
