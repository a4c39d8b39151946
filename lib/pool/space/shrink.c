/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * No table of moves is kept.  A bit for each data block says whether it is in use, and a running
 * count for each 4096 of them how many were before: so a block's place among the
 * moving ones (rank) and the free block of that number (select) are found by bisection.
 */
#include "pool/space/shrink.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/overflow.h"
#include "pool/build/build.h"
#include "pool/format/format.h"
#include "pool/space/shrink_bits.h"

#define MAX_MAPPINGS (MAX_METADATA_BLOCKS * INTERNAL_MAX) /* all blocks as full leaves, which hold as many */
#define POOL_CHANGED \
	"the pool changed while it was being read: deactivate the pool and run the command again"

struct shrink {
	struct shrink_plan plan;
	struct used_bits used;
	uint64_t used_kept; /* below the new end */
};

void shrink_free(struct shrink *s)
{
	if (!s)
		return;
	used_bits_fini(&s->used);
	free(s);
}

const struct shrink_plan *shrink_plan(const struct shrink *s)
{
	return &s->plan;
}

/* --- the first look: what is in use --- */

struct look {
	struct shrink *s;
	struct events count; /* of metadata blocks */
	uint64_t nr_mappings; /* those that devices share once */
};

static int look_begin_pool(void *ctx, const struct pool_info *p, struct err *err)
{
	struct look *l = ctx;
	struct shrink_plan *plan = &l->s->plan;
	struct pool_info after = *p;

	plan->nr_before = p->nr_data_blocks;
	plan->block_size = p->data_block_size;
	after.nr_data_blocks = plan->nr_after;
	return l->count.ops->begin_pool(l->count.ctx, &after, err);
}

static int look_runs(void *ctx, const struct run *run, size_t nr, struct err *err)
{
	struct look *l = ctx;
	int r = 0;

	for (const struct run *u = run; u < run + nr && !r; u++) {
		if (!u->len)
			continue;
		if (u->len > l->s->plan.nr_before || u->dbegin > l->s->plan.nr_before - u->len)
			return err_set(err, -EUCLEAN, "data block %llu is beyond the pool's %llu",
				       (unsigned long long)(u->dbegin + (u->len - 1)),
				       (unsigned long long)l->s->plan.nr_before);
		if (u->len > MAX_MAPPINGS - l->nr_mappings)
			return err_set(err, -ERANGE, "the devices map more blocks than any metadata can hold (%llu)",
				       (unsigned long long)MAX_MAPPINGS);
		l->nr_mappings += u->len;
		r = used_bits_set(&l->s->used, u->dbegin, u->len, err);
		l->s->plan.used_end = MAX(l->s->plan.used_end, u->dbegin + u->len);
	}
	return r ? r : l->count.ops->runs(l->count.ctx, run, nr, err);
}

static int look_begin_def(void *ctx, uint64_t name, struct err *err)
{
	struct look *l = ctx;

	return l->count.ops->begin_def(l->count.ctx, name, err);
}

static int look_end_def(void *ctx, struct err *err)
{
	struct look *l = ctx;

	return l->count.ops->end_def(l->count.ctx, err);
}

static int look_begin_device(void *ctx, const struct device_info *d, struct err *err)
{
	struct look *l = ctx;

	return l->count.ops->begin_device(l->count.ctx, d, err);
}

static int look_ref(void *ctx, uint64_t name, struct err *err)
{
	struct look *l = ctx;

	return l->count.ops->ref(l->count.ctx, name, err);
}

static int look_end_device(void *ctx, struct err *err)
{
	struct look *l = ctx;

	return l->count.ops->end_device(l->count.ctx, err);
}

static int look_end_pool(void *ctx, struct err *err)
{
	struct look *l = ctx;

	return l->count.ops->end_pool(l->count.ctx, err);
}

static const struct events_ops look_ops = {
	.begin_pool = look_begin_pool,
	.begin_def = look_begin_def,
	.end_def = look_end_def,
	.begin_device = look_begin_device,
	.runs = look_runs,
	.ref = look_ref,
	.end_device = look_end_device,
	.end_pool = look_end_pool,
};

static int look(struct shrink *s, const struct shrink_source *src, struct err *err)
{
	struct look l = { .s = s };
	const struct events e = { .ops = &look_ops, .ctx = &l };
	int r = build_count_new(&l.count, err);

	if (!r)
		r = src->produce(src->ctx, &e, err);
	if (!r)
		build_count_all(&l.count, &s->plan.counts);
	build_count_free(&l.count);
	return r;
}

int shrink_new(const struct shrink_source *src, uint64_t nr_blocks, struct shrink **out,
	       struct err *err)
{
	struct shrink *s = calloc(1, sizeof(*s));
	struct shrink_plan *p;
	int r;

	if (!s)
		return err_nomem(err, "plan");
	p = &s->plan;
	p->nr_after = nr_blocks;
	if (nr_blocks > MAX_NR_DATA_BLOCKS)
		r = err_set(err, -ERANGE, "%llu data blocks are more than the format can count",
			    (unsigned long long)nr_blocks);
	else
		r = look(s, src, err);
	if (!r) {
		used_bits_count(&s->used);
		p->nr_used = s->used.nr_set;
		s->used_kept = used_bits_before(&s->used, p->nr_after);
		p->nr_moved = p->nr_used - s->used_kept;
		if (p->nr_used > p->nr_after)
			r = err_set(err, -ERANGE,
				    "Insufficient free space: %llu data blocks are in use, but the pool would have only %llu",
				    (unsigned long long)p->nr_used, (unsigned long long)p->nr_after);
	}
	if (r) {
		shrink_free(s);
		return r;
	}
	*out = s;
	return 0;
}

