/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* TABLE:NAME in place of a device: one line of a table, such as a spare for metadata. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "volume/guard/content.h"
#include "volume/table/impl.h"

DEFINE_CLEANUP(table_cleanup, struct table, table_free)

/* 1 or 0; -ENOMEM. */
static int is_table(const char *path)
{
	enum content c = CONTENT_NOTHING;
	struct stat st;
	int r = 0;

	if (!dev_stat(path, &st) && S_ISREG(st.st_mode))
		r = content_of(path, &c, NULL);
	return r == -ENOMEM ? r : !r && c == CONTENT_TABLE;
}

/* The table's path, and behind it the NAME.  *out NULL: @word is no TABLE:NAME.  0 or -ENOMEM. */
static int split(const char *word, char **out, const char **name, struct err *err)
{
	for (const char *colon = strrchr(word, ':'); colon && colon > word;
	     colon = memrchr(word, ':', (size_t)(colon - word))) {
		CLEANUP(free_ptr) char *path = strndup(word, (size_t)(colon - word));
		int r = path ? is_table(path) : -ENOMEM;

		if (r < 0)
			return err_nomem(err, word);
		if (r) {
			*name = colon + 1;
			*out = steal_ptr(&path);
			return 0;
		}
	}
	return 0;
}

int table_open_line(const char *word, struct table **out, struct err *err)
{
	const struct table_want want = { .any_pool = true };
	CLEANUP(table_cleanup) struct table *t = NULL;
	CLEANUP(free_ptr) char *path = NULL;
	struct table_name *n;
	const char *name;
	struct stat st;
	int r;

	*out = NULL;
	if (dev_is_standard(word) || !dev_stat(word, &st) || !strchr(word, ':'))
		return 0;
	r = split(word, &path, &name, err);
	if (r || !path)
		return r;
	r = table_read(path, &want, &t, err);
	if (r)
		return r;
	n = table_name_find(t, name);
	if (!n || strcmp(n->name, name) || n->kind != TABLE_DEVICE || t->device[n->index].target)
		return err_set(err, -EINVAL,
			       "'%s': %s has no linear, striped, zero or error line of the name '%s'", word,
			       path, name);
	if (!table_ref(t, n))
		return err_nomem(err, word);
	*out = steal_ptr(&t);
	return 0;
}
