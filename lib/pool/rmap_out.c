/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The lines of a round: buckets sorted and rendered by the workers, written in order. */
#include <errno.h>
#include <stdlib.h>

#include "pool/rmap_private.h"

#define LANES_SPARE 3
#define LANE_RECORDS 2048 /* a lane takes buckets until it has so many */
#define COUNTED_SPAN 4096 /* a bucket of at most so many data blocks is sorted by counting */
#define RENDER_LINES 1024

struct lane {
	uint32_t begin, end; /* buckets */
	struct rmap_record *sorted;
	size_t cap;
	uint32_t *count;
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

static uint64_t nr_records(const struct rmap *m, uint32_t begin, uint32_t end)
{
	return m->start[end - m->bucket_begin] - m->start[begin - m->bucket_begin];
}

static int produce(void *ctx, size_t slot, struct err *err)
{
	struct out *o = ctx;
	struct lane *l = &o->lane[slot];

	(void)err;
	while (o->next < o->m->bucket_end && !nr_records(o->m, o->next, o->next + 1))
		o->next++;
	if (o->next == o->m->bucket_end)
		return 0;
	l->begin = o->next;
	do
		o->next++;
	while (o->next < o->m->bucket_end &&
	       nr_records(o->m, l->begin, o->next + 1) <= LANE_RECORDS);
	l->end = o->next;
	return 1;
}

static int by_block(const void *va, const void *vb)
{
	const struct rmap_record *a = va, *b = vb;

	return a->d < b->d ? -1 : a->d > b->d;
}

/* The records of bucket @b, by data block; *nr of them. */
static const struct rmap_record *sort_bucket(const struct rmap *m, struct lane *l, uint32_t b,
					     size_t *nr)
{
	struct rmap_record *rec = m->record + m->start[b - m->bucket_begin];
	dblock_t base = m->begin + ((dblock_t)b << m->shift);
	size_t span = (size_t)1 << m->shift, at = 0;

	*nr = nr_records(m, b, b + 1);
	if (span > COUNTED_SPAN || b == RMAP_BUCKETS - 1 || *nr < 16) {
		qsort(rec, *nr, sizeof(*rec), by_block);
		return rec;
	}
	if (*nr > l->cap) {
		free(l->sorted);
		l->cap = *nr + *nr / 2;
		l->sorted = malloc(l->cap * sizeof(*l->sorted));
		if (!l->sorted) {
			l->cap = 0;
			return NULL;
		}
	}
	memset(l->count, 0, span * sizeof(*l->count));
	for (size_t i = 0; i < *nr; i++)
		l->count[rec[i].d - base]++;
	for (size_t i = 0; i < span; i++) {
		uint32_t n = l->count[i];

		l->count[i] = (uint32_t)at;
		at += n;
	}
	for (size_t i = 0; i < *nr; i++)
		l->sorted[l->count[rec[i].d - base]++] = rec[i];
	return l->sorted;
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

	if (l->nr_lines + nr > l->cap_lines) {
		size_t cap = 2 * l->cap_lines + nr;
		struct rmap_line *p = realloc(l->line, cap * sizeof(*p));

		if (!p)
			return -ENOMEM;
		l->line = p;
		l->cap_lines = cap;
	}
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
		size_t nr = 0, group = 0;
		const struct rmap_record *rec = sort_bucket(m, l, b, &nr);

		if (!rec)
			return err_nomem(err, "lines");
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
		free(o.lane[i].sorted);
		free(o.lane[i].count);
		free(o.lane[i].line);
	}
	free(o.lane);
	return r;
}
