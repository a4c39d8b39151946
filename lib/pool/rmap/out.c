/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* The lines of a round: buckets sorted and rendered by the workers, written in order. */
#include <errno.h>
#include <stdlib.h>

#include "base/vec.h"
#include "pool/rmap/impl.h"

#define LANES_SPARE 3
#define LANE_BYTES (16 << 10) /* a lane takes buckets until it has so much */
#define COUNTED_SPAN 8192 /* a bucket of at most so many data blocks is sorted by counting */
#define RENDER_LINES 1024

struct lane {
	uint32_t begin, end; /* buckets */
	struct rmap_records found, sorted;
	uint32_t *count;     /* COUNTED_SPAN */
	struct rmap_line *line;
	size_t nr_lines, cap_lines;
	struct outbuf text;
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
	uint64_t bytes = 0;

	(void)err;
	for (l->begin = o->next; bytes < LANE_BYTES && o->next < o->m->bucket_end; o->next++)
		bytes += rmap_bucket_bytes(o->m, o->next);
	l->end = o->next;
	return bytes > 0;
}

static int by_block(const void *va, const void *vb)
{
	const struct rmap_record *a = va, *b = vb;

	return a->d < b->d ? -1 : a->d > b->d;
}

/* The bucket's records by data block, in l->sorted. */
static int sort_bucket(const struct rmap *m, struct lane *l, uint32_t b)
{
	const dblock_t base = rmap_bucket_begin(m, b);
	const size_t span = (size_t)1 << m->shift;
	const struct rmap_record *rec;
	struct rmap_records swap;
	uint32_t at = 0;

	if (rmap_bucket_get(m, b, &l->found))
		return -ENOMEM;
	l->sorted.nr = 0;
	if (!l->found.nr)
		return 0;
	rec = l->found.rec;
	if (span > COUNTED_SPAN || b == RMAP_BUCKETS - 1 || l->found.nr < 16) {
		qsort(l->found.rec, l->found.nr, sizeof(*rec), by_block);
		swap = l->sorted;
		l->sorted = l->found;
		l->found = swap;
		return 0;
	}
	if (rmap_records_reserve(&l->sorted, l->found.nr))
		return -ENOMEM;
	memset(l->count, 0, span * sizeof(*l->count));
	for (size_t i = 0; i < l->found.nr; i++)
		l->count[rec[i].d - base]++;
	for (size_t i = 0; i < span; i++) {
		uint32_t n = l->count[i];

		l->count[i] = at;
		at += n;
	}
	for (size_t i = 0; i < l->found.nr; i++)
		l->sorted.rec[l->count[rec[i].d - base]++] = rec[i];
	l->sorted.nr = l->found.nr;
	return 0;
}

static int by_line(const void *va, const void *vb)
{
	const struct rmap_line *a = va, *b = vb;

	if (a->end != b->end)
		return a->end < b->end ? -1 : 1;
	if (a->dev_id != b->dev_id)
		return a->dev_id < b->dev_id ? -1 : 1;
	return a->vbegin < b->vbegin ? -1 : a->vbegin > b->vbegin;
}

static void render(const struct rmap *m, struct lane *l)
{
	m->sink->render(l->line, l->nr_lines, &l->text);
	l->nr_lines = 0;
}

static int add_lines(const struct rmap *m, struct lane *l, const struct rmap_record *rec)
{
	uint32_t nr;
	const uint32_t *dev = owners_devices(m->owners, rec->set, &nr);

	if (vec_reserve(l->line, l->cap_lines, l->nr_lines + nr))
		return -ENOMEM;
	for (uint32_t i = 0; i < nr; i++)
		l->line[l->nr_lines++] = (struct rmap_line){
			rec->d, rec->d + rec->len, m->f->dev[dev[i]]->info.dev_id, rec->v
		};
	return 0;
}

static int work(void *ctx, unsigned worker, size_t slot, struct err *err)
{
	struct out *o = ctx;
	struct lane *l = &o->lane[slot];
	const struct rmap *m = o->m;

	(void)worker;
	outbuf_reset(&l->text);
	l->nr_lines = 0;
	for (uint32_t b = l->begin; b < l->end; b++) {
		const struct rmap_record *rec;
		size_t nr, group = 0;

		if (sort_bucket(m, l, b))
			return err_nomem(err, "lines");
		rec = l->sorted.rec;
		nr = l->sorted.nr;
		for (size_t i = 0; i < nr; i++) {
			if (!i || rec[i].d != rec[i - 1].d) {
				if (l->nr_lines > RENDER_LINES)
					render(m, l);
				group = l->nr_lines;
			}
			if (add_lines(m, l, &rec[i]))
				return err_nomem(err, "lines");
			if ((i + 1 == nr || rec[i + 1].d != rec[i].d) && l->nr_lines - group > 1)
				qsort(l->line + group, l->nr_lines - group, sizeof(*l->line),
				      by_line);
		}
	}
	render(m, l);
	return l->text.error ? err_nomem(err, "text") : 0;
}

static int consume(void *ctx, size_t slot, struct err *err)
{
	struct out *o = ctx;

	return o->m->sink->write(o->m->sink->ctx, &o->lane[slot].text, err);
}

int rmap_out(struct rmap *m, struct err *err)
{
	struct out o = { .m = m, .next = m->bucket_begin };
	struct jobs_pipe pipe = { .produce = produce, .work = work, .consume = consume, .ctx = &o };
	int r = 0;

	o.nr_lanes = pipe.nr_slots = jobs_nr(m->f->s->jobs) + LANES_SPARE;
	o.lane = calloc(o.nr_lanes, sizeof(*o.lane));
	for (size_t i = 0; o.lane && i < o.nr_lanes; i++) {
		outbuf_init(&o.lane[i].text);
		o.lane[i].count = calloc(COUNTED_SPAN, sizeof(*o.lane[i].count));
		if (!o.lane[i].count)
			r = err_nomem(err, "lines");
	}
	if (!o.lane)
		r = err_nomem(err, "lines");
	if (!r)
		r = jobs_pipe(m->f->s->jobs, &pipe, err);
	for (size_t i = 0; o.lane && i < o.nr_lanes; i++) {
		outbuf_fini(&o.lane[i].text);
		free(o.lane[i].found.rec);
		free(o.lane[i].sorted.rec);
		free(o.lane[i].count);
		free(o.lane[i].line);
	}
	free(o.lane);
	return r;
}
