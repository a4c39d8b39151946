/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Words of a table that name other lines of it.
 *
 * Lines and the lines below them are a graph without loops; but a chain of lines that each name the
 * next one twice has 2^n pieces.  So the pieces of each line are counted, with all below them, and
 * a line with too many is refused.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "volume/table/impl.h"

#define MAX_PIECES (1u << 15) /* two devices are compared piece by piece; a text of 1 MiB has fewer lines */
#define MAX_LEVELS 100

/* The word of @line that is being linked. */
struct word {
	struct table *t;
	const char *folder;
	unsigned line;
	const char *own; /* the line's own name: no line stands on itself, so that a file is meant */
};

static int refuse_target(const struct word *w, const struct table_dev *d,
			 const struct table_device *device, struct err *err)
{
	return err_set(err, -EINVAL,
		       "%s: line %u: '%s': line %u has that name and is a %s target, which is not "
		       "supported: activate it, and write the path of its device",
		       w->t->path, w->line, d->word, device->line, device->target);
}

/* A number that the file explains by a name that is no line: a path, or a device of this machine. */
static int number_as_path(const struct word *w, struct table_dev *d, const char *name,
			  struct err *err)
{
	const char *const before[] = { name[0] == '/' ? "" : w->folder, "/dev/mapper/" };
	char *path;

	for (size_t i = 0; i < ARRAY_SIZE(before); i++) {
		if (asprintf(&path, "%s%s", before[i], name) < 0)
			return err_nomem(err, "table file");
		if (!access(path, F_OK)) {
			free(d->path);
			d->path = path;
			d->by_number = false;
			return 0;
		}
		free(path);
	}
	return 0;
}

static int link_word(const struct word *w, struct table_dev *d, struct err *err)
{
	struct table *t = w->t;
	unsigned major, minor;
	const char *name = d->word, *path;
	struct table_name *n;

	if (!d->path)
		return 0;
	if (d->by_number) {
		dev_numbers(d->word, &major, &minor);
		name = table_number_name(t, major, minor);
		if (!name)
			return 0;
	}
	n = table_name_find(t, name);
	if (!n)
		return d->by_number ? number_as_path(w, d, name, err) : 0;
	if (((w->own && !strcmp(w->own, n->name)) || n->kind == TABLE_POOL) && !access(d->path, F_OK))
		return 0;
	if (n->kind == TABLE_DEVICE && t->device[n->index].target) {
		if (d->by_number || d->word[0] == '/')
			return 0; /* the device of this machine */
		return refuse_target(w, d, &t->device[n->index], err);
	}
	path = table_ref(t, n);
	free(d->path);
	d->path = path ? strdup(path) : NULL;
	d->ref = n->ref;
	d->by_number = false;
	return d->path ? 0 : err_nomem(err, "table file");
}

static int link_segments(struct word *w, const struct table_device *d, struct err *err)
{
	struct table *t = w->t;
	int r = 0;

	w->own = d->name;
	for (size_t i = d->target ? SIZE_MAX : d->first; i != SIZE_MAX && !r; i = t->seg[i].next) {
		const struct table_segment *seg = &t->seg[i];

		w->line = seg->line;
		for (size_t k = seg->first_leg; k < seg->first_leg + seg->nr_legs && !r; k++)
			r = link_word(w, &t->leg[k].dev, err);
	}
	return r;
}

static int link_words(struct table *t, const char *folder, struct err *err)
{
	struct word w = { .t = t, .folder = folder };
	int r = 0;

	for (size_t i = 0; i < t->nr_devices && !r; i++)
		r = link_segments(&w, &t->device[i], err);
	for (size_t i = 0; i < t->nr_pools && !r; i++) {
		w.line = t->pools[i].line;
		w.own = t->pools[i].name;
		r = link_word(&w, &t->pools[i].metadata, err);
		if (!r)
			r = link_word(&w, &t->pools[i].data, err);
	}
	for (size_t i = 0; i < t->nr_all_thins && !r; i++) {
		w.line = t->thin[i].line;
		w.own = t->thin[i].name;
		r = link_word(&w, &t->thin[i].origin, err);
	}
	return r;
}

/* Counts the pieces below a line; state by the index of the line's name. */
struct count {
	struct table *t;
	struct {
		uint32_t pieces; /* 0: not counted yet */
		bool open;	 /* on the way down from here */
		bool by_number;
	} *of;
};

