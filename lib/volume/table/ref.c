/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Lines of a table as devices below other devices.  Each has the name "TABLE:NAME" in named.h,
 * under which dev_open() finds it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "volume/table/impl.h"

struct table_ref {
	struct dev_named named; /* first: dev_named's functions get no other pointer */
	struct table *t;
	struct table_name *line;
	struct table_ref *next;
};

static int add_leg(const struct table *t, const struct table_leg *leg, unsigned line,
		   struct stack *s, struct stack_leg *out, struct err *err)
{
	int r = table_number_is_here(t, line, &leg->dev, err);

	*out = (struct stack_leg){ stack_device(s, leg->dev.path), leg->at << SECTOR_SHIFT };
	return r ? r : out->dev == SIZE_MAX ? err_nomem(err, "table file") : 0;
}

static int add_segment(const struct table *t, const struct table_segment *seg, struct stack *s,
		       struct err *err)
{
	const struct stack_piece p = {
		.len = seg->length << SECTOR_SHIFT,
		.kind = seg->kind,
		.nr_legs = seg->nr_legs,
		.stripe_len = seg->stripe << SECTOR_SHIFT,
	};
	struct stack_leg *leg = calloc(seg->nr_legs + 1, sizeof(*leg));
	int r = leg ? 0 : err_nomem(err, "table file");

	for (uint32_t i = 0; i < seg->nr_legs && !r; i++)
		r = add_leg(t, &t->leg[seg->first_leg + i], seg->line, s, &leg[i], err);
	if (!r)
		r = stack_add(s, &p, leg, err);
	free(leg);
	return r;
}

/* The kernel's thin-pool target passes requests on to the data device. */
static int add_pool(const struct table_pool *pool, struct stack *s, struct err *err)
{
	const struct stack_piece p = { .len = pool->length << SECTOR_SHIFT, .nr_legs = 1 };
	const struct stack_leg leg = { .dev = stack_device(s, pool->data.path) };

	return leg.dev == SIZE_MAX ? err_nomem(err, "table file") : stack_add(s, &p, &leg, err);
}

static int make_stack(const struct table_ref *ref, struct stack *s, struct err *err)
{
	const struct table *t = ref->t;
	size_t i;
	int r = 0;

	*s = (struct stack){ 0 };
	if (ref->line->kind == TABLE_POOL)
		return add_pool(&t->pools[ref->line->index], s, err);
	for (i = t->device[ref->line->index].first; i != SIZE_MAX && !r; i = t->seg[i].next)
		r = add_segment(t, &t->seg[i], s, err);
	return r;
}

static int open_thin(struct table_ref *ref, unsigned flags, struct io **out, struct err *err)
{
	const struct table_thin *d = &ref->t->thin[ref->line->index];
	int r;

	if (flags & DEV_WRITE)
		return err_set(err, -EROFS, "%s is a thin device, which can only be read", ref->named.name);
	if (!ref->t->open_thin)
		return err_set(err, -EINVAL,
			       "%s is a thin device: it can be an external origin, but no part of a pool's "
			       "metadata or data device",
			       ref->named.name);
	r = ref->t->open_thin(ref->t, d, flags, out, err);
	return r ? err_prefix(err, r, "%s", ref->named.name) : 0;
}

static int ref_open(struct dev_named *named, unsigned flags, struct io **out, struct err *err)
{
	struct table_ref *ref = (struct table_ref *)named;
	struct stack s;
	int r;

	if (ref->line->kind == TABLE_THIN)
		return open_thin(ref, flags, out, err);
	r = make_stack(ref, &s, err);
	if (!r)
		r = stack_open(&s, named->name, flags, out, err);
	stack_fini(&s);
	return r;
}

static int thin_parts(const struct table_ref *ref, dev_part_fn *fn, void *fn_ctx)
{
	const struct table_thin *d = &ref->t->thin[ref->line->index];
	const struct table_pool *pool;
	int r;

	if (d->pool == TABLE_NO_POOL)
		return 0;
	pool = &ref->t->pools[d->pool];
	r = fn(fn_ctx, pool->metadata.path, 0, UINT64_MAX);
	if (!r)
		r = fn(fn_ctx, pool->data.path, 0, UINT64_MAX);
	return r || !d->origin.path ? r : fn(fn_ctx, d->origin.path, 0, UINT64_MAX);
}

static int ref_parts(struct dev_named *named, uint64_t at, uint64_t len, dev_part_fn *fn,
		     void *fn_ctx)
{
	struct table_ref *ref = (struct table_ref *)named;
	struct stack s;
	int r;

	if (ref->line->kind == TABLE_THIN)
		return thin_parts(ref, fn, fn_ctx);
	r = make_stack(ref, &s, NULL);
	if (!r)
		r = stack_parts(&s, at, len, fn, fn_ctx);
	stack_fini(&s);
	return r;
}

const char *table_ref(struct table *t, struct table_name *n)
{
	struct table_ref *ref = n->ref ? n->ref : calloc(1, sizeof(*ref));
	char *name;

	if (!ref || n->ref)
		return ref ? ref->named.name : NULL;
	if (asprintf(&name, "%s:%s", t->path, n->name) < 0) {
		free(ref);
		return NULL;
	}
	*ref = (struct table_ref){
		.named = { .name = name, .open = ref_open, .parts = ref_parts },
		.t = t,
		.line = n,
		.next = t->refs,
	};
	t->refs = ref;
	n->ref = ref;
	dev_named_add(&ref->named);
	return name;
}

bool table_is_own_thin(const struct table *t, const char *path)
{
	const struct table_ref *r = t && path ? t->refs : NULL;

	while (r && strcmp(r->named.name, path))
		r = r->next;
	return r && r->line->kind == TABLE_THIN && t->pool &&
	       t->thin[r->line->index].pool == (size_t)(t->pool - t->pools);
}

const char *table_next_origin(const struct table *t, size_t *i)
{
	for (size_t n = t ? t->nr_all_thins : 0; *i < n;) {
		const char *origin = t->thin[*i].origin.path;
		const char *before = *i ? t->thin[*i - 1].origin.path : NULL;

		++*i;
		if (origin && !(before && !strcmp(origin, before)) && !table_is_own_thin(t, origin))
			return origin;
	}
	return NULL;
}

struct table_name *table_ref_name(const struct table_ref *r)
{
	return r->line;
}

struct table_ref *table_ref_next(const struct table_ref *r)
{
	return r->next;
}

void table_refs_free(struct table *t)
{
	struct table_ref *r, *next;

	for (r = t->refs; r; r = next) {
		next = r->next;
		dev_named_remove(&r->named);
		free((char *)(uintptr_t)r->named.name);
		free(r);
	}
	t->refs = NULL;
}

int table_number_is_here(const struct table *t, unsigned line, const struct table_dev *d,
			 struct err *err)
{
	unsigned major, minor;
	char what[300];

	if (!d->by_number || !dev_numbers(d->word, &major, &minor) || !access(d->path, F_OK) ||
	    dev_describe_numbers(major, minor, what, sizeof(what)))
		return 0;
	return err_set(err, -ENOENT,
		       "%s: line %u: '%s': no block device of that number is here, and no line has it; write "
		       "the device's path there, or add what 'dmsetup info -c --noheadings -o "
		       "name,major,minor' printed where the table was saved",
		       t->path, line, d->word);
}
