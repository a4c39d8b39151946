/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * A MAJOR:MINOR of a saved table means whichever device has it on this machine now.  A message says
 * which, once.
 */
#include <errno.h>
#include <stdio.h>

#include "base/vec.h"
#include "volume/table/impl.h"

static int is_told(struct table *t, unsigned major, unsigned minor, struct err *err)
{
	const uint64_t number = (uint64_t)major << 32 | minor;
	uint64_t *slot;

	for (size_t i = 0; i < t->nr_told; i++)
		if (t->told[i] == number)
			return 1;
	slot = vec_add(t->told, t->nr_told, t->cap_told);
	if (!slot)
		return err_nomem(err, "table file");
	*slot = number;
	return 0;
}

static int tell_number(struct table *t, unsigned line, const struct table_dev *d,
		       const struct table_want *want, struct err *err)
{
	char what[600], text[900];
	unsigned major, minor;
	int r;

	if (!d->path || !dev_numbers(d->word, &major, &minor))
		return 0;
	r = table_number_is_here(t, line, d, err);
	if (!r)
		r = is_told(t, major, minor, err);
	if (r || !dev_describe_numbers(major, minor, what, sizeof(what)))
		return MIN(r, 0);
	snprintf(text, sizeof(text), "note: %s: line %u: %s is %s on this machine", t->path, line,
		 d->word, what);
	if (want && want->tell)
		want->tell(want->ctx, text);
	return 0;
}

int table_tell_device(struct table *t, const struct table_device *device,
		       const struct table_want *want, struct err *err)
{
	int r = 0;

	for (size_t i = device->first; i != SIZE_MAX && !r; i = t->seg[i].next)
		for (size_t k = 0; k < t->seg[i].nr_legs && !r; k++)
			r = table_tell_numbers(t, t->seg[i].line, &t->leg[t->seg[i].first_leg + k].dev,
					       want, err);
	return r;
}

static int tell_pool(struct table *t, const struct table_pool *pool, const struct table_want *want,
		     struct err *err)
{
	int r = table_tell_numbers(t, pool->line, &pool->metadata, want, err);

	return r ? r : table_tell_numbers(t, pool->line, &pool->data, want, err);
}

int table_tell_numbers(struct table *t, unsigned line, const struct table_dev *d,
		       const struct table_want *want, struct err *err)
{
	const struct table_name *n = d->ref ? table_ref_name(d->ref) : NULL;
	const struct table_thin *thin;
	int r;

	if (!d->by_number)
		return 0;
	if (!n)
		return tell_number(t, line, d, want, err);
	if (n->kind == TABLE_DEVICE)
		return table_tell_device(t, &t->device[n->index], want, err);
	if (n->kind == TABLE_POOL)
		return tell_pool(t, &t->pools[n->index], want, err);
	thin = &t->thin[n->index];
	r = tell_pool(t, &t->pools[thin->pool], want, err); /* without a pool nothing is by number */
	return r ? r : table_tell_numbers(t, thin->line, &thin->origin, want, err);
}
