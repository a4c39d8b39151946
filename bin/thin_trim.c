/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* thin_trim: discards a pool's free data blocks. */
#include <errno.h>

#include "cli/cli.h"
#include "cli/progress.h"
#include "dev/dev.h"
#include "dev/folded.h"
#include "pool/space/trim.h"
#include "volume/open/pool_arg.h"
#include "volume/open/pool_live.h"
#include "volume/open/pool_lvm.h"

#define ULL(v) ((unsigned long long)(v))

enum { OPT_METADATA = 256, OPT_DATA, OPT_INACTIVE };

static const struct opt opts[] = {
	{ 0, "metadata-dev", ARG_REQUIRED, "POOL",
	  "the pool's metadata device or file, a table file, or a disk with LVM", OPT_METADATA },
	{ 0, "data-dev", ARG_REQUIRED, "DEV", "the data device or file (a table file names it)",
	  OPT_DATA },
	{ 'f', "force", ARG_NONE, NULL,
	  "proceed also when the table names a device by MAJOR:MINOR and the pool there does not "
	  "match", 'f' },
	{ 'n', "dry-run", ARG_NONE, NULL, "print how much would be discarded, write nothing", 'n' },
	{ 'q', "quiet", ARG_NONE, NULL, "print nothing, only set the exit status", 'q' },
	{ 0, "pool-inactive", ARG_NONE, NULL, NULL, OPT_INACTIVE },
	{ 0 },
};

static const struct command command = {
	.name = "thin_trim",
	.usage = "--metadata-dev POOL [--data-dev DEV] [options]",
	.summary = "Discards the free blocks of an inactive thin pool's data device, or punches "
		   "holes where it is a file. The metadata is checked first.",
	.opts = opts,
	.takes_pool = true,
	.shows_progress = true,
	.shows_sizes = cli_shows_sizes,
};

struct trim_cmd {
	struct cli cli;
	const char *metadata_arg, *data_arg;
	bool dry_run, force;
	struct pool_arg arg;
	struct io *metadata, *data;
	struct jobs *jobs;
};

static void parse_options(struct trim_cmd *t)
{
	struct cli *c = &t->cli;
	bool inactive = false;
	int id;

	while ((id = cli_next(c))) {
		switch (id) {
		case OPT_METADATA:
			t->metadata_arg = c->arg;
			break;
		case OPT_DATA:
			t->data_arg = c->arg;
			break;
		case 'n':
			t->dry_run = true;
			break;
		case 'f':
			t->force = true;
			break;
		case 'q':
			c->quiet = true;
			break;
		case OPT_INACTIVE:
			inactive = true;
			break;
		}
	}
	if (inactive)
		cli_note(c, "note: --pool-inactive is not needed: a pool that is in use is refused");
	if (!t->metadata_arg)
		cli_usage_error(c, "--metadata-dev: the metadata device is missing");
}

/* A dry run tells of what cannot be written, too, and says that it cannot. */
static int open_data(struct trim_cmd *t, struct err *err)
{
	const struct table *table = t->arg.table;
	struct err why = { 0 };
	int r = dev_refuse_folded(t->data_arg, err);

	if (r)
		return r;
	if (!t->dry_run)
		return dev_open(t->data_arg, DEV_WRITE, &t->data, err);
	if (!dev_open(t->data_arg, DEV_DRY, &t->data, &why)) {
		if (table && table->pool->read_only)
			cli_note(&t->cli, "without --dry-run nothing would be discarded: "
					  "the table makes the pool read_only");
		return 0;
	}
	r = dev_open(t->data_arg, 0, &t->data, err);
	if (!r)
		cli_note(&t->cli, "without --dry-run nothing could be discarded: %s", why.text);
	return r;
}

