/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Two ways.  Where clusters are taken as they are, the place of each in the file is known before it is
 * read, so copy handles them as it does any map.  With compression, or a search for zeros, the place
 * depends on the bytes: these clusters go through a feed, which gives out places in order.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/overflow.h"
#include "base/zero.h"
#include "volume/image/clusters.h"
#include "volume/image/export.h"

struct exporting {
	const struct diff *d;
	const struct export_qcow2 *q;
	const struct copy_options *opt;
	struct output *out;
	struct clusters clusters;
	uint64_t cluster;
	struct qcow2_writer *w;
	extent_fn *fn; /* copy's */
	void *fn_ctx;
	struct feed feed;
	uint64_t seen; /* bytes of the device that opt->seen was shown */
	struct compressor **compressor; /* one a worker, made on first use */
	unsigned nr_compressors;
};

/* A cluster in the feed; the cluster follows, then room for it when compressed. */
struct slot {
	bool zero;
	size_t packed_len; /* 0: could not be made smaller */
	uint8_t raw[] __attribute__((aligned(64)));
};

static int done(const struct exporting *x, uint64_t bytes, struct err *err)
{
	return x->opt->progress ? x->opt->progress(x->opt->progress_ctx, bytes, err) : 0;
}

static int take_zero(void *ctx, uint64_t at, uint64_t nr, struct err *err)
{
	struct exporting *x = ctx;

	return qcow2_zero(x->w, at, nr, err);
}

/* Whole clusters whose place in the file begins at @host; the last may be cut by the device's end. */
static int place(struct exporting *x, uint64_t host, uint64_t nr, const struct extent *e, unsigned nr_e,
		 struct err *err)
{
	uint64_t end = host + nr * x->cluster;
	struct extent rest = { .kind = EXTENT_ZERO };
	int r = 0;

	for (; nr_e && !r; nr_e--, e++) {
		struct extent moved = *e;

		moved.at = host;
		host += e->len;
		r = x->fn(x->fn_ctx, &moved, err);
	}
	rest.at = host;
	rest.len = end - host;
	return r || !rest.len ? r : x->fn(x->fn_ctx, &rest, err);
}

static int take_data(void *ctx, uint64_t at, uint64_t nr, const struct extent *e, unsigned nr_e,
		     struct err *err)
{
	struct exporting *x = ctx;
	struct extent part = *e;
	uint64_t host, n;
	int r = 0;

	for (; nr && !r; nr -= n, at += n * x->cluster) {
		n = MIN(nr, QCOW2_ALLOC_MAX);
		r = qcow2_alloc(x->w, at, n, &host, err);
		if (!r && nr_e > 1)
			return place(x, host, n, e, nr_e, err);
		part.len = MIN(n * x->cluster, e->at + e->len - part.at);
		if (!r)
			r = place(x, host, n, &part, 1, err);
		part.at += part.len;
		part.from += part.len;
	}
	return r;
}

static int walk(void *ctx, extent_fn *fn, void *fn_ctx, struct err *err)
{
	struct exporting *x = ctx;

	x->fn = fn;
	x->fn_ctx = fn_ctx;
	return clusters_walk(&x->clusters, x->d, err);
}

static uint64_t unit_len(const struct feed_unit *u, const struct extent *e)
{
	uint64_t len = 0;

	for (unsigned i = 0; i < u->nr; i++)
		len += e[i].len;
	return len;
}

static int compress(struct exporting *x, unsigned worker, struct slot *s, struct err *err)
{
	struct compressor **c = &x->compressor[worker];

	if (!*c)
		*c = compressor_new(x->q->create.compression);
	if (!*c)
		return err_nomem(err, "compression");
	s->packed_len = compressor_run(*c, s->raw, x->cluster, s->raw + x->cluster, x->cluster - 1);
	return 0;
}

static int work(void *ctx, unsigned worker, const struct feed_unit *u, const struct extent *e,
		void *slot, struct err *err)
{
	struct exporting *x = ctx;
	struct slot *s = slot;
	uint64_t len = unit_len(u, e);
	const struct image_source source = { x->opt->data, x->opt->origin };
	int r = image_source_read(&source, e, u->nr, s->raw, err);

	if (r || !u->nr)
		return r;
	memset(s->raw + len, 0, x->cluster - len);
	s->packed_len = 0;
	s->zero = (x->q->create.compression || x->opt->sparse == SPARSE_ALWAYS) && all_zero(s->raw, x->cluster);
	return s->zero || !x->q->create.compression ? 0 : compress(x, worker, s, err);
}

/* Up to @at come clusters that the image does not have. */
static void show_zeros(struct exporting *x, uint64_t at)
{
	if (x->opt->seen && at > x->seen)
		x->opt->seen(x->opt->seen_ctx, NULL, at - x->seen);
	x->seen = MAX(x->seen, at);
}

