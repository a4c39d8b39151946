/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include <string.h>

#include "cli/cli.h"

bool cli_origin_raw(struct cli *c)
{
	if (strcmp(c->arg, "raw"))
		cli_usage_error(c, "--origin-format: '%s' is not read here, only raw; qemu-nbd -r -f %s makes a device of the image",
				c->arg, c->arg);
	return true;
}
