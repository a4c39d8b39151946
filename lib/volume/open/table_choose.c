/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Which lines of a table belong together, and which pool is meant.
 *
 * POOL_DEV of a thin line is the name of its pool.  A number there (253:4) says nothing, for a
 * pool's own line has no number.  So where the file has one pool and no thin line names it, all
 * thin lines must have the same word; where it has several, a line belongs to the pool that
 * it names, or to none.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "dev/dev.h"
#include "volume/open/impl.h"

struct named {
	const char *name;
	unsigned line;
	size_t pool; /* index, or TABLE_NO_POOL for a thin line */
};

static int by_name(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int c = strcmp(x->name, y->name);

	return c ? c : (x->line > y->line) - (x->line < y->line);
}

/* All names of the file, sorted, so that a table of many devices costs no square. */
static int collect_names(const struct table *t, struct named **out, size_t *nr, struct err *err)
{
	struct named *v = calloc(t->nr_pools + t->nr_all_thins + 1, sizeof(*v));
	size_t i;

	*out = v;
	*nr = 0;
	if (!v)
		return err_nomem(err, "table file");
	for (i = 0; i < t->nr_pools; i++)
		if (t->pools[i].name)
			v[(*nr)++] = (struct named){ t->pools[i].name, t->pools[i].line, i };
	for (i = 0; i < t->nr_all_thins; i++)
		if (t->thin[i].name)
			v[(*nr)++] = (struct named){ t->thin[i].name, t->thin[i].line,
						     TABLE_NO_POOL };
	qsort(v, *nr, sizeof(*v), by_name);
	for (i = 1; i < *nr; i++) {
		bool of_pool = v[i - 1].pool != TABLE_NO_POOL || v[i].pool != TABLE_NO_POOL;

		if (!strcmp(v[i - 1].name, v[i].name))
			return err_set(err, -EINVAL, "%s: line %u: '%s': %s in line %u already: %s",
				       t->path, v[i].line, v[i].name,
				       of_pool ? "the name of the pool, used" : "the name stands",
				       v[i - 1].line,
				       of_pool ? "each pool and device needs its own" :
						 "a device has one line");
	}
	return 0;
}

static size_t pool_of_name(const struct named *v, size_t nr, const char *name)
{
	size_t low = 0, high = nr;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int c = strcmp(v[mid].name, name);

		if (!c)
			return v[mid].pool;
		if (c < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return TABLE_NO_POOL;
}

/* One pool that no thin line names: then all lines are its lines, if they agree. */
static int take_all(struct table *t, const struct pool_want *want, struct err *err)
{
	const struct table_thin *first = t->thin;
	unsigned major, minor;
	char text[600];
	size_t i;

	for (i = 1; i < t->nr_all_thins; i++)
		if (strcmp(t->thin[i].pool_dev, first->pool_dev))
			return err_set(err, -EINVAL,
				       "%s: line %u: '%s': line %u has '%s': two pools, and the file has "
				       "one thin-pool line; add the other, give each a name (NAME: in "
				       "front), and write the pool's name in the thin lines",
				       t->path, t->thin[i].line, t->thin[i].pool_dev, first->line,
				       first->pool_dev);
	for (i = 0; i < t->nr_all_thins; i++)
		t->thin[i].pool = 0;
	if (i && t->pools[0].name && want->tell && !strchr(first->pool_dev, '/') &&
	    !dev_numbers(first->pool_dev, &major, &minor)) {
		snprintf(text, sizeof(text),
			 "warning: %s: line %u: '%s' is not the name of the pool, which is '%s'; the thin "
			 "lines are taken for this pool's",
			 t->path, first->line, first->pool_dev, t->pools[0].name);
		want->tell(want->ctx, text);
	}
	return 0;
}

static int assign_pools(struct table *t, const struct named *v, size_t nr,
			const struct pool_want *want, struct err *err)
{
	bool any = false;

	for (size_t i = 0; i < t->nr_all_thins; i++) {
		t->thin[i].pool = pool_of_name(v, nr, t->thin[i].pool_dev);
		any |= t->thin[i].pool != TABLE_NO_POOL;
	}
	return any || t->nr_pools > 1 ? 0 : take_all(t, want, err);
}

/* " a, b, c" */
static void list_pools(const struct table *t, char *buf, size_t len)
{
	size_t at = 0;

	buf[0] = 0;
	for (size_t i = 0; i < t->nr_pools && at < len; i++) {
		const char *comma = i ? ", " : "";

		if (t->pools[i].name)
			at += (size_t)snprintf(buf + at, len - at, "%s%s", comma, t->pools[i].name);
		else
			at += (size_t)snprintf(buf + at, len - at, "%sone without a name in line %u",
					       comma, t->pools[i].line);
	}
}

static const struct table_thin *named_thin(const struct table *t, const char *name)
{
	for (size_t i = 0; name && i < t->nr_all_thins; i++)
		if (t->thin[i].name && !strcmp(t->thin[i].name, name))
			return &t->thin[i];
	return NULL;
}

/* Exactly the pool that --pool names. */
static int pool_of_option(const struct table *t, const char *name, size_t *pool, struct err *err)
{
	const char *plain = strncmp(name, "/dev/mapper/", 12) ? name : name + 12;
	char list[400];

	for (*pool = 0; *pool < t->nr_pools; ++*pool)
		if (t->pools[*pool].name && !strcmp(t->pools[*pool].name, plain))
			return 0;
	list_pools(t, list, sizeof(list));
	return err_set(err, -EDOM, "--pool: no pool '%s' in %s: there is %s", name, t->path, list);
}

/* TABLE_NO_POOL in *pool: the devices' names do not choose. */
static int pool_of_devices(const struct table *t, const struct pool_want *want, size_t *pool,
			   struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(want->device); i++) {
		const struct table_thin *d = named_thin(t, want->device[i]);

		if (!d)
			continue;
		if (d->pool == TABLE_NO_POOL)
			return err_set(err, -EINVAL,
				       "%s: line %u: '%s': no thin-pool line of this file has that name, so "
				       "the pool of '%s' is not known: write the NAME of its pool there",
				       t->path, d->line, d->pool_dev, d->name);
		if (*pool != TABLE_NO_POOL && *pool != d->pool)
			return err_set(err, -EDOM, "%s: line %u: '%s' is a device of pool '%s', not of '%s'",
				       t->path, d->line, d->name, d->pool_dev,
				       t->pools[*pool].name ? t->pools[*pool].name : "the other");
		*pool = d->pool;
	}
	return 0;
}

