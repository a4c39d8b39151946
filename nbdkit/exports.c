/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "base/cleanup.h"
#include "base/text/parse.h"
#include "base/text/similar.h"
#include "nbdkit/exports.h"

/* nbdkit logs only errors when it runs in the background, so a note is logged as an error. */
void exports_tell(void *ctx, const char *text)
{
	(void)ctx;
	nbdkit_error("%s", text);
}

/* One file in two roles would be read as garbage, or be overwritten. */
int exports_find_path(char **word, struct err *err)
{
	const char *path = *word ? table_device_path(thin.arg.table, *word) : NULL;
	char *found;

	if (!*word)
		return 0;
	found = !path ? NULL : path == *word ? nbdkit_absolute_path(path) : strdup(path);
	if (!found)
		return err_nomem(err, *word);
	free(*word);
	*word = found;
	return 0;
}

/* Unlike pool_arg_parts_apart() it refuses an origin that is a device of the pool: a client may write to that one, too. */
int exports_check_roles(const char *origin, struct err *err)
{
	const struct table *t = thin.arg.table;
	const struct dev_role roles[] = {
		{ "metadata", thin.arg.metadata },
		{ "data device", thin.data_dev ? thin.data_dev : t ? t->pool->data.path : NULL },
		{ "external origin", origin },
		{ "table file", table_file(t, thin.pool) },
	};

	return dev_roles_apart(roles, ARRAY_SIZE(roles), err);
}

static const struct table_thin *find_in_table(const char *name)
{
	return thin.arg.table ? table_find(thin.arg.table, name) : NULL;
}

static int is_served(const char *name, struct err *err)
{
	const struct table_thin *a, *b;

	if (!thin.device || !strcmp(name, thin.device))
		return 0;
	a = find_in_table(name);
	b = find_in_table(thin.device);
	if (a && a == b)
		return 0;
	return err_set(err, -ENOENT, "no export '%s': only device=%s is served", name,
		       thin.device);
}

/*
 * A device without a line in the table: the size must be given, because nothing tells its origin.
 */
static int unlisted(uint32_t id, uint64_t size, const char *origin, struct err *err)
{
	const struct table *t = thin.arg.table;
	char ways[80];
	uint64_t end;
	int r;

	if (!t)
		return 0;
	if (size) {
		if (!origin && table_has_origins(t))
			exports_tell(NULL, "warning: the device has no line in the table and is "
					   "served without an external origin, but other devices "
					   "in the table have one: origin= names it");
		return 0;
	}
	r = target_mapped_end(thin.target, id, &end, err);
	snprintf(ways, sizeof(ways), "device=%u with size=SIZE, and with origin=DEV if it has one", id);
	return r ? r : table_not_listed(t, id, end >> SECTOR_SHIFT, ways, err);
}

/* Bare metadata and no size=: the export may be longer or shorter than the device. */
static void tell_guess(uint32_t id, const struct target_dev *dev, const struct io *origin)
{
	char text[300];

	snprintf(text, sizeof(text),
		 "note: the size of device %u, %llu bytes, is a guess: %s; size= gives the size", id,
		 (unsigned long long)target_size(dev),
		 origin && origin->size == target_size(dev) ? "it is the size of the external origin" :
							      "the last mapped block ends there");
	exports_tell(NULL, text);
}

static int no_such_name(const char *name, struct err *err)
{
	const struct table *t = thin.arg.table;
	const char *meant = t ? table_similar_name(t, name) : NULL;
	char question[SIMILAR_QUESTION];

	return err_set(err, -ENOENT, "no export '%s': %s%s", name,
		       t ? "neither a name in the table nor a device id" :
			   "not a device id; only a table gives names",
		       similar_question(question, meant, ""));
}

/* Finds what @name means: an id, a size (0: not given) and an origin. */
static int resolve(const char *name, uint32_t *id, uint64_t *size, const char **origin,
		   struct err *err)
{
	const struct table_thin *line;
	int r = is_served(name, err);

	if (r)
		return r;
	line = find_in_table(name);
	*size = thin.size;
	*origin = thin.origin;
	if (!line && parse_u32(name, id, NULL))
		return no_such_name(name, err);
	if (!line)
		return unlisted(*id, *size, *origin, err);
	*id = line->dev_id;
	if (!*size)
		*size = line->length << SECTOR_SHIFT;
	if (!*origin)
		*origin = line->origin.path;
	return 0;
}

/* Other devices of the pool may be written all the same, so the export is not refused. */
static bool must_stay(const char *name)
{
	const struct table_thin *line = thin.read_only ? NULL : find_in_table(name);
	struct err why = { 0 };
	char text[1100];

	if (!line || !table_may_write(thin.arg.table, line, &why))
		return false;
	snprintf(text, sizeof(text), "note: %s", why.text);
	exports_tell(NULL, text);
	return true;
}

static int make_export(const char *name, struct export **out, struct err *err)
{
	struct export *e = calloc(1, sizeof(*e));
	const char *origin;
	uint64_t size;
	uint32_t id;
	int r;

	if (!e || !(e->name = strdup(name))) {
		free(e);
		return err_nomem(err, "export");
	}
	r = resolve(name, &id, &size, &origin, err);
	if (!r)
		r = exports_check_roles(origin, err);
	if (!r && origin)
		r = origin_open(origin, DEV_BUFFERED | (thin.force_share ? DEV_FORCE : 0),
				thin.origin_raw, &e->origin, err);
	if (!r)
		r = target_device(thin.target, id, size, e->origin, &e->dev, err);
	if (r) {
		io_free(e->origin);
		free(e->name);
		free(e);
		return err_prefix(err, r, "device '%s'", name);
	}
	e->read_only = must_stay(name);
	if (!size)
		tell_guess(id, e->dev, e->origin);
	e->next = thin.exports;
	thin.exports = e;
	*out = e;
	return 0;
}

/* The export that an empty name selects; NULL: none. */
const char *exports_default_name(void)
{
	static char number[12];
	const struct table *t = thin.arg.table;

	if (thin.device)
		return thin.device;
	if (!t || t->nr_thins != 1)
		return NULL;
	if (t->thin[0].name)
		return t->thin[0].name;
	snprintf(number, sizeof(number), "%u", t->thin[0].dev_id);
	return number;
}

int exports_find(const char *name, struct export **out, struct err *err)
{
	struct export *e;

	if (!*name)
		name = exports_default_name();
	if (!name)
		return err_set(err, -ENOENT,
			       "give device=DEVICE, or an export name: a device's name in the table, or its id");
	for (e = thin.exports; e && strcmp(e->name, name); e = e->next)
		;
	*out = e;
	return e ? 0 : make_export(name, out, err);
}

/* Finds the devices of the table that are not in the pool.  The others are served. */
int exports_find_missing(void)
{
	const struct table *t = thin.arg.table;
	struct device_info d;
	struct err err = { 0 };

	if (!t || thin.device)
		return 0;
	thin.missing = calloc(t->nr_thins + 1, sizeof(*thin.missing));
	if (!thin.missing)
		return -ENOMEM;
	for (size_t i = 0; i < t->nr_thins; i++) {
		thin.missing[i] = edit_device(target_pool(thin.target), t->thin[i].dev_id, &d, &err);
		if (thin.missing[i])
			nbdkit_error("%s: device %u is not served: %s", t->path, t->thin[i].dev_id,
				     err.text);
	}
	return 0;
}

void exports_free(void)
{
	struct export *e, *next;

	for (e = thin.exports; e; e = next) {
		next = e->next;
		io_free(e->origin);
		free(e->name);
		free(e);
	}
	thin.exports = NULL;
}