/* --- where things go --- */

/*
 * Where the used block @b goes; *len, which was the number of blocks that follow it in
 * use, is made as small as the number of those that stay together.
 */
static dblock_t where_run(const struct shrink *s, dblock_t b, uint64_t *len)
{
	const uint64_t end = s->plan.nr_after;
	dblock_t to, used;

	if (b < end) {
		*len = MIN(*len, end - b);
		return b;
	}
	to = used_bits_nth_free(&s->used, used_bits_before(&s->used, b) - s->used_kept);
	used = used_bits_find(&s->used, to, MIN(end, to + *len), true);
	*len = MIN(*len, used - to);
	return to;
}

bool shrink_next_move(const struct shrink *s, struct shrink_move *m)
{
	dblock_t b = MAX(m->from + m->len, s->plan.nr_after), end = s->plan.used_end;

	if (b >= end)
		return false;
	b = used_bits_find(&s->used, b, end, true);
	if (b >= end)
		return false;
	m->from = b;
	m->len = used_bits_find(&s->used, b, end, false) - b;
	m->to = where_run(s, b, &m->len);
	return true;
}

/* --- the second look: the pool as it is afterwards --- */

#define TELL_BATCH 512

struct tell {
	const struct shrink *s;
	const struct events *to;
	size_t nr;
	struct run run[TELL_BATCH];
};

static int tell_begin_pool(void *ctx, const struct pool_info *p, struct err *err)
{
	struct tell *t = ctx;
	struct pool_info after = *p;

	if (p->nr_data_blocks != t->s->plan.nr_before)
		return err_set(err, -EUCLEAN, POOL_CHANGED);
	after.nr_data_blocks = t->s->plan.nr_after;
	return t->to->ops->begin_pool(t->to->ctx, &after, err);
}

static int tell_send(struct tell *t, struct err *err)
{
	size_t nr = t->nr;

	t->nr = 0;
	return nr ? t->to->ops->runs(t->to->ctx, t->run, nr, err) : 0;
}

static int tell_runs(void *ctx, const struct run *run, size_t nr, struct err *err)
{
	struct tell *t = ctx;
	int r;

	for (size_t i = 0; i < nr; i++) {
		struct run u = run[i];

		if (u.len > t->s->plan.nr_before || u.dbegin > t->s->plan.nr_before - u.len ||
		    used_bits_find(&t->s->used, u.dbegin, u.dbegin + u.len, false) !=
			    u.dbegin + u.len)
			return err_set(err, -EUCLEAN, POOL_CHANGED);
		while (u.len) {
			struct run *out = &t->run[t->nr++];

			*out = u;
			out->dbegin = where_run(t->s, u.dbegin, &out->len);
			u.vbegin += out->len;
			u.dbegin += out->len;
			u.len -= out->len;
			r = t->nr == TELL_BATCH ? tell_send(t, err) : 0;
			if (r < 0)
				return r;
		}
	}
	return tell_send(t, err);
}

static int tell_begin_def(void *ctx, uint64_t name, struct err *err)
{
	const struct tell *t = ctx;

	return t->to->ops->begin_def(t->to->ctx, name, err);
}

static int tell_end_def(void *ctx, struct err *err)
{
	const struct tell *t = ctx;

	return t->to->ops->end_def(t->to->ctx, err);
}

static int tell_begin_device(void *ctx, const struct device_info *d, struct err *err)
{
	const struct tell *t = ctx;

	return t->to->ops->begin_device(t->to->ctx, d, err);
}

static int tell_ref(void *ctx, uint64_t name, struct err *err)
{
	const struct tell *t = ctx;

	return t->to->ops->ref(t->to->ctx, name, err);
}

static int tell_end_device(void *ctx, struct err *err)
{
	const struct tell *t = ctx;

	return t->to->ops->end_device(t->to->ctx, err);
}

static int tell_end_pool(void *ctx, struct err *err)
{
	const struct tell *t = ctx;

	return t->to->ops->end_pool(t->to->ctx, err);
}

static const struct events_ops tell_ops = {
	.begin_pool = tell_begin_pool,
	.begin_def = tell_begin_def,
	.end_def = tell_end_def,
	.begin_device = tell_begin_device,
	.runs = tell_runs,
	.ref = tell_ref,
	.end_device = tell_end_device,
	.end_pool = tell_end_pool,
};

int shrink_tell(const struct shrink *s, const struct shrink_source *src, const struct events *to,
		struct err *err)
{
	struct tell *t = calloc(1, sizeof(*t));
	const struct events e = { .ops = &tell_ops, .ctx = t };
	int r;

	if (!t)
		return err_nomem(err, "runs");
	t->s = s;
	t->to = to;
	r = src->produce(src->ctx, &e, err);
	free(t);
	return r;
}
