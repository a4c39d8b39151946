/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * The names of a table's lines, sorted: a name that stands twice is found without comparing all pairs.
 * And what a person's word means: the name of a line, a volume of LVM, a device id.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/search.h"
#include "base/text/parse.h"
#include "base/text/similar.h"
#include "dev/dev.h"
#include "pool/format/format.h"
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

const struct table_name *table_step_down(const struct table *t, const struct table_name *n,
					  const char **word)
{
	const struct table_device *d = n->kind == TABLE_DEVICE ? &t->device[n->index] : NULL;
	const struct table_segment *seg = d && !d->target ? &t->seg[d->first] : NULL;
	unsigned major, minor;
	const char *name;

	if (!seg || seg->next != SIZE_MAX || seg->kind != STACK_LINEAR || t->leg[seg->first_leg].at)
		return NULL;
	*word = t->leg[seg->first_leg].dev.word;
	if (!dev_numbers(*word, &major, &minor))
		return table_name_find(t, *word);
	name = table_number_name(t, major, minor);
	return name ? table_name_find(t, name) : NULL;
}

const struct table_thin *table_exact_thin(const struct table *t, const char *name)
{
	const struct table_name *n = name ? table_name_find(t, name) : NULL;
	int steps = 0;

	while (n && n->kind == TABLE_DEVICE && steps++ < TABLE_MAX_STEPS)
		n = table_step_down(t, n, &name);
	return n && n->kind == TABLE_THIN ? &t->thin[n->index] : NULL;
}

bool table_is_called(const struct table *t, const char *line, const char *name)
{
	const char *slash;
	size_t len;

	if (!strcmp(line, name))
		return true;
	if (!t->nr_groups)
		return false;
	name += strncmp(name, "/dev/", 5) ? 0 : 5;
	slash = strchr(line, '/');
	if (slash && !strcmp(slash + 1, name))
		return true;
	len = t->group ? strlen(t->group) : 0;
	if (len && !strncmp(name, t->group, len) && name[len] == '/')
		name += len + 1;
	return !strcmp(line, name);
}

struct table_name *table_other_line(const struct table *t, const char *word)
{
	struct table_name *n = table_name_find(t, word);

	for (size_t i = 0; i < t->nr_names && !n && t->nr_groups; i++)
		if (table_is_called(t, t->names[i].name, word))
			n = &t->names[i];
	return n && n->kind == TABLE_DEVICE && !t->device[n->index].target ? n : NULL;
}

int table_several_groups(const struct table *t, const char *name, struct err *err)
{
	return err_set(err, -EDOM, "%s: '%s' is in several volume groups: write VG/%s", t->path, name, name);
}

int table_is_unique(const struct table *t, const char *word, struct err *err)
{
	unsigned nr = 0;

	for (size_t i = 0; i < t->nr_names; i++)
		nr += t->names[i].kind != TABLE_POOL && table_is_called(t, t->names[i].name, word);
	return nr > 1 ? table_several_groups(t, word, err) : 0;
}

const struct table_thin *table_find(const struct table *t, const char *name_or_id)
{
	const struct table_thin *found = NULL;
	uint64_t id;
	size_t i;

	found = table_exact_thin(t, name_or_id);
	if (found && found < t->thin + t->nr_thins)
		return found;
	found = NULL;
	for (i = 0; i < t->nr_thins && t->nr_groups; i++)
		if (t->thin[i].name && table_is_called(t, t->thin[i].name, name_or_id))
			return &t->thin[i];
	if (parse_u64(name_or_id, &id, NULL) < 0)
		return NULL;
	for (i = 0; i < t->nr_thins; i++) {
		if (t->thin[i].dev_id != id)
			continue;
		if (!t->thin[i].name)
			return &t->thin[i];
		if (!found)
			found = &t->thin[i];
	}
	return found;
}

const char *table_similar_name(const struct table *t, const char *name)
{
	struct similar s;

	similar_init(&s, name, strlen(name));
	for (size_t i = 0; i < t->nr_thins; i++)
		if (t->thin[i].name)
			similar_offer(&s, t->thin[i].name);
	return s.found;
}

int table_device(const struct table *t, const char *device, const char *pool, uint32_t *id,
		 const struct table_thin **line, struct err *err)
{
	char question[SIMILAR_QUESTION];
	uint64_t n;

	*line = t ? table_find(t, device) : NULL;
	if (*line) {
		*id = (*line)->dev_id;
		return 0;
	}
	if (parse_u64(device, &n, NULL) < 0) {
		if (!t)
			return err_set(err, -ENODATA,
				       "'%s' is not a device id; only a table file gives names, and "
				       "%s is not one",
				       device, pool);
		return err_set(err, -ENODATA,
			       "'%s' is neither the name of a device in %s nor a device id%s", device, pool,
			       similar_question(question, table_similar_name(t, device), ""));
	}
	if (n > MAX_DEV_ID)
		return err_set(err, -EDOM, "%llu: the largest device id is %u",
			       (unsigned long long)n, MAX_DEV_ID);
	*id = (uint32_t)n;
	return 0;
}
