/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* thin_dump: a pool's metadata as text. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text/parse.h"
#include "base/vec.h"
#include "cli/cli.h"
#include "cli/progress.h"
#include "dev/dev.h"
#include "pool/emit/emit.h"
#include "pool/format/format.h"
#include "pool/report/report.h"
#include "pool/text/text.h"
#include "volume/guard/content.h"
#include "volume/open/pool_live.h"
#include "volume/open/pool_lvm.h"
#include "volume/open/pool_salvage.h"
#include "volume/open/pool_source.h"

enum { OPT_DEV_ID = 256, OPT_SKIP, OPT_NO_SHARED, OPT_TRANSACTION, OPT_BLOCK_SIZE, OPT_NR_BLOCKS, OPT_ACCEPT_LOSS, OPT_FORCE };

static const struct opt opts[] = {
	{ 'o', "output", ARG_REQUIRED, "FILE",
	  "write to FILE, which is replaced when the dump is complete; - is standard output", 'o' },
	{ 'f', "format", ARG_REQUIRED, "xml|human_readable|json", "how to print the metadata (default: xml)", 'f' },
	{ 'r', "repair", ARG_NONE, NULL, "dump damaged metadata as thin_repair would recover it", 'r' },
	{ 0, "accept-loss", ARG_NONE, NULL, "with --repair: exit with 0 even if mappings are lost",
	  OPT_ACCEPT_LOSS },
	{ 0, "dev-id", ARG_REQUIRED, "ID", "dump only this device; can be repeated", OPT_DEV_ID },
	{ 0, "no-shared", ARG_NONE, NULL,
	  "write shared mappings into each device, not once as a <def>", OPT_NO_SHARED },
	{ 0, "skip-mappings", ARG_NONE, NULL, "dump the devices without their mappings", OPT_SKIP },
	{ 0, "transaction-id", ARG_REQUIRED, "N", "use N as the transaction id in the header", OPT_TRANSACTION },
	{ 0, "data-block-size", ARG_REQUIRED, "SECTORS",
	  "use SECTORS as the data block size in the header", OPT_BLOCK_SIZE },
	{ 0, "nr-data-blocks", ARG_REQUIRED, "N",
	  "use N as the number of data blocks in the header", OPT_NR_BLOCKS },
	{ 0, "force", ARG_NONE, NULL, "replace FILE even if it is not a dump",
	  OPT_FORCE },
	{ 0 },
};

static const struct command command = {
	.name = "thin_dump",
	.usage = "[options] POOL",
	.summary = "Prints the metadata of a thin pool as XML that thin_restore reads. POOL is a "
		   "metadata device or file, a table file, or a disk with LVM.",
	.notes = "When a part of the metadata cannot be read, the rest is printed without the closing\n"
		 "tag. Standard error names the missing part, and the exit status is 1.",
	.opts = opts,
	CLI_ONE_POOL,
	.reads_pool = cli_reads_pool,
	.shows_progress = true,
};

struct dump {
	struct cli cli;
	const char *output;
	bool force;
	enum text_format format;
	bool repair, accept_loss;
	struct emit_options emit;
	uint32_t *dev_ids; /* emit.nr_dev_ids of them */
	size_t cap_dev_ids;
	struct pool_overrides overrides;
	struct pool_arg arg;
	struct progress *bar;
};

static void add_dev_id(struct dump *d)
{
	uint64_t id = cli_u64(&d->cli, "--dev-id");
	uint32_t *new;

	if (id > MAX_DEV_ID)
		cli_usage_error(&d->cli, "--dev-id: %s is above the greatest device id, %u",
				d->cli.arg, MAX_DEV_ID);
	new = vec_add(d->dev_ids, d->emit.nr_dev_ids, d->cap_dev_ids);
	if (!new)
		cli_no_memory(&d->cli, "--dev-id");
	*new = (uint32_t)id;
	d->emit.dev_ids = d->dev_ids;
}

static void parse_option(struct dump *d, int id)
{
	struct cli *c = &d->cli;

	switch (id) {
	case 'o':
		d->output = strcmp(c->arg, "-") ? c->arg : NULL;
		break;
	case 'f':
		if (!text_format_find(c->arg, &d->format))
			cli_usage_error(c, "unknown format '%s': it must be xml, human_readable or json",
					c->arg);
		break;
	case 'r':
		d->repair = true;
		break;
	case OPT_ACCEPT_LOSS:
		d->accept_loss = true;
		break;
	case OPT_DEV_ID:
		add_dev_id(d);
		break;
	case OPT_NO_SHARED:
		d->emit.no_shared = true;
		break;
	case OPT_SKIP:
		d->emit.skip_mappings = true;
		break;
	case OPT_TRANSACTION:
		d->overrides.has_transaction = true;
		d->overrides.transaction = cli_u64(c, "--transaction-id");
		break;
	case OPT_BLOCK_SIZE:
		d->overrides.has_data_block_size = true;
		d->overrides.data_block_size =
			cli_block_size(c, "--data-block-size", DATA_BLOCK_SECTORS_MIN, DATA_BLOCK_SECTORS_MAX);
		break;
	case OPT_NR_BLOCKS:
		d->overrides.has_nr_data_blocks = true;
		d->overrides.nr_data_blocks = cli_u64_at_most(c, "--nr-data-blocks", MAX_NR_DATA_BLOCKS);
		break;
	case OPT_FORCE:
		d->force = true;
		break;
	}
}

