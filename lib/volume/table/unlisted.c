/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * A device that the pool has and the table does not: a snapshot made a moment ago.  Only its line
 * could tell its size and its external origin, which is that of the device it was taken from.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "volume/table/table.h"

#define MAX_SHOWN 4 /* origins, and devices of each */

struct text {
	char buf[1200];
	size_t len;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *t, const char *fmt, ...)
{
	va_list ap;

	if (t->len >= sizeof(t->buf))
		return;
	va_start(ap, fmt);
	t->len += (size_t)vsnprintf(t->buf + t->len, sizeof(t->buf) - t->len, fmt, ap);
	va_end(ap);
}

/* A path as a word of a table. */
static void add_word(struct text *t, const char *path)
{
	for (; *path; path++) {
		if (strchr(" \t\n\r\v\f\\", *path))
			add(t, "\\%03o", *path);
		else
			add(t, "%c", *path);
	}
}

static void add_device(struct text *t, const struct table_thin *d)
{
	add(t, " %u", d->dev_id);
	if (d->name)
		add(t, " (%s)", d->name);
}

/* " 'base.img' (of devices 0, 3 (web))" for each origin; the first word, and how many there are. */
static size_t list_origins(const struct table *t, struct text *text, const char **first)
{
	size_t nr = 0;

	*first = NULL;
	for (size_t i = 0; i < t->nr_thins && nr < MAX_SHOWN; i++) {
		const char *origin = t->thin[i].origin.path;
		size_t before, shown = 0;

		if (!origin)
			continue;
		for (before = 0; before < i; before++)
			if (t->thin[before].origin.path && !strcmp(t->thin[before].origin.path, origin))
				break;
		if (before < i)
			continue;
		if (!nr++)
			*first = t->thin[i].origin.word;
		add(text, "%s '%s' of device", nr > 1 ? "," : "", t->thin[i].origin.word);
		for (size_t k = i; k < t->nr_thins && shown <= MAX_SHOWN; k++) {
			if (!t->thin[k].origin.path || strcmp(t->thin[k].origin.path, origin))
				continue;
			if (shown++ < MAX_SHOWN)
				add_device(text, &t->thin[k]);
			else
				add(text, " ...");
		}
	}
	return nr;
}

bool table_has_origins(const struct table *t)
{
	for (size_t i = 0; i < t->nr_thins; i++)
		if (t->thin[i].origin.path)
			return true;
	return false;
}

int table_not_listed(const struct table *t, uint32_t dev_id, sector_t mapped_end, const char *ways,
		     struct err *err)
{
	const char *pool = t->nr_thins ? t->thin[0].pool_dev : t->pool->name ? t->pool->name : "pool";
	struct text line = { 0 }, origins = { 0 };
	const char *first;
	size_t nr = list_origins(t, &origins, &first);

	add(&line, "0 LENGTH thin ");
	add_word(&line, pool);
	add(&line, " %u", dev_id);
	if (nr == 1) {
		add(&line, " ");
		add_word(&line, first);
	} else if (nr) {
		add(&line, " ORIGIN");
	}
	return err_set(err, -EDOM,
		       "device %u has no line in %s, so its size and its external origin are not known: "
		       "add the line '%s' (LENGTH in sectors; the last mapped block ends at %llu), or "
		       "give %s%s%s",
		       dev_id, t->path, line.buf, (unsigned long long)mapped_end, ways,
		       nr ? "; a snapshot needs the external origin of the device it was taken from; here "
			    "they are" :
			    "",
		       origins.buf);
}
