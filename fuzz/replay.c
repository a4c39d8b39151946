/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Runs a fuzz target over its corpus, fuzz/corpus/NAME, as TAP: one sentence a file.  The
 * name of the program is fuzz/fuzz_NAME.  With arguments: over these files.
 */
#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "fuzz.h"

#define LEN_MAX (4 << 20)

static int is_input(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

static int replay(const char *path)
{
	uint8_t *data = malloc(LEN_MAX), *exact;
	FILE *f = fopen(path, "r");
	size_t len;

	if (!f || !data) {
		printf("# cannot read %s: %s\n", path, strerror(errno));
		return 0;
	}
	len = fread(data, 1, LEN_MAX, f);
	fclose(f);
	exact = malloc(len ? len : 1); /* so that a read past the end is noticed */
	memcpy(exact, data, len);
	free(data);
	LLVMFuzzerTestOneInput(exact, len);
	free(exact);
	return 1;
}

int main(int argc, char **argv)
{
	const char *src = getenv("abs_top_srcdir"), *name = strrchr(argv[0], '_');
	char folder[4096], path[8192];
	struct dirent **entry;
	int i, n, failed = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (i = 1; i < argc; i++)
		failed += !replay(argv[i]);
	if (argc > 1)
		return failed != 0;
	snprintf(folder, sizeof(folder), "%s/fuzz/corpus/%s", src ? src : ".", name ? name + 1 : "");
	n = scandir(folder, &entry, is_input, alphasort);
	if (n <= 0) {
		printf("Bail out! nothing in %s\n", folder);
		return 1;
	}
	printf("1..%d\n", n);
	for (i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, entry[i]->d_name);
		if (!replay(path))
			failed++, printf("not ");
		printf("ok %d - %s survives %s\n", i + 1, name + 1, entry[i]->d_name);
		free(entry[i]);
	}
	free(entry);
	return failed != 0;
}
