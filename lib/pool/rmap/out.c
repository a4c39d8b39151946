/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * The lines of a round: some buckets at a time are rendered by the workers and written in order.
 * Buckets that have very many lines are rendered when it is their turn to be written, in pieces.
 */
#include <errno.h>
#include <stdlib.h>

#include "pool/rmap/lines.h"

#define LANES_SPARE 1
#define LANE_BYTES  (16 << 10) /* a lane takes buckets until it has so many bytes of records */
#define LANE_SHARE \
	8 /* of many owners it takes a part of that, down to an eighth: a record has more lines */
#define LANE_LINES (1u << 18) /* more lines than these are rendered in pieces */

struct lane {
	uint32_t begin, end; /* buckets */
	struct rmap_lines lines;
};

struct out {
	struct rmap *m;
	struct lane *lane;
	size_t nr_lanes;
	uint32_t next; /* bucket */
};

static int produce(void *ctx, size_t slot, struct err *err)
{
	struct out *o = ctx;
	struct lane *l = &o->lane[slot];
	const uint32_t most = LANE_BYTES / MIN(o->m->most_owners / LANE_SHARE + 1, LANE_SHARE);
	uint64_t bytes = 0;

	(void)err;
	for (l->begin = o->next; bytes < most && o->next < o->m->bucket_end; o->next++)
		bytes += rmap_bucket_bytes(o->m, o->next);
	l->end = o->next;
	return bytes > 0;
}

static int add_all(const struct rmap *m, struct lane *l, struct err *err)
{
	int r = 0;

	outbuf_reset(&l->lines.text);
	for (uint32_t b = l->begin; b < l->end && !r; b++)
		r = rmap_lines_add(m, &l->lines, b, err);
	return r;
}

static int work(void *ctx, unsigned worker, size_t slot, struct err *err)
{
	struct out *o = ctx;
	struct lane *l = &o->lane[slot];
	uint64_t bytes = 0, nr, lines = 0;
	int r = 0;

	(void)worker;
	for (uint32_t b = l->begin; b < l->end; b++)
		bytes += rmap_bucket_bytes(o->m, b);
	if (bytes / RMAP_RECORD_MIN > LANE_LINES / o->m->most_owners)
		for (uint32_t b = l->begin; b < l->end && !r && lines <= LANE_LINES; b++) {
			r = rmap_lines_count(o->m, &l->lines, b, &nr, err);
			lines += r ? 0 : nr;
		}
	l->lines.write = lines > LANE_LINES;
	return r || l->lines.write ? r : add_all(o->m, l, err);
}

static int consume(void *ctx, size_t slot, struct err *err)
{
	struct out *o = ctx;
	struct lane *l = &o->lane[slot];
	int r = l->lines.write ? add_all(o->m, l, err) : 0;

	return r ? r : o->m->sink->write(o->m->sink->ctx, &l->lines.text, err);
}

int rmap_out(struct rmap *m, struct err *err)
{
	struct out o = { .m = m, .next = m->bucket_begin };
	struct jobs_pipe pipe = { .produce = produce, .work = work, .consume = consume, .ctx = &o };
	int r = 0;

	o.nr_lanes = pipe.nr_slots = jobs_nr(m->f->s->jobs) + LANES_SPARE;
	o.lane = calloc(o.nr_lanes, sizeof(*o.lane));
	for (size_t i = 0; o.lane && i < o.nr_lanes; i++)
		if (rmap_lines_init(&o.lane[i].lines))
			r = err_nomem(err, "lines");
	if (!o.lane)
		r = err_nomem(err, "lines");
	if (!r)
		r = jobs_pipe(m->f->s->jobs, &pipe, err);
	for (size_t i = 0; o.lane && i < o.nr_lanes; i++)
		rmap_lines_fini(&o.lane[i].lines);
	free(o.lane);
	return r;
}
