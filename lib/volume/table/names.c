/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* The names of a table's lines, sorted: a name that stands twice is found without comparing all pairs. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/search.h"
#include "volume/table/impl.h"

static int by_name(const void *a, const void *b)
{
	const struct table_name *x = a, *y = b;
	int c = strcmp(x->name, y->name);

	return c ? c : (x->line > y->line) - (x->line < y->line);
}

/* Joins the lines of a device, which need not stand together in the file. */
static int join_lines(struct table *t, const struct table_name *a, const struct table_name *b,
		      struct err *err)
{
	struct table_device *x = &t->device[a->index], *y = &t->device[b->index];

	if (x->target || y->target) { /* ignored: its lines are not read */
		x->target = x->target ? x->target : y->target;
		return 0;
	}
	if (t->seg[y->first].start != x->length)
		return err_set(err, -EINVAL,
			       "%s: line %u: '%llu': %s: the lines of '%s' before end at sector %llu",
			       t->path, b->line, (unsigned long long)t->seg[y->first].start,
			       t->seg[y->first].start > x->length ? "START leaves a gap" :
								    "START overlaps",
			       x->name, (unsigned long long)x->length);
	t->seg[x->last].next = y->first;
	x->last = y->last;
	x->length += y->length;
	return 0;
}

static int refuse_twice(const struct table *t, const struct table_name *a,
			const struct table_name *b, struct err *err)
{
	const bool of_pool = a->kind != TABLE_THIN || b->kind != TABLE_THIN;

	return err_set(err, -EINVAL, "%s: line %u: '%s': %s in line %u already: %s", t->path, b->line,
		       b->name,
		       a->kind == TABLE_POOL || b->kind == TABLE_POOL ? "the name of the pool, used" :
									"the name is used",
		       a->line, of_pool ? "each pool and device needs its own" : "a device has one line");
}

static void collect(struct table *t)
{
	struct table_name *v = t->names;

	for (size_t i = 0; i < t->nr_pools; i++)
		if (t->pools[i].name)
			*v++ = (struct table_name){ t->pools[i].name, t->pools[i].line, TABLE_POOL, i,
						    NULL };
	for (size_t i = 0; i < t->nr_all_thins; i++)
		if (t->thin[i].name)
			*v++ = (struct table_name){ t->thin[i].name, t->thin[i].line, TABLE_THIN, i,
						    NULL };
	for (size_t i = 0; i < t->nr_devices; i++)
		*v++ = (struct table_name){ t->device[i].name, t->device[i].line, TABLE_DEVICE, i, NULL };
	t->nr_names = (size_t)(v - t->names);
}

/* The first line of a device must begin it. */
static int check_start(const struct table *t, const struct table_name *n, struct err *err)
{
	const struct table_device *d = n->kind == TABLE_DEVICE ? &t->device[n->index] : NULL;

	if (!d || d->target || !t->seg[d->first].start)
		return 0;
	return err_set(err, -EINVAL, "%s: line %u: '%llu': START leaves a gap: the first line of '%s' must begin at "
		       "0", t->path, n->line, (unsigned long long)t->seg[d->first].start, n->name);
}

int table_names(struct table *t, struct err *err)
{
	struct table_name *v;
	size_t nr = 0;
	int r = 0;

	v = calloc(t->nr_pools + t->nr_all_thins + t->nr_devices + 1, sizeof(*v));
	t->names = v;
	if (!v)
		return err_nomem(err, "table file");
	collect(t);
	qsort(v, t->nr_names, sizeof(*v), by_name);
	for (size_t i = 0; i < t->nr_names && !r; i++) {
		struct table_name *last = nr ? &v[nr - 1] : NULL;

		if (!last || strcmp(last->name, v[i].name)) {
			v[nr++] = v[i];
			r = check_start(t, &v[i], err);
		} else if (last->kind == TABLE_DEVICE && v[i].kind == TABLE_DEVICE) {
			r = join_lines(t, last, &v[i], err);
		} else {
			r = refuse_twice(t, last, &v[i], err);
		}
	}
	t->nr_names = nr;
	return r;
}

static struct table_name *find(const struct table *t, const char *name)
{
	size_t k = search_first(i, t->nr_names, strcmp(t->names[i].name, name) >= 0);

	return k < t->nr_names && !strcmp(t->names[k].name, name) ? &t->names[k] : NULL;
}

struct table_name *table_name_find(const struct table *t, const char *name)
{
	static const char mapper[] = "/dev/mapper/";
	struct table_name *n = find(t, name);

	return n || strncmp(name, mapper, strlen(mapper)) ? n : find(t, name + strlen(mapper));
}

const char *table_number_name(const struct table *t, unsigned major, unsigned minor)
{
	for (size_t i = 0; i < t->nr_numbers; i++)
		if (t->number[i].major == major && t->number[i].minor == minor)
			return t->number[i].name;
	return NULL;
}
