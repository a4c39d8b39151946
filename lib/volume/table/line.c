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

static bool is_table(const char *path)
{
	enum content c = CONTENT_NOTHING;
	struct stat st;

	return !dev_stat(path, &st) && S_ISREG(st.st_mode) && !content_of(path, &c, NULL) &&
	       c == CONTENT_TABLE;
}

/* The table's path, and behind it the NAME; NULL: @word is no TABLE:NAME. */
static char *split(const char *word, const char **name)
{
	const char *colon;
	char *path;

	for (colon = strrchr(word, ':'); colon && colon > word;
	     colon = memrchr(word, ':', (size_t)(colon - word))) {
		path = strndup(word, (size_t)(colon - word));
		*name = colon + 1;
		if (!path || is_table(path))
			return path;
		free(path);
	}
	return NULL;
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
	path = split(word, &name);
	if (!path)
		return 0;
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
