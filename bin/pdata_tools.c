/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pdata_tools NAME ARGS...: starts the command NAME that lies beside this program.
 * Callers of the single-binary generation of thin tools go on working.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/units.h"
#include "cli/cli.h"

static const char *const names[] = {
	"thin_check", "thin_delta", "thin_dump", "thin_ls", "thin_materialize", "thin_message",
	"thin_metadata_pack", "thin_metadata_size", "thin_metadata_unpack", "thin_repair",
	"thin_restore", "thin_rmap", "thin_shrink", "thin_trim",
};

static bool is_known(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(names[i], name))
			return true;
	return false;
}

static int usage(const char *complaint)
{
	if (complaint)
		fprintf(stderr, "%s\n", complaint);
	fprintf(stderr, "Usage: <command> <args>\ncommands:\n");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		fprintf(stderr, "  %s\n", names[i]);
	return EXIT_BAD_USE;
}

int main(int argc, char **argv)
{
	char path[4096];
	ssize_t n;
	char *slash;

	if (argc < 2)
		return usage(NULL);
	if (!strcmp(argv[1], "-V") || !strcmp(argv[1], "--version")) {
		puts("1.0.0");
		return EXIT_DONE;
	}
	if (!is_known(argv[1]))
		return usage("unrecognised command");
	n = readlink("/proc/self/exe", path, sizeof(path) - 64);
	if (n > 0) {
		path[n] = 0;
		slash = strrchr(path, '/');
		strcpy(slash + 1, argv[1]);
		execv(path, argv + 1);
	}
	execvp(argv[1], argv + 1);
	fprintf(stderr, "pdata_tools: cannot start %s: %s\n", argv[1], strerror(errno));
	return EXIT_IO;
}
