/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "cli/options.h"

#include <string.h>

#include "base/text/similar.h"

static const struct opt common[] = {
	{ 'h', "help", ARG_NONE, NULL, "print this help and exit", OPT_HELP },
	{ 'V', "version", ARG_NONE, NULL, "print the version and exit", OPT_VERSION },
	{ 'v', "verbose", ARG_NONE, NULL, NULL, OPT_VERBOSE },
	{ 0, "io-engine", ARG_REQUIRED, "ENGINE", NULL, OPT_IO_ENGINE },
	{ 0, "list-options", ARG_NONE, NULL, NULL, OPT_LIST },
	{ 0 },
};

static const struct opt pool_opts[] = {
	{ 0, "pool", ARG_REQUIRED, "NAME",
	  "the pool to use, if POOL has several (LV, VG/LV, or NAME of a table file)", OPT_POOL },
	{ 0, "pv", ARG_REQUIRED, "FILE",
	  "POOL is a disk with LVM: one more disk of its volume group; can be repeated", OPT_PV },
	{ 0, "seqno", ARG_REQUIRED, "N",
	  "POOL is a disk with LVM: use LVM's text with this sequence number, even an older one", OPT_SEQNO },
	{ 0 },
};

static const struct opt active_opts[] = {
	{ 0, "take-metadata-snap", ARG_NONE, NULL,
	  "POOL is active: reserve a metadata snapshot, read it, and release it at the end", OPT_TAKE_SNAP },
	{ 0 },
};

static const struct opt progress_opts[] = {
	{ 0, "no-progress", ARG_NONE, NULL, "show no progress bar", OPT_NO_PROGRESS },
	{ 0, "progress-fd", ARG_REQUIRED, "N", "write \"DONE TOTAL\" lines in bytes to descriptor N",
	  OPT_PROGRESS_FD },
	{ 0 },
};

size_t opt_tables(const struct command *cmd, const struct opt **table)
{
	size_t n = 0;

	table[n++] = cmd->opts;
	if (cmd->reads_pool)
		table[n++] = cmd->reads_pool;
	if (cmd->takes_active)
		table[n++] = active_opts;
	if (cmd->takes_pool)
		table[n++] = pool_opts;
	if (cmd->shows_sizes)
		table[n++] = cmd->shows_sizes;
	if (cmd->shows_progress)
		table[n++] = progress_opts;
	table[n++] = common;
	return n;
}

const struct opt *opt_find(const struct command *cmd, const char *name)
{
	const struct opt *table[OPT_TABLES];
	size_t nr = opt_tables(cmd, table);

	for (size_t t = 0; t < nr; t++)
		for (const struct opt *o = table[t]; o->name; o++)
			if (!strcmp(o->name, name))
				return o;
	return NULL;
}

const char *opt_nearest(const struct command *cmd, const char *word, size_t len)
{
	const struct opt *table[OPT_TABLES];
	size_t nr = opt_tables(cmd, table);
	struct similar s;

	similar_init(&s, word, len);
	for (size_t t = 0; t < nr; t++)
		for (const struct opt *o = table[t]; o->name; o++)
			if (o->help)
				similar_offer(&s, o->name);
	return s.found;
}

const char *cli_pool_option(const struct cli *c)
{
	return c->pool ? "--pool" : c->lvm.nr_pvs ? "--pv" : c->lvm.has_seqno ? "--seqno" : NULL;
}
