/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * pdata_tools NAME ARGS..., or a link NAME to this program: starts the command NAME that lies
 * beside this program.  Callers that use the single binary of older thin tools keep working.
 */
#include <config.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/units.h"
#include "cli/cli.h"

static const char *const names[] = {
	"thin_apply", "thin_check", "thin_delta", "thin_dump", "thin_info", "thin_ls", "thin_lvm", "thin_materialize",
	"thin_message", "thin_metadata_pack", "thin_metadata_size", "thin_metadata_unpack", "thin_migrate", "thin_repair",
	"thin_restore", "thin_rmap", "thin_shrink", "thin_trim",
};

static bool is_known(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(names[i], name))
			return true;
	return false;
}

static void print_usage(FILE *to)
{
	fprintf(to, "Usage: <command> <args>\ncommands:\n");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		fprintf(to, "  %s\n", names[i]);
}

static int usage(const char *complaint)
{
	if (complaint)
		fprintf(stderr, "%s\n", complaint);
	print_usage(stderr);
	return EXIT_BAD_USE;
}

/* EXIT_IO when standard output could not be written. */
static int printed(void)
{
	if (!fflush(stdout) && !ferror(stdout))
		return EXIT_DONE;
	fprintf(stderr, "pdata_tools: cannot write to standard output: %s\n", strerror(errno));
	return EXIT_IO;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* Starts the command of that name; returns only when that fails. */
static int start(const char *name, char **argv)
{
	struct stat me, it;
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 64);

	if (n <= 0) {
		fprintf(stderr, "pdata_tools: cannot read /proc/self/exe: %s\n", strerror(errno));
		return EXIT_IO;
	}
	path[n] = 0;
	strcpy(strrchr(path, '/') + 1, name);
	if (!stat("/proc/self/exe", &me) && !stat(path, &it) && me.st_dev == it.st_dev &&
	    me.st_ino == it.st_ino) {
		fprintf(stderr, "pdata_tools: %s is only a link to pdata_tools: the command "
				"itself must be in the same folder as pdata_tools\n", path);
		return EXIT_IO;
	}
	execv(path, argv);
	fprintf(stderr, "pdata_tools: cannot start %s: %s\n", path, strerror(errno));
	return EXIT_IO;
}

int main(int argc, char **argv)
{
	if (argc && is_known(base_name(argv[0])))
		return start(base_name(argv[0]), argv);
	if (argc < 2)
		return usage(NULL);
	if (!strcmp(argv[1], "-V") || !strcmp(argv[1], "--version")) {
		printf("%s\npdata_tools is part of %s\n", PACKAGE_VERSION, PACKAGE_NAME);
		return printed();
	}
	if (!strcmp(argv[1], "-h") || !strcmp(argv[1], "--help")) {
		print_usage(stdout);
		return printed();
	}
	if (!is_known(argv[1]))
		return usage("unrecognised command");
	return start(argv[1], argv + 1);
}