static void show(struct exporting *x, const struct feed_unit *u, const struct extent *e, const struct slot *s)
{
	if (!x->opt->seen || !u->nr)
		return;
	show_zeros(x, u->at);
	x->opt->seen(x->opt->seen_ctx, s->raw, unit_len(u, e));
	x->seen += unit_len(u, e);
}

static int consume(void *ctx, const struct feed_unit *u, const struct extent *e, void *slot,
		   struct err *err)
{
	struct exporting *x = ctx;
	struct slot *s = slot;
	uint64_t host;
	int r = 0;

	show(x, u, e, s);
	if (!u->nr) {
		return qcow2_zero(x->w, u->at, u->len / x->cluster, err);
	} else if (s->zero) {
		if (x->clusters.has_backing)
			r = qcow2_zero(x->w, u->at, 1, err);
	} else if (s->packed_len) {
		r = qcow2_compressed(x->w, u->at, s->raw + x->cluster, s->packed_len, err);
	} else {
		r = qcow2_alloc(x->w, u->at, 1, &host, err);
		if (!r)
			r = io_write(x->out->io, s->raw, x->cluster, host, err);
	}
	return r ? r : done(x, unit_len(u, e), err);
}

static int feed_data(void *ctx, uint64_t at, uint64_t nr, const struct extent *e, unsigned nr_e,
		     struct err *err)
{
	struct exporting *x = ctx;
	struct feed_unit u = { .at = at, .nr = nr_e };
	struct extent part = *e;
	uint64_t end = e->at + e->len;
	int r = 0;

	if (nr_e > 1)
		return feed_add(&x->feed, &u, e, err);
	for (; nr && !r; nr--, u.at += x->cluster) {
		part.len = MIN(x->cluster, end - part.at);
		r = feed_add(&x->feed, &u, &part, err);
		part.at += part.len;
		part.from += part.len;
	}
	return r;
}

/* Zeros keep their order with what goes through the feed, since tables are written in order. */
static int feed_zero(void *ctx, uint64_t at, uint64_t nr, struct err *err)
{
	struct exporting *x = ctx;
	struct feed_unit u = { .at = at, .len = nr * x->cluster };

	return feed_add(&x->feed, &u, NULL, err);
}

static int run_feed(struct exporting *x, struct jobs *jobs, struct err *err)
{
	int r = 0;

	x->clusters.data = feed_data;
	x->clusters.zero = feed_zero;
	x->feed = (struct feed){ .jobs = jobs, .work = work, .consume = consume, .ctx = x };
	x->feed.slot_len = sizeof(struct slot) + 2 * x->cluster;
	x->nr_compressors = jobs_nr(jobs);
	x->compressor = calloc(x->nr_compressors, sizeof(struct compressor *));
	if (!x->compressor)
		return err_nomem(err, "compression");
	r = clusters_walk(&x->clusters, x->d, err);
	if (!r)
		r = feed_flush(&x->feed, err);
	for (unsigned i = 0; i < x->nr_compressors; i++)
		compressor_free(x->compressor[i]);
	free(x->compressor);
	feed_fini(&x->feed);
	return r;
}

int export_qcow2(const struct diff *d, const struct export_qcow2 *q, struct output *out,
		 const struct copy_options *opt, struct jobs *jobs, struct err *err)
{
	const struct image_source source = { opt->data, opt->origin };
	struct qcow2_create create = q->create;
	struct exporting x = { .d = d, .q = q, .opt = opt, .out = out };
	uint64_t end = 0;
	int r;

	create.size = round_up(create.size, 1u << SECTOR_SHIFT);
	x.cluster = UINT64_C(1) << create.cluster_bits;
	x.clusters = (struct clusters){ .cluster = x.cluster,
					.source = &source,
					.has_backing = create.backing,
					.backing_is_origin = q->backing_is_origin,
					.backing_size = q->backing_size,
					.data = take_data,
					.zero = take_zero,
					.ctx = &x };
	r = qcow2_begin(out->io, &create, &x.w, err);
	if (r)
		return r;
	if (create.compression || opt->sparse == SPARSE_ALWAYS || opt->seen)
		r = run_feed(&x, jobs, err);
	else
		r = copy_extents(walk, &x, out, opt, jobs, err);
	show_zeros(&x, d->now->size);
	if (!r)
		r = qcow2_end(x.w, &end, err);
	qcow2_free(x.w);
	if (!r && out->kind == OUTPUT_FILE && ftruncate(out->fd, (off_t)end))
		r = err_sys(err, -errno, "%s: cutting it to %llu bytes", out->path,
			    (unsigned long long)end);
	return r ? r : output_sync(out, err);
}