static int count_line(struct count *c, struct table_name *n, unsigned level, struct err *err);

static int count_dev(struct count *c, struct table_name *from, struct table_dev *d, unsigned level,
		     struct err *err)
{
	size_t i = (size_t)(from - c->t->names), k;
	struct table_name *n;
	uint32_t more = 1;
	int r;

	if (d->ref) {
		n = table_ref_name(d->ref);
		r = count_line(c, n, level + 1, err);
		if (r)
			return r;
		k = (size_t)(n - c->t->names);
		more = c->of[k].pieces;
		d->by_number = c->of[k].by_number;
	}
	c->of[i].by_number |= d->by_number;
	c->of[i].pieces += more;
	if (c->of[i].pieces <= MAX_PIECES)
		return 0;
	return err_set(err, -EINVAL, "%s: line %u: '%s' consists of more than %u pieces of other "
				     "lines",
		       c->t->path, from->line, from->name, MAX_PIECES);
}

static int count_below(struct count *c, struct table_name *n, unsigned level, struct err *err)
{
	struct table *t = c->t;
	struct table_thin *d = n->kind == TABLE_THIN ? &t->thin[n->index] : NULL;
	size_t pool = d ? d->pool : n->index, i, k;
	int r = 0;

	if (n->kind == TABLE_DEVICE) {
		for (i = t->device[n->index].first; i != SIZE_MAX && !r; i = t->seg[i].next)
			for (k = 0; k < t->seg[i].nr_legs && !r; k++)
				r = count_dev(c, n, &t->leg[t->seg[i].first_leg + k].dev, level, err);
		return r;
	}
	if (pool == TABLE_NO_POOL)
		return 0;
	r = count_dev(c, n, &t->pools[pool].metadata, level, err);
	if (!r)
		r = count_dev(c, n, &t->pools[pool].data, level, err);
	return r || !d ? r : count_dev(c, n, &d->origin, level, err);
}

static int count_line(struct count *c, struct table_name *n, unsigned level, struct err *err)
{
	size_t i = (size_t)(n - c->t->names);
	int r;

	if (c->of[i].open)
		return err_set(err, -EINVAL,
			       "%s: line %u: '%s': a loop: the line is stacked on itself",
			       c->t->path, n->line, n->name);
	if (c->of[i].pieces)
		return 0;
	if (level > MAX_LEVELS)
		return err_set(err, -EINVAL, "%s: line %u: '%s': more than %u lines are stacked "
					     "on each other",
			       c->t->path, n->line, n->name, MAX_LEVELS);
	c->of[i].open = true;
	c->of[i].pieces = 1;
	r = count_below(c, n, level, err);
	c->of[i].open = false;
	return r;
}

/*
 * A pool on lines that end in MAJOR:MINOR is no more trustworthy than one that names MAJOR:MINOR
 * itself.
 */
static void inherit_numbers(const struct count *c, struct table_dev *d)
{
	if (d->ref)
		d->by_number = c->of[table_ref_name(d->ref) - c->t->names].by_number;
}

int table_link(struct table *t, const char *folder, struct err *err)
{
	struct count c = { .t = t };
	struct table_ref *ref;
	int r = link_words(t, folder, err);

	if (r || !t->refs)
		return r;
	c.of = calloc(t->nr_names + 1, sizeof(*c.of));
	if (!c.of)
		return err_nomem(err, "table file");
	for (ref = t->refs; ref && !r; ref = table_ref_next(ref))
		r = count_line(&c, table_ref_name(ref), 0, err);
	for (size_t i = 0; i < t->nr_pools && !r; i++) {
		inherit_numbers(&c, &t->pools[i].metadata);
		inherit_numbers(&c, &t->pools[i].data);
	}
	for (size_t i = 0; i < t->nr_all_thins && !r; i++)
		inherit_numbers(&c, &t->thin[i].origin);
	free(c.of);
	return r;
}

const char *table_device_path(struct table *t, const char *word)
{
	struct table_name *n = t ? table_name_find(t, word) : NULL;
	struct stat st;

	if (!n || !dev_stat(word, &st) || (n->kind == TABLE_DEVICE && t->device[n->index].target))
		return word;
	return table_ref(t, n);
}