static int open_devices(struct trim_cmd *t, struct err *err)
{
	const struct pool_want want = {
		CLI_WANT(&t->cli),
		.disk = pool_lvm_table,
		.live = pool_live_refuse,
		.table.write = !t->dry_run,
	};
	int r = pool_arg_open(t->metadata_arg, &want, &t->arg, err);

	if (!r)
		r = pool_arg_readable(&t->arg, false, err);
	if (!r)
		r = pool_arg_data_path(&t->arg, t->data_arg, &want, &t->data_arg, err);
	if (r)
		return r;
	if (!t->data_arg)
		cli_usage_error(&t->cli, "--data-dev: the data device is missing");
	r = pool_arg_apart(&t->arg, t->metadata_arg,
			   &(struct dev_role) { "data device", t->data_arg }, err);
	if (!r)
		r = dev_open(t->arg.metadata, 0, &t->metadata, err);
	return r ? r : open_data(t, err);
}

/* Refuses a table that does not fit the metadata: its data device is not the pool's either. */
static int check_table(const struct trim_cmd *t, const struct check_result *res, struct err *err)
{
	const struct pool_found found = { .data_block_size = res->sb.data_block_size,
					  .nr_data_blocks = res->sb.data_sm.nr_blocks,
					  .data_size = t->data->size };
	int r = pool_arg_trust_numbers(&t->arg, &found, t->force || t->dry_run, err);

	return r ? r : pool_arg_fits(&t->arg, found.data_block_size, err);
}

static void trimmed(void *ctx, uint64_t bytes)
{
	progress_add(ctx, bytes);
}

static int trim(struct trim_cmd *t, const struct check_result *res, struct err *err)
{
	struct trim_options opt = { .dry_run = true };
	const uint32_t block_size = res->sb.data_block_size;
	struct trim_report rep;
	char size[CLI_SIZE_LEN];
	int r;

	/* finds how much is free, and whether the device is long enough */
	r = trim_run(res->data.counts, block_size, t->data, &opt, &rep, err);
	if (r)
		return r;
	cli_note(&t->cli, "%llu of %llu data blocks are free: %s in %llu run%s%s",
		 ULL(rep.nr_free), ULL(rep.nr_blocks), cli_shown_size(&t->cli, rep.bytes, size),
		 ULL(rep.nr_runs), rep.nr_runs == 1 ? "" : "s", t->dry_run ? " would be discarded" : "");
	if (t->dry_run)
		return 0;
	opt.dry_run = false;
	opt.done = trimmed;
	cli_left(&t->cli, "only a part of the free blocks was discarded, and the pool is unchanged: run "
			  "the same command again");
	opt.ctx = progress_new(&t->cli, "discarding", rep.bytes);
	r = trim_run(res->data.counts, block_size, t->data, &opt, &rep, err);
	progress_free(opt.ctx);
	if (r)
		return err_prefix(err, r, "after %s", cli_shown_size(&t->cli, rep.bytes, size));
	return 0;
}

static int run(struct trim_cmd *t, struct err *err)
{
	const struct check_options opt = { 0 };
	struct check_result res;
	struct progress *bar;
	int r = open_devices(t, err);

	if (r)
		return r;
	cli_left(&t->cli, "nothing was discarded");
	bar = progress_new(&t->cli, "checking", 0);
	t->metadata->meter = progress_meter(bar);
	r = check_run(t->metadata, t->jobs, &opt, &res, err);
	t->metadata->meter = NULL;
	progress_free(bar);
	if (!r)
		r = trim_judge(&res, cli_tell, &t->cli, err);
	if (!r)
		r = check_table(t, &res, err);
	if (!r)
		r = trim(t, &res, err);
	check_result_fini(&res);
	return r;
}

int main(int argc, char **argv)
{
	struct trim_cmd t = { 0 };
	struct err err = { 0 };
	int r;

	cli_init(&t.cli, &command, argc, argv);
	parse_options(&t);
	t.jobs = jobs_new(0);
	r = t.jobs ? run(&t, &err) : err_nomem(&err, "workers");
	io_free(t.metadata);
	io_free(t.data);
	pool_arg_fini(&t.arg);
	jobs_free(t.jobs);
	return cli_finish(&t.cli, r < 0 ? cli_fail(&t.cli, r, &err) : EXIT_DONE);
}
