/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "volume/map/map.h"

#include <errno.h>

#include "base/overflow.h"

void map_source_free(struct map_source *s)
{
	if (s->free)
		s->free(s->ctx);
	*s = (struct map_source){ 0 };
}

/* Files and devices end at 2^63 - 1 bytes. */
static bool block_fits(const struct map *m, uint64_t block_end)
{
	uint64_t bytes;

	return !mul_overflow(block_end, m->block_len, &bytes) && bytes <= INT64_MAX;
}

struct scan {
	const struct map *m;
	bool guess;
	vblock_t limit;	  /* blocks from here on are beyond the device */
	vblock_t next_v;  /* where the last run ended */
	dblock_t next_d;
	uint64_t origin_mapped; /* bytes of the origin's range that are mapped */
	struct map_summary sum;
};

static uint64_t overlap(uint64_t begin, uint64_t end, uint64_t limit)
{
	return MIN(end, limit) - MIN(begin, limit);
}

static int scan_run(struct scan *s, struct run r, struct err *err)
{
	const struct map *m = s->m;
	uint64_t bs = m->block_len, end, data_end;

	if (!r.len || add_overflow(r.vbegin, r.len, &end) ||
	    add_overflow(r.dbegin, r.len, &data_end))
		return err_set(err, -EUCLEAN,
			       "impossible mapping of block %llu (run 'thin_check POOL' for "
			       "details)",
			       (unsigned long long)r.vbegin);
	if (s->sum.mapped_end > r.vbegin)
		return err_set(err, -EUCLEAN,
			       "block %llu: mappings do not ascend (run 'thin_check POOL' for "
			       "details)",
			       (unsigned long long)r.vbegin);
	s->sum.nr_mapped += r.len;
	s->sum.mapped_end = end;
	if (end > s->limit) {
		s->sum.nr_beyond += end - MAX(r.vbegin, s->limit);
		if (r.vbegin >= s->limit)
			return 0;
		data_end -= end - s->limit;
		end = s->limit;
	}
	if (!block_fits(m, end))
		return err_set(err, -EUCLEAN,
			       "block %llu is mapped, beyond the end of the largest possible "
			       "device: give the device's size",
			       (unsigned long long)(end - 1));
	if (!block_fits(m, data_end))
		return err_set(
			err, -EUCLEAN,
			"block %llu is mapped to impossible data block %llu (run 'thin_check "
			"POOL' for details)",
			(unsigned long long)(end - 1), (unsigned long long)(data_end - 1));
	if (data_end > s->sum.data_end) {
		s->sum.data_end = data_end;
		s->sum.data_end_at = end - 1;
	}
	if (!s->sum.nr_data_extents || r.vbegin != s->next_v || r.dbegin != s->next_d)
		s->sum.nr_data_extents++;
	s->next_v = end;
	s->next_d = data_end;
	s->origin_mapped += overlap(r.vbegin * bs, end * bs, m->origin_len);
	s->sum.data_bytes += (end - r.vbegin) * bs;
	return 0;
}

static int scan_runs(void *ctx, const struct run *run, size_t nr, struct err *err)
{
	size_t i;
	int r = 0;

	for (i = 0; i < nr && !r; i++)
		r = scan_run(ctx, run[i], err);
	return r;
}

int map_scan(struct map *m, bool guess, struct map_summary *out, struct err *err)
{
	struct scan s = { .m = m, .limit = UINT64_MAX };
	uint64_t size, in_origin, cut;
	int r;

	if (!guess)
		s.limit = div_up(m->size, m->block_len);
	r = m->source.walk(m->source.ctx, scan_runs, &s, err);
	if (r < 0)
		return r;
	size = m->size;
	if (guess)
		size = MAX(s.sum.mapped_end * m->block_len, m->has_origin ? m->origin_len : 0);
	/* the device may end inside its last block, and that may be mapped */
	cut = s.next_v * m->block_len > size ? s.next_v * m->block_len - size : 0;
	s.sum.data_bytes -= cut;
	in_origin = m->has_origin ? MIN(m->origin_len, size) : 0;
	if (cut)
		s.origin_mapped -= overlap(size, size + cut, m->origin_len);
	s.sum.origin_bytes = m->has_origin ? in_origin - s.origin_mapped : 0;
	s.sum.zero_bytes = size - s.sum.data_bytes - s.sum.origin_bytes;
	m->size = size;
	*out = s.sum;
	return 0;
}

struct walk {
	const struct map *m;
	extent_fn *fn;
	void *ctx;
	bool lost;	    /* only what is lost */
	uint64_t pos;	    /* everything before has been given to add() */
	struct extent last; /* not yet given out: it may go on; len 0: none */
};

