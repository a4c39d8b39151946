/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Tables in the test's folder, read as a command reads them. */
#include <errno.h>

#include "base/err.h"
#include "folder.h"
#include "volume/table/table.h"

#define POOL "pool: 0 2097152 thin-pool meta.img data 128 0\n"

static char told[4000];

static void note(void *ctx, const char *text)
{
	(void)ctx;
	strncat(told, text, sizeof(told) - strlen(told) - 1);
}

static int read_text(const char *text, const struct table_want *want, struct table **t, struct err *err)
{
	put("table", text, strlen(text));
	told[0] = err->text[0] = 0;
	*t = NULL;
	return table_read(file_name("table"), want, t, err);
}

static struct table *read_ok(const char *text, const struct table_want *want)
{
	struct err err = { 0 };
	struct table *t;

	if (read_text(text, want, &t, &err))
		printf("# %s\n", err.text);
	check(t);
	return t;
}

static void refused(const char *text, const struct table_want *want, int code, const char *words)
{
	struct err err = { 0 };
	struct table *t;
	int r = read_text(text, want, &t, &err);

	if (r != code || !strstr(err.text, words))
		printf("# %d, no '%s' in: %s\n", r, words, err.text);
	check(r == code && strstr(err.text, words) && !t);
	table_free(t);
}
