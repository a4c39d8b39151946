/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "cli/cli.h"

bool cli_confirm(const char *question)
{
	char answer[16];

	fflush(stdout);
	fprintf(stderr, "%s [y/n]: ", question);
	fflush(stderr);
	if (!fgets(answer, sizeof(answer), stdin))
		return false;
	answer[strcspn(answer, "\r\n")] = 0;
	return !strcmp(answer, "y");
}
