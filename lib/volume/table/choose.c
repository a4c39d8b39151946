/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Which lines of a table belong together, and which pool is meant.
 *
 * POOL_DEV of a thin line is the name of its pool.  A number there (253:4) says something only where a
 * line of the file explains it.  So where the file has one pool and no thin line names it, all
 * thin lines must have the same word; where it has several, a line belongs to the pool that
 * it names, or to none.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text/parse.h"
#include "base/words.h"
#include "dev/dev.h"
#include "pool/format/format.h"
#include "volume/table/impl.h"

/* The pool that @word means: its name, its number, or a linear device over it, as LVM makes it. */
static size_t pool_of_word(const struct table *t, const char *word)
{
	const struct table_name *n;
	unsigned major, minor;
	int steps = 0;

	if (dev_numbers(word, &major, &minor))
		word = table_number_name(t, major, minor);
	n = word ? table_name_find(t, word) : NULL;
	while (n && n->kind != TABLE_POOL && steps++ < TABLE_MAX_STEPS)
		n = table_step_down(t, n, &word);
	return n && n->kind == TABLE_POOL ? n->index : TABLE_NO_POOL;
}

/* One pool that no thin line names: then all lines are its lines, if they agree. */
static int take_all(struct table *t, const struct table_want *want, struct err *err)
{
	const struct table_thin *first = t->thin;
	unsigned major, minor;
	char text[600];
	size_t i;

	for (i = 1; i < t->nr_all_thins; i++)
		if (strcmp(t->thin[i].pool_dev, first->pool_dev))
			return err_set(err, -EINVAL,
				       "%s: line %u: '%s': line %u has '%s': two pools, but one "
				       "thin-pool line; add the other, give each a name (NAME: in front), and "
				       "write that name in the thin lines",
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

static int assign_pools(struct table *t, const struct table_want *want, struct err *err)
{
	bool any = false;

	for (size_t i = 0; i < t->nr_all_thins; i++) {
		t->thin[i].pool = pool_of_word(t, t->thin[i].pool_dev);
		any |= t->thin[i].pool != TABLE_NO_POOL;
	}
	return any || t->nr_pools != 1 ? 0 : take_all(t, want, err);
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

/* The same by a name as people call volumes of LVM; *out is NULL where no thin line has it. */
static int named_thin(const struct table *t, const char *name, const struct table_thin **out,
		      struct err *err)
{
	*out = table_exact_thin(t, name);
	if (*out || !name || !t->nr_groups)
		return 0;
	for (size_t i = 0; i < t->nr_all_thins; i++) {
		if (!t->thin[i].name || !table_is_called(t, t->thin[i].name, name))
			continue;
		if (*out)
			return table_several_groups(t, name, err);
		*out = &t->thin[i];
	}
	return 0;
}

/* Exactly the pool that --pool names. */
static int pool_of_option(const struct table *t, const char *name, size_t *pool, struct err *err)
{
	const char *plain = strncmp(name, "/dev/mapper/", 12) ? name : name + 12;
	char list[400];

	*pool = t->nr_pools;
	for (size_t i = 0; i < t->nr_pools; i++) {
		if (!t->pools[i].name || !table_is_called(t, t->pools[i].name, plain))
			continue;
		if (*pool < t->nr_pools)
			return table_several_groups(t, name, err);
		*pool = i;
	}
	if (*pool < t->nr_pools)
		return 0;
	list_pools(t, list, sizeof(list));
	return err_set(err, -EDOM, "%s: no pool '%s' in %s: there is %s", word_pool, name, t->path, list);
}

/* TABLE_NO_POOL in *pool: the devices' names do not choose. */
static int pool_of_devices(const struct table *t, const struct table_want *want, size_t *pool,
			   struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(want->device); i++) {
		const struct table_thin *d;
		int r = named_thin(t, want->device[i], &d, err);

		if (r)
			return r;
		if (!d)
			continue;
		if (d->pool == TABLE_NO_POOL)
			return err_set(err, -EINVAL,
				       "%s: line %u: '%s': no thin-pool line has that name, so "
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

static int choose_pool(struct table *t, const struct table_want *want, struct err *err)
{
	size_t pool = TABLE_NO_POOL;
	char list[400];
	uint64_t id;
	int r = want->pool && !(want->pool_of_several && t->nr_pools == 1) ?
			pool_of_option(t, want->pool, &pool, err) : 0;

	if (!r)
		r = pool_of_devices(t, want, &pool, err);
	if (r < 0)
		return r;
	if (want->other && want->device[0] && pool == TABLE_NO_POOL)
		t->other = want->other(t, want->device[0]);
	if (pool == TABLE_NO_POOL && (t->nr_pools == 1 || want->any_pool || t->other))
		pool = 0;
	if (!t->nr_pools)
		return 0;
	if (pool == TABLE_NO_POOL) {
		list_pools(t, list, sizeof(list));
		err_set(err, -EDOM, "%s has %zu pools: %s%sNAME says which: %s", t->path, t->nr_pools, word_pool, word_is,
			list);
		return want->device[0] && parse_u64(want->device[0], &id, NULL) ?
			       err_prefix(err, -ENODATA, "no device is called '%s'", want->device[0]) : -EDOM;
	}
	t->pool = &t->pools[pool];
	return 0;
}

/* The chosen pool's devices first, the order kept. */
static int sort_thins(struct table *t, struct err *err)
{
	CLEANUP(free_ptr) struct table_thin *v = calloc(t->nr_all_thins + 1, sizeof(*v));
	CLEANUP(free_ptr) size_t *place = calloc(t->nr_all_thins + 1, sizeof(*place));
	size_t chosen = (size_t)(t->pool - t->pools), nr = 0;

	if (!v || !place)
		return err_nomem(err, "table file");
	for (int others = 0; others < 2; others++) {
		for (size_t i = 0; i < t->nr_all_thins; i++) {
			if ((t->thin[i].pool != chosen) != others)
				continue;
			place[i] = nr;
			v[nr++] = t->thin[i];
		}
		if (!others)
			t->nr_thins = nr;
	}
	memcpy(t->thin ? t->thin : v, v, nr * sizeof(*v));
	for (size_t i = 0; i < t->nr_names; i++)
		if (t->names[i].kind == TABLE_THIN)
			t->names[i].index = place[t->names[i].index];
	return 0;
}

static int judge_features(const struct table *t, const struct table_want *want, struct err *err)
{
	const struct table_pool *pool = t->pool;
	char text[600];

	if (want->write && pool->feature_fault)
		return err_set(err, -ENOTSUP, "%s: this feature would be ignored, so the pool was "
					      "not changed", pool->feature_fault);
	if (want->write && pool->read_only)
		return err_set(err, -ENOTSUP, "%s: the table makes the pool read_only, so it was not changed: "
					      "remove that word first", t->path);
	if (!pool->feature_fault)
		return 0;
	snprintf(text, sizeof(text), "warning: %s", pool->feature_fault);
	if (want->tell)
		want->tell(want->ctx, text);
	return 0;
}

int table_choose(struct table *t, const struct table_want *want, struct err *err)
{
	int r = table_names(t, err);

	if (!r)
		r = assign_pools(t, want, err);
	if (!r)
		r = choose_pool(t, want, err);
	if (r || !t->pool)
		return r;
	r = sort_thins(t, err);
	return r ? r : judge_features(t, want, err);
}

