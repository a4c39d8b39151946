/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* For tests of what reads files: a folder of their own. */
#include <stdio.h>
#include <stdlib.h>

#include "tap.h"

static char folder[400];

/* The path of @name in the folder.  It stays valid for the next three calls. */
static const char *file_name(const char *name)
{
	static char path[4][500];
	static unsigned next;
	char *p = path[next++ % 4];

	snprintf(p, sizeof(path[0]), "%s/%s", folder, name);
	return p;
}

static inline void put(const char *name, const void *data, size_t len)
{
	FILE *f = fopen(file_name(name), "w");

	check(f && fwrite(data, 1, len, f) == len && !fclose(f));
}

static int folder_main(const struct test *tests, int argc, char **argv)
{
	const char *tmp = getenv("TMPDIR");
	char cmd[500];
	int r;

	snprintf(folder, sizeof(folder), "%s/unit.XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(folder))
		return 99;
	r = tap_main(tests, argc, argv);
	snprintf(cmd, sizeof(cmd), "rm -r '%s'", folder);
	return system(cmd) ? 99 : r;
}
