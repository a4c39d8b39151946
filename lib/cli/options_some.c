/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Tables that some commands name: thin_check, which must be small, is linked without them. */
#include "cli/options.h"

const struct opt cli_reads_pool[] = {
	{ 'm', "metadata-snap", ARG_OPTIONAL, "BLOCK",
	  "read the held metadata snapshot of a live pool; with BLOCK only if it is there", OPT_SNAP },
	{ 0, "metadata-snapshot", ARG_OPTIONAL, "BLOCK", NULL, OPT_SNAP },
	{ 'U', "force-share", ARG_NONE, NULL, "read although another program is writing to the pool",
	  OPT_FORCE_SHARE },
	{ 'q', "quiet", ARG_NONE, NULL, "print no messages", OPT_QUIET },
	{ 0, "jobs", ARG_REQUIRED, "N", NULL, OPT_JOBS },
	{ 0 },
};

const struct opt cli_shows_sizes[] = {
	{ 0, "bytes", ARG_NONE, NULL, "show sizes in bytes", OPT_BYTES },
	{ 0 },
};