static int dump_to(struct dump *d, int fd, const char *name, struct err *err)
{
	const struct pool_source_options opt = {
		.metadata = { .snap = d->cli.snap,
			      .snap_block = d->cli.snap_block,
			      .any_block_size = d->overrides.has_data_block_size },
		.force_share = d->cli.force_share,
		.nr_jobs = d->cli.nr_jobs,
		.meter = progress_meter(d->bar),
	};
	struct pool_source src;
	struct pool_info info;
	struct events sink = { 0 };
	struct err ignored;
	int r;

	r = pool_source_open_arg(&d->arg, &opt, &src, err);
	if (r)
		return r;
	metadata_pool_info(&src.md, &info);
	pool_overrides_apply(&d->overrides, &info);
	d->emit.header = &info;
	d->emit.problem = cli_tell;
	d->emit.ctx = &d->cli;
	r = text_sink_new(d->format, fd, name, &sink, err);
	if (!r)
		r = emit_pool(&src.md, &src.stream, &d->emit, &sink, err);
	if (r == -EUCLEAN || r == -EIO) /* the parts that could be read */
		(void)text_sink_flush(&sink, &ignored);
	text_sink_free(&sink);
	pool_source_tell_snap(&src, r, cli_tell, &d->cli);
	pool_source_close(&src);
	return r;
}

/* "NAME: line" on standard error for each line of the report. */
static void tell_report(struct dump *d, struct salvage *s)
{
	struct outbuf text;

	outbuf_init(&text);
	salvage_report(s, d->cli.verbose, &text);
	salvage_report_sum(s, d->cli.verbose, d->accept_loss, &text);
	cli_error_lines(&d->cli, text.data, text.len);
	outbuf_fini(&text);
}

/*
 * Dumps what thin_repair would write.  1: mappings are lost, or may be lost, and a message says so.
 */
static int dump_repaired(struct dump *d, int fd, const char *name, struct err *err)
{
	const struct pool_salvage_options opt = { .salvage.given = d->overrides,
						  .want = { CLI_WANT(&d->cli) },
						  .force_share = d->cli.force_share,
						  .nr_jobs = d->cli.nr_jobs,
						  .meter = progress_meter(d->bar) };
	struct salvage_totals totals = { 0 };
	struct events sink = { 0 };
	struct pool_salvage p;
	int r = pool_salvage_open_arg(&d->arg, &opt, &p, err);

	if (!r)
		r = text_sink_new(d->format, fd, name, &sink, err);
	if (!r)
		r = salvage_emit(p.salvage, &d->emit, &sink, err);
	text_sink_free(&sink);
	if (!r) {
		salvage_totals(p.salvage, &totals);
		tell_report(d, p.salvage);
		r = !totals.mappings_back && !d->accept_loss;
	}
	pool_salvage_close(&p);
	return r;
}

static int dump_any(struct dump *d, int fd, const char *name, struct err *err)
{
	int r;

	if (!isatty(fd))
		d->bar = progress_new(&d->cli, "reading", 0);
	r = d->repair ? dump_repaired(d, fd, name, err) : dump_to(d, fd, name, err);
	progress_free(d->bar);
	return r;
}

/* The output must not replace a file of the pool from which it is made. */
static int check_output(struct dump *d, struct err *err)
{
	int r = pool_arg_apart(&d->arg, d->cli.args[0], &(struct dev_role) { "output", d->output }, err);

	return r ? err_prefix(err, r, "-o") : 0;
}

static int dump_to_file(struct dump *d, struct err *err)
{
	struct out_file *f;
	int r = check_output(d, err);

	if (r)
		return r;
	cli_left(&d->cli, "'%s' is unchanged: no dump was made", d->output);
	r = content_open_text_out(d->output, d->force, &f, err);
	return r ? r : out_file_close(f, dump_any(d, out_file_fd(f), d->output, err), err);
}

int main(int argc, char **argv)
{
	struct dump d = { 0 };
	struct pool_want want;
	struct err err = { 0 };
	int id, r;

	cli_init(&d.cli, &command, argc, argv);
	while ((id = cli_next(&d.cli)))
		parse_option(&d, id);
	cli_output_is(&d.cli, d.output);
	if (d.repair && d.cli.snap)
		cli_usage_error(&d.cli, "--repair cannot be used with --metadata-snap");
	if (d.accept_loss && !d.repair)
		cli_usage_error(&d.cli, "--accept-loss needs --repair");
	want = (struct pool_want) { CLI_WANT(&d.cli), .disk = pool_lvm_run, .live = pool_live_table, .prints = true };
	r = pool_arg_open(d.cli.args[0], &want, &d.arg, &err);
	if (!r)
		r = d.output ? dump_to_file(&d, &err) :
			       dump_any(&d, STDOUT_FILENO, "standard output", &err);
	pool_arg_fini(&d.arg);
	free(d.dev_ids);
	return r < 0 ? cli_fail(&d.cli, r, &err) : r ? EXIT_DAMAGE : EXIT_DONE;
}
