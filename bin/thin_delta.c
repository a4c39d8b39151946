/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* thin_delta: what differs between two devices of a pool. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/text/parse.h"
#include "cli/cli.h"
#include "pool/query/delta_print.h"
#include "volume/open/pool_live.h"
#include "volume/open/pool_lvm.h"
#include "volume/open/pool_source.h"

enum { OPT_THIN = 256, OPT_ROOT = 258, OPT_SNAP = 260, OPT_VERBOSE = 262, OPT_SKIP_SAME };

static const struct opt opts[] = {
	{ 0, "thin1", ARG_REQUIRED, "DEVICE", "left: a device's id, or its NAME in the table",
	  OPT_THIN },
	{ 0, "snap1", ARG_REQUIRED, "DEVICE", NULL, OPT_THIN },
	{ 0, "root1", ARG_REQUIRED, "BLOCK",
	  "left: the device whose mapping tree has its root at this metadata block",
	  OPT_ROOT },
	{ 0, "thin2", ARG_REQUIRED, "DEVICE", "right: a device's id, or its NAME in the table",
	  OPT_THIN + 1 },
	{ 0, "snap2", ARG_REQUIRED, "DEVICE", NULL, OPT_THIN + 1 },
	{ 0, "root2", ARG_REQUIRED, "BLOCK",
	  "right: the device whose mapping tree has its root at this metadata block",
	  OPT_ROOT + 1 },
	{ 0, "metadata-snap1", ARG_NONE, NULL, "read only the left device from the metadata snapshot", OPT_SNAP },
	{ 0, "metadata-snap2", ARG_NONE, NULL, "read only the right device from the metadata snapshot", OPT_SNAP + 1 },
	{ 0, "verbose", ARG_NONE, NULL, "also print the data blocks", OPT_VERBOSE },
	{ 0, "skip-same", ARG_NONE, NULL,
	  "leave out equal blocks, and do not read parts that both devices share", OPT_SKIP_SAME },
	{ 'f', "format", ARG_REQUIRED, "xml|json", "how to print the differences", 'f' },
	{ 0 },
};

static const struct command command = {
	.name = "thin_delta",
	.usage = "--thin1 DEVICE --thin2 DEVICE [options] POOL",
	.summary = "Prints the differences between the mappings of two devices of a thin pool. POOL is "
		   "a metadata device or file, a table file, or a disk with LVM.",
	.opts = opts,
	CLI_ONE_POOL,
	.reads_pool = cli_reads_pool,
};

struct side_arg {
	const char *device; /* or NULL */
	bool snap; /* of the held metadata snapshot */
};

struct diff {
	struct cli cli;
	struct pool_source src;
	struct side_arg side[2];
	struct delta_print print;
};

static int diff_pool(struct diff *d, struct err *err)
{
	struct metadata_options held_opt = { .snap = true };
	struct metadata held = d->src.md;
	int r = 0;

	if ((d->side[0].snap || d->side[1].snap) && !held.live.held_root)
		r = err_set(err, -ENODATA, "no current metadata snap: the pool holds none; leave out --metadata-snap%s",
			    !d->side[1].snap ? "1" : !d->side[0].snap ? "2" : "1 and --metadata-snap2");
	else if (d->side[0].snap || d->side[1].snap)
		r = metadata_open(d->src.io, &held_opt, &held, err);
	for (unsigned i = 0; !r && i < 2; i++) {
		struct delta_side *s = &d->print.side[i];
		const struct table_thin *line;

		if (!s->by_root)
			r = table_device(d->src.arg.table, d->side[i].device, d->cli.args[0],
					 &s->dev_id, &line, err);
		if (!r)
			r = delta_find_root(d->side[i].snap ? &held : &d->src.md, &d->src.stream,
					    &d->print, s, i + 1, err);
	}
	if (!r)
		r = delta_print(&d->src.md, &d->src.stream, &d->print, err);
	if (d->side[0].snap == d->side[1].snap)
		pool_source_tell_snap(&d->src, r, cli_tell, &d->cli);
	return r;
}

static void parse_option(struct diff *d, int id)
{
	struct cli *c = &d->cli;

	switch (id) {
	case OPT_THIN:
	case OPT_THIN + 1:
		d->side[id - OPT_THIN].device = c->arg;
		break;
	case OPT_ROOT:
	case OPT_ROOT + 1:
		d->print.side[id - OPT_ROOT].root = cli_u64(c, id == OPT_ROOT ? "--root1" : "--root2");
		d->print.side[id - OPT_ROOT].by_root = true;
		break;
	case OPT_SNAP:
	case OPT_SNAP + 1:
		d->side[id - OPT_SNAP].snap = true;
		break;
	case OPT_VERBOSE:
		d->print.verbose = true;
		break;
	case OPT_SKIP_SAME:
		d->print.skip_same = true;
		break;
	case 'f':
		d->print.json = cli_choice(c, "--format");
		break;
	}
}

static void check_sides(struct diff *d)
{
	for (unsigned i = 0; i < 2; i++) {
		const struct side_arg *s = &d->side[i];
		bool by_root = d->print.side[i].by_root;

		if (!s->device && !by_root)
			cli_usage_error(&d->cli, "--thin%u or --root%u not specified", i + 1, i + 1);
		if (s->device && by_root)
			cli_usage_error(&d->cli, "--thin%u cannot be used with --root%u", i + 1,
					i + 1);
		if (s->snap && (by_root || d->cli.snap))
			cli_usage_error(&d->cli, "--metadata-snap%u cannot be used with %s", i + 1,
					by_root ? "a root" : "--metadata-snap");
	}
}

static int open_pool(struct diff *d, struct err *err)
{
	const struct cli *c = &d->cli;
	const struct pool_source_options opt = {
		CLI_READER(&d->cli),
		.want = { CLI_WANT(&d->cli), .disk = pool_lvm_table, .live = pool_live_table,
			  .table.device = { d->side[0].device, d->side[1].device } },
	};

	return pool_source_open(c->args[0], &opt, &d->src, err);
}

int main(int argc, char **argv)
{
	struct diff d = { 0 };
	struct err err = { 0 };
	int id, r;

	cli_init(&d.cli, &command, argc, argv);
	while ((id = cli_next(&d.cli)))
		parse_option(&d, id);
	check_sides(&d);
	r = open_pool(&d, &err);
	d.print.write = cli_take;
	d.print.problem = cli_tell;
	d.print.ctx = &d.cli;
	if (!r)
		r = diff_pool(&d, &err);
	pool_source_close(&d.src);
	return cli_finish(&d.cli, r ? cli_fail(&d.cli, r, &err) : EXIT_DONE);
}
