/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include <string.h>

#include "cli/cli.h"

uint64_t cli_size_or_auto(struct cli *c, const char *option, uint64_t unit)
{
	uint64_t size = strcmp(c->arg, "auto") ? cli_size(c, option) : UINT64_MAX;

	if (size != UINT64_MAX && (!size || size % unit))
		cli_usage_error(c, "%s: invalid value '%s': it must be auto, or a multiple of "
				   "%llu bytes", option, c->arg,
				(unsigned long long)unit);
	return size;
}

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