static int choose_pool(struct table *t, const struct pool_want *want, struct err *err)
{
	size_t pool = TABLE_NO_POOL;
	char list[400];
	int r = want->pool ? pool_of_option(t, want->pool, &pool, err) : 0;

	if (!r)
		r = pool_of_devices(t, want, &pool, err);
	if (r < 0)
		return r;
	if (pool == TABLE_NO_POOL && t->nr_pools == 1)
		pool = 0;
	if (pool == TABLE_NO_POOL) {
		list_pools(t, list, sizeof(list));
		return err_set(err, -EDOM, "%s has %zu pools: --pool NAME says which: %s", t->path,
			       t->nr_pools, list);
	}
	t->pool = &t->pools[pool];
	return 0;
}

/* The chosen pool's devices first, the order kept. */
static int sort_thins(struct table *t, struct err *err)
{
	CLEANUP(free_ptr) struct table_thin *v = calloc(t->nr_all_thins + 1, sizeof(*v));
	size_t chosen = (size_t)(t->pool - t->pools), nr = 0;

	if (!v)
		return err_nomem(err, "table file");
	for (size_t i = 0; i < t->nr_all_thins; i++)
		if (t->thin[i].pool == chosen)
			v[nr++] = t->thin[i];
	t->nr_thins = nr;
	for (size_t i = 0; i < t->nr_all_thins; i++)
		if (t->thin[i].pool != chosen)
			v[nr++] = t->thin[i];
	memcpy(t->thin ? t->thin : v, v, nr * sizeof(*v));
	return 0;
}

static int judge_features(const struct table_pool *pool, const struct pool_want *want,
			  struct err *err)
{
	char text[600];

	if (!pool->feature_fault)
		return 0;
	if (want->write)
		return err_set(err, -EINVAL, "%s: this feature would be ignored, so the pool was not "
					     "changed", pool->feature_fault);
	snprintf(text, sizeof(text), "warning: %s", pool->feature_fault);
	if (want->tell)
		want->tell(want->ctx, text);
	return 0;
}

int table_choose(struct table *t, const struct pool_want *want, struct err *err)
{
	static const struct pool_want any;
	CLEANUP(free_ptr) struct named *v = NULL;
	size_t nr;
	int r = collect_names(t, &v, &nr, err);

	if (!want)
		want = &any;
	if (!r)
		r = assign_pools(t, v, nr, want, err);
	if (!r)
		r = choose_pool(t, want, err);
	if (!r)
		r = sort_thins(t, err);
	return r ? r : judge_features(t->pool, want, err);
}

const struct table_thin *table_find(const struct table *t, const char *name_or_id)
{
	const struct table_thin *found = NULL;
	uint64_t id;
	size_t i;

	for (i = 0; i < t->nr_thins; i++)
		if (t->thin[i].name && !strcmp(t->thin[i].name, name_or_id))
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
