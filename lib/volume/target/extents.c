/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Finds what a range of a device consists of: data, or holes, which read as zeros. */
#include "volume/map/holes.h"
#include "volume/target/impl.h"

struct walk {
	struct target_dev *d;
	target_extent_fn *fn;
	void *ctx;
	uint64_t at, end; /* the range still to be reported */
	/* the extent being joined */
	uint64_t from, len;
	enum extent_kind kind;
};

static int emit(struct walk *w, uint64_t len, enum extent_kind kind)
{
	int r = 0;

	w->at += len;
	if (w->len && w->kind == kind) {
		w->len += len;
		return 0;
	}
	if (w->len)
		r = w->fn(w->ctx, w->from, w->len, w->kind);
	w->from = w->at - len;
	w->len = len;
	w->kind = kind;
	return r;
}

/* An unmapped range within the origin. */
static int emit_origin(struct walk *w, uint64_t end)
{
	struct holes holes;
	bool is_data;
	uint64_t len;
	int r = 0;

	holes_init(&holes, w->d->origin);
	while (w->at < end && !r) {
		len = holes_segment(&holes, w->at, end - w->at, &is_data);
		r = emit(w, len, is_data ? EXTENT_DATA : EXTENT_ZERO);
	}
	return r;
}

static int emit_unmapped(struct walk *w, uint64_t end)
{
	const struct target *t = w->d->t;
	bool stale = t->opt.skip_zeroing && t->writable;
	int r = 0;

	if (w->at < w->d->origin_size)
		r = emit_origin(w, MIN(end, w->d->origin_size));
	if (!r && w->at < end)
		r = emit(w, end - w->at, stale ? EXTENT_STALE : EXTENT_ZERO);
	return r;
}

static int on_mapping(void *ctx, vblock_t v, const struct mapping *m)
{
	struct walk *w = ctx;
	uint64_t bs = w->d->t->block_size, begin = v * bs;
	int r = 0;

	(void)m;
	if (begin > w->at)
		r = emit_unmapped(w, MIN(begin, w->end));
	if (!r)
		r = emit(w, MIN(begin + bs, w->end) - w->at, EXTENT_DATA);
	return r;
}

int target_extents(struct target_dev *d, uint64_t len, uint64_t at, target_extent_fn *fn,
		   void *ctx, struct err *err)
{
	struct walk w = { .d = d, .fn = fn, .ctx = ctx, .at = at, .end = at + len };
	uint64_t bs = d->t->block_size;
	int r = target_check_range(d, len, at, err);

	if (r || !len)
		return r;
	pthread_rwlock_rdlock(&d->t->io);
	pthread_mutex_lock(&d->t->meta);
	r = edit_each_mapping(d->t->pool, d->id, at / bs, (at + len - 1) / bs + 1, on_mapping, &w,
			      err);
	if (!r)
		r = emit_unmapped(&w, w.end);
	if (!r)
		r = fn(ctx, w.from, w.len, w.kind);
	pthread_mutex_unlock(&d->t->meta);
	pthread_rwlock_unlock(&d->t->io);
	return r;
}
