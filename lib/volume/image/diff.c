/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Maps are walked by calls from within, so two of them cannot be walked in step.  The extents of the
 * base are kept, a window of them; then the device is walked over the same range.
 */
#include "volume/image/diff.h"

#include <errno.h>
#include <stdlib.h>

#include "base/vec.h"

struct window {
	const struct diff *d;
	diff_fn *fn;
	void *ctx;
	uint64_t begin, end; /* bytes; what is walked now */
	struct extent *base; /* of [begin, end) at least, as far as the base goes */
	size_t nr, cap, next;
};

/* Cuts @e, which begins before @end, to [begin, end); false: nothing is left. */
static bool clip(struct extent *e, uint64_t begin, uint64_t end)
{
	uint64_t skip = e->at < begin ? MIN(begin - e->at, e->len) : 0;

	e->at += skip;
	e->len -= skip;
	if (e->kind != EXTENT_ZERO || e->lost)
		e->from += skip;
	if (!e->len)
		return false;
	e->len = MIN(e->len, end - e->at);
	return true;
}

/* Keeps the base's extents until the window is full, which ends the walk. */
static int keep_base(void *ctx, const struct extent *e, struct err *err)
{
	struct window *w = ctx;
	struct extent cut = *e, *slot;

	if (!clip(&cut, w->begin, UINT64_MAX))
		return 0;
	slot = vec_add(w->base, w->nr, w->cap);
	if (!slot)
		return err_nomem(err, "extents of the base");
	*slot = cut;
	if (w->nr < DIFF_WINDOW)
		return 0;
	w->end = cut.at + cut.len;
	return err_set(err, -ECANCELED, "window full");
}

/* Bytes that are lost are the same where they would be those of one place. */
static enum extent_kind kind_of(const struct extent *e)
{
	return e->lost ? e->lost : e->kind;
}

static bool same(const struct diff *d, const struct extent *now, const struct extent *base)
{
	const enum extent_kind kind = kind_of(now);

	if (d->unsure || kind != kind_of(base))
		return false;
	if (kind == EXTENT_ZERO)
		return true;
	if (kind == EXTENT_ORIGIN)
		return d->same_origin && now->from == base->from;
	return now->from == base->from && !d->moved &&
	       (!d->older || (now->time == base->time && base->time < d->base_snap_time));
}

/* One part at the beginning of @now, as long as nothing changes in the base. */
static struct diff_part first_part(struct window *w, const struct extent *now)
{
	struct diff_part p = { .at = now->at, .len = now->len, .kind = DIFF_NEW, .now = *now };

	while (w->next < w->nr && w->base[w->next].at + w->base[w->next].len <= now->at)
		w->next++;
	p.base = (struct extent){ .at = p.at, .kind = EXTENT_ZERO };
	if (w->next < w->nr) { /* without gaps: it begins at or before @now */
		p.base = w->base[w->next];
		clip(&p.base, p.at, p.at + p.len);
		p.len = p.base.len;
		p.kind = same(w->d, now, &p.base) ? DIFF_SAME : DIFF_CHANGED;
	}
	p.now.len = p.base.len = p.len;
	return p;
}

static int compare(void *ctx, const struct extent *e, struct err *err)
{
	struct window *w = ctx;
	struct extent now = *e;
	struct diff_part p;
	int r = 0;

	if (e->at >= w->end)
		return err_set(err, -ECANCELED, "enough read");
	if (!clip(&now, w->begin, w->end))
		return 0;
	while (now.len && !r) {
		p = first_part(w, &now);
		r = w->fn(w->ctx, &p, err);
		clip(&now, p.at + p.len, UINT64_MAX);
	}
	return r;
}

int diff_walk(const struct diff *d, diff_fn *fn, void *ctx, struct err *err)
{
	struct window w = { .d = d, .fn = fn, .ctx = ctx };
	int r = 0;

	while (!r && w.end < d->now->size) {
		w.begin = w.end;
		w.end = d->now->size;
		w.nr = w.next = 0;
		r = d->base ? map_walk(d->base, keep_base, &w, err) : 0;
		if (r && r != -ECANCELED)
			break;
		w.end = MIN(w.end, d->now->size);
		r = map_walk(d->now, compare, &w, err);
		if (r == -ECANCELED)
			r = 0;
	}
	free(w.base);
	return r;
}

static int sum_part(void *ctx, const struct diff_part *p, struct err *err)
{
	struct diff_summary *s = ctx;

	(void)err;
	if (p->kind != DIFF_SAME)
		*(p->now.kind == EXTENT_DATA   ? &s->data_bytes :
		  p->now.kind == EXTENT_ORIGIN ? &s->origin_bytes :
						 &s->zero_bytes) += p->len;
	return 0;
}

int diff_sum(const struct diff *d, struct diff_summary *out, struct err *err)
{
	*out = (struct diff_summary){ 0 };
	return diff_walk(d, sum_part, out, err);
}

struct joining {
	extent_fn *fn;
	void *ctx;
	struct extent last; /* not yet given out; len 0: none */
};

static int join_part(void *ctx, const struct diff_part *p, struct err *err)
{
	struct joining *j = ctx;
	struct extent *last = &j->last;
	int r = 0;

	if (p->kind == DIFF_SAME)
		return 0;
	if (last->len && last->at + last->len == p->at && last->kind == p->now.kind &&
	    (last->kind == EXTENT_ZERO || last->from + last->len == p->now.from)) {
		last->len += p->len;
		return 0;
	}
	if (last->len)
		r = j->fn(j->ctx, last, err);
	*last = p->now;
	return r;
}

int diff_changes(const struct diff *d, extent_fn *fn, void *ctx, struct err *err)
{
	struct joining j = { .fn = fn, .ctx = ctx };
	int r = diff_walk(d, join_part, &j, err);

	return !r && j.last.len ? fn(ctx, &j.last, err) : r;
}
