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
#include "base/text/similar.h"
#include "dev/dev.h"
#include "pool/format/format.h"
#include "volume/table/impl.h"

#define MAX_STEPS 32 /* lines between a thin line and its pool */

/* The line that is below a linear device which is all of it; NULL: it is no such device. */
static const struct table_name *step_down(const struct table *t, const struct table_name *n,
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

/* The pool that @word means: its name, its number, or a linear device over it, as LVM makes it. */
static size_t pool_of_word(const struct table *t, const char *word)
{
	const struct table_name *n;
	unsigned major, minor;
	int steps = 0;

	if (dev_numbers(word, &major, &minor))
		word = table_number_name(t, major, minor);
	n = word ? table_name_find(t, word) : NULL;
	while (n && n->kind != TABLE_POOL && steps++ < MAX_STEPS)
		n = step_down(t, n, &word);
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

/* The thin device of that name, or the one below a linear device of that name, as LVM makes it. */
static const struct table_thin *exact_thin(const struct table *t, const char *name)
{
	const struct table_name *n = name ? table_name_find(t, name) : NULL;
	int steps = 0;

	while (n && n->kind == TABLE_DEVICE && steps++ < MAX_STEPS)
		n = step_down(t, n, &name);
	return n && n->kind == TABLE_THIN ? &t->thin[n->index] : NULL;
}

/*
 * Is @line the line that a person calls @name?  A volume of LVM may have its group in front, VG/LV or
 * /dev/VG/LV; where there are several groups it may go without.
 */
static bool is_called(const struct table *t, const char *line, const char *name)
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
		if (is_called(t, t->names[i].name, word))
			n = &t->names[i];
	return n && n->kind == TABLE_DEVICE && !t->device[n->index].target ? n : NULL;
}

static int several_groups(const struct table *t, const char *name, struct err *err)
{
	return err_set(err, -EDOM, "%s: '%s' is in several volume groups: write VG/%s", t->path, name, name);
}

/* The same by a name as people call volumes of LVM; *out is NULL where no thin line has it. */
static int named_thin(const struct table *t, const char *name, const struct table_thin **out,
		      struct err *err)
{
	*out = exact_thin(t, name);
	if (*out || !name || !t->nr_groups)
		return 0;
	for (size_t i = 0; i < t->nr_all_thins; i++) {
		if (!t->thin[i].name || !is_called(t, t->thin[i].name, name))
			continue;
		if (*out)
			return several_groups(t, name, err);
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
		if (!t->pools[i].name || !is_called(t, t->pools[i].name, plain))
			continue;
		if (*pool < t->nr_pools)
			return several_groups(t, name, err);
		*pool = i;
	}
	if (*pool < t->nr_pools)
		return 0;
	list_pools(t, list, sizeof(list));
	return err_set(err, -EDOM, "--pool: no pool '%s' in %s: there is %s", name, t->path, list);
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
	int r = want->pool ? pool_of_option(t, want->pool, &pool, err) : 0;

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
		err_set(err, -EDOM, "%s has %zu pools: --pool NAME says which: %s", t->path, t->nr_pools, list);
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

static int judge_features(const struct table_pool *pool, const struct table_want *want,
			  struct err *err)
{
	char text[600];

	if (!pool->feature_fault)
		return 0;
	if (want->write)
		return err_set(err, -EINVAL, "%s: this feature would be ignored, so the pool was "
					     "not changed", pool->feature_fault);
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
	return r ? r : judge_features(t->pool, want, err);
}

const struct table_thin *table_find(const struct table *t, const char *name_or_id)
{
	const struct table_thin *found = NULL;
	uint64_t id;
	size_t i;

	found = exact_thin(t, name_or_id);
	if (found && found < t->thin + t->nr_thins)
		return found;
	found = NULL;
	for (i = 0; i < t->nr_thins && t->nr_groups; i++)
		if (t->thin[i].name && is_called(t, t->thin[i].name, name_or_id))
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