/* The io under @e, if that io can tell its parts. */
static struct io *parts_of(const struct walk *w, const struct extent *e)
{
	struct io *io = e->kind == EXTENT_DATA	 ? w->m->data :
			e->kind == EXTENT_ORIGIN ? w->m->origin :
						   NULL;

	return io && (io->ops->where || e->from + e->len > io->size) ? io : NULL;
}

/* Gives out @e, or its parts: stored bytes together, zeros and lost parts each on their own. */
static int give(struct walk *w, const struct extent *e, struct err *err)
{
	struct io *io = parts_of(w, e);
	struct extent stored = *e, part;
	struct io_place p;
	uint64_t done;
	int r = 0;

	stored.len = 0;
	if (!io)
		return w->lost ? 0 : w->fn(w->ctx, e, err);
	for (done = 0; done < e->len && !r; done += p.len) {
		io_where(io, e->from + done, e->len - done, &p);
		if (p.kind == IO_STORED && !w->lost) {
			stored.len += p.len;
			continue;
		}
		if (stored.len)
			r = w->fn(w->ctx, &stored, err);
		part = (struct extent){ .at = e->at + done, .len = p.len };
		if (p.kind == IO_LOST) {
			part.from = e->from + done;
			part.kind = w->lost ? e->kind : EXTENT_ZERO;
			part.lost = w->lost ? EXTENT_ZERO : e->kind;
			part.time = e->time;
		}
		if (!r && (!w->lost || p.kind == IO_LOST))
			r = w->fn(w->ctx, &part, err);
		stored.at = part.at + p.len;
		stored.from = e->from + done + p.len;
		stored.len = 0;
	}
	return r || !stored.len ? r : w->fn(w->ctx, &stored, err);
}

static int add(struct walk *w, struct extent e, uint64_t end, struct err *err)
{
	struct extent *last = &w->last;
	int r = 0;

	if (end == w->pos)
		return 0;
	e.at = w->pos;
	e.len = end - w->pos;
	w->pos = end;
	if (last->len && last->kind == e.kind &&
	    (e.kind == EXTENT_ZERO || last->from + last->len == e.from) &&
	    (!w->m->timed || last->time == e.time)) {
		last->len += e.len;
		return 0;
	}
	if (last->len)
		r = give(w, last, err);
	*last = e;
	return r;
}

static int add_unmapped(struct walk *w, uint64_t end, struct err *err)
{
	uint64_t origin_end = w->m->has_origin ? MIN(end, w->m->origin_len) : 0;
	int r = 0;

	if (w->pos < origin_end)
		r = add(w, (struct extent){ .kind = EXTENT_ORIGIN, .from = w->pos }, origin_end, err);
	if (!r && w->pos < end)
		r = add(w, (struct extent){ .kind = EXTENT_ZERO }, end, err);
	return r;
}

static struct extent data_of(const struct map *m, const struct run *r)
{
	return (struct extent){ .kind = EXTENT_DATA, .from = r->dbegin * m->block_len, .time = r->time };
}

static int walk_runs(void *ctx, const struct run *run, size_t nr, struct err *err)
{
	struct walk *w = ctx;
	const struct map *m = w->m;
	vblock_t limit = div_up(m->size, m->block_len);
	uint64_t begin, end;
	size_t i;
	int r;

	for (i = 0; i < nr; i++) {
		if (run[i].vbegin >= limit)
			return 0;
		begin = run[i].vbegin * m->block_len;
		end = (run[i].vbegin + MIN(run[i].len, limit - run[i].vbegin)) * m->block_len;
		if (begin < w->pos)
			return err_set(err, -EUCLEAN,
				       "block %llu: mappings do not ascend (run 'thin_check POOL' "
				       "for details)",
				       (unsigned long long)run[i].vbegin);
		r = add_unmapped(w, begin, err);
		if (!r)
			r = add(w, data_of(m, &run[i]), MIN(end, m->size), err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int walk_all(struct walk *w, struct err *err)
{
	int r = w->m->source.walk(w->m->source.ctx, walk_runs, w, err);

	if (!r)
		r = add_unmapped(w, w->m->size, err);
	if (!r && w->last.len)
		r = give(w, &w->last, err);
	return r;
}

int map_walk(const struct map *m, extent_fn *fn, void *ctx, struct err *err)
{
	struct walk w = { .m = m, .fn = fn, .ctx = ctx };

	return walk_all(&w, err);
}

int map_walk_lost(const struct map *m, extent_fn *fn, void *ctx, struct err *err)
{
	struct walk w = { .m = m, .fn = fn, .ctx = ctx, .lost = true };

	return walk_all(&w, err);
}
