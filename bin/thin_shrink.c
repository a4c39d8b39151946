/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* thin_shrink: moves data blocks so that a pool fits a smaller data device. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/progress.h"
#include "dev/dev.h"
#include "dev/folded.h"
#include "pool/build/build.h"
#include "pool/space/shrink.h"
#include "pool/text/text.h"
#include "volume/guard/content.h"
#include "volume/guard/meta_out.h"
#include "volume/open/pool_events.h"
#include "volume/open/pool_live.h"
#include "volume/open/pool_lvm.h"

enum { OPT_DATA = 256, OPT_NR_BLOCKS, OPT_NO_COPY, OPT_BINARY, OPT_SIZE };

static const struct opt opts[] = {
	{ 'i', "input", ARG_REQUIRED, "FILE", "the pool's metadata: XML, or with --binary a POOL",
	  'i' },
	{ 'o', "output", ARG_REQUIRED, "FILE",
	  "the new metadata: XML, or with --binary an existing device or file; - is standard output", 'o' },
	{ 0, "size", ARG_REQUIRED, "SIZE",
	  "with --binary: create FILE with this size; auto: the size recommended for this pool",
	  OPT_SIZE },
	{ 0, "data", ARG_REQUIRED, "DEV", "the data device; blocks move inside it", OPT_DATA },
	{ 0, "nr-blocks", ARG_REQUIRED, "N", "the pool's new number of data blocks",
	  OPT_NR_BLOCKS },
	{ 0, "no-copy", ARG_NONE, NULL, "change only the metadata; you move the data yourself",
	  OPT_NO_COPY },
	{ 0, "binary", ARG_NONE, NULL, "read and write binary metadata instead of XML",
	  OPT_BINARY },
	{ 'f', "force", ARG_NONE, NULL,
	  "overwrite the output even if it holds something else; also proceed when the table "
	  "names a device by MAJOR:MINOR and the pool there does not match",
	  'f' },
	{ 'n', "dry-run", ARG_NONE, NULL, "print how much would be moved, write nothing", 'n' },
	{ 'q', "quiet", ARG_NONE, NULL, "print nothing, only set the exit status", 'q' },
	{ 0 },
};

static const struct command command = {
	.name = "thin_shrink",
	.usage = "-i FILE -o FILE --data DEV --nr-blocks N [options]",
	.summary = "Moves all data of an inactive thin pool into its first N data blocks and "
		   "writes the new metadata. The data device is not resized.",
	.notes = "The input metadata stays valid until the output replaces it. After an interruption\n"
		 "run the same command again.",
	.opts = opts,
	.takes_pool = true,
	.shows_progress = true,
	.shows_sizes = cli_shows_sizes,
};

struct shrink_cmd {
	struct cli cli;
	const char *input, *output, *data;
	bool has_nr_blocks, no_copy, binary, dry_run, force;
	bool feeds_output; /* the input is read for the last time */
	uint64_t nr_blocks, size;
	struct pool_events in;
	struct jobs *jobs;
};

static void parse_options(struct shrink_cmd *s)
{
	struct cli *c = &s->cli;
	int id;

	while ((id = cli_next(c))) {
		switch (id) {
		case 'i':
			s->input = c->about = c->arg;
			break;
		case 'o':
			s->output = c->arg;
			break;
		case 'n':
			s->dry_run = true;
			break;
		case 'f':
			s->force = true;
			break;
		case 'q':
			c->quiet = true;
			break;
		case OPT_SIZE:
			s->size = cli_size_or_auto(c, "--size", MBLOCK_SIZE);
			break;
		case OPT_DATA:
			s->data = c->arg;
			break;
		case OPT_NR_BLOCKS:
			s->has_nr_blocks = true;
			s->nr_blocks = cli_u64(c, "--nr-blocks");
			break;
		case OPT_NO_COPY:
			s->no_copy = true;
			break;
		case OPT_BINARY:
			s->binary = true;
			break;
		}
	}
	if (!s->input)
		cli_usage_error(c, "No input file provided.");
	if (!s->output && !s->dry_run)
		cli_usage_error(c, "No output file provided.");
	if (s->output)
		cli_output_is(c, s->output);
	if (s->size && !s->binary)
		cli_usage_error(c, "--size needs --binary: XML has no fixed size");
	if (cli_pool_option(c) && !s->binary)
		cli_usage_error(c, "%s needs --binary: XML is one pool, without its devices", cli_pool_option(c));
	if (!s->has_nr_blocks)
		cli_usage_error(c, "--nr-blocks: the number of data blocks is missing");
}

static int produce(void *ctx, const struct events *to, struct err *err)
{
	struct shrink_cmd *s = ctx;
	struct progress *bar = progress_new(&s->cli, s->feeds_output ? "writing" : "reading", 0);
	struct io *io = s->in.pool.io;
	int r;

	if (io) {
		io->meter = progress_meter(bar);
		superblock_meter(&s->in.pool.md.live, io);
	} else {
		progress_follow(bar, s->in.xml_fd);
	}
	r = pool_events_tell(&s->in, cli_tell, &s->cli, to, err);
	if (io)
		io->meter = NULL;
	progress_free(bar);
	return r;
}

/* The table must be this pool's; then it also names the data device. */
static int use_table(struct shrink_cmd *s, const struct pool_want *want, struct err *err)
{
	const struct pool_source *pool = &s->in.pool;
	const struct pool_found found = { .data_block_size = pool->md.view.data_block_size,
					  .nr_data_blocks = pool->md.nr_data_blocks };
	int r = pool_arg_trust_numbers(&pool->arg, &found, s->force || s->dry_run, err);

	return r ? r : pool_arg_data_path(&pool->arg, s->data, want, &s->data, err);
}

static int open_input(struct shrink_cmd *s, struct err *err)
{
	const struct pool_source_options opt = {
		.want = { CLI_WANT(&s->cli), .disk = pool_lvm_table, .live = pool_live_refuse, .table.write = !s->dry_run,
			  .output = s->output },
	};
	int r = pool_events_open(s->input, s->binary, &opt, &s->in, err);
	const struct metadata *md = &s->in.pool.md;
	const uint64_t most = md->nr_blocks * ENTRIES_PER_BITMAP;

	if (!r && s->in.pool.io && md->nr_data_blocks > most)
		return err_set(err, -EUCLEAN,
			       "a size of %llu data blocks is impossible (at most %llu): 'thin_repair -i POOL -o FILE' can "
			       "rebuild the space maps",
			       (unsigned long long)md->nr_data_blocks, (unsigned long long)most);

	if (!r && s->in.pool.md.live.held_root)
		return err_set(err, -EINVAL,
			       "the pool holds a metadata snapshot, whose blocks would be overwritten: "
			       "release it first ('thin_message POOL release_metadata_snap')");
	return !r && s->in.pool.arg.table ? use_table(s, &opt.want, err) : r;
}

static void note_plan(struct shrink_cmd *s, const struct shrink_plan *p)
{
	char size[CLI_SIZE_LEN];

	cli_note(&s->cli, "%llu data blocks become %llu; %llu are in use, %llu of them (%s) %s",
		 (unsigned long long)p->nr_before, (unsigned long long)p->nr_after,
		 (unsigned long long)p->nr_used, (unsigned long long)p->nr_moved,
		 cli_shown_size(&s->cli, p->nr_moved * p->block_size * 512, size), s->dry_run ? "would move" : "move");
}

static void moved(void *ctx, uint64_t bytes)
{
	progress_add(ctx, bytes);
}

static int copy_data(struct shrink_cmd *s, const struct shrink *plan, struct io *data, struct err *err)
{
	const struct shrink_plan *p = shrink_plan(plan);
	struct progress *bar = progress_new(&s->cli, "moving data", p->nr_moved * p->block_size * 512);
	int r;

	cli_left(&s->cli, "blocks were copied to free places only, and the pool is unchanged: run "
			  "the same command again");
	r = shrink_copy(plan, data, s->jobs, moved, bar, err);

	progress_free(bar);
	return r;
}

static int count(void *ctx, struct build_counts *n, struct err *err)
{
	(void)err;
	*n = shrink_plan(ctx)->counts;
	return 0;
}

#define INPUT_IS_LEFT "; the input is unchanged and still describes the pool"

struct told {
	const struct shrink *plan;
	const struct shrink_source *src;
};

static int tell_shrunk(void *ctx, const struct events *to, struct err *err)
{
	const struct told *t = ctx;

	return shrink_tell(t->plan, t->src, to, err);
}

static int to_binary(struct shrink_cmd *s, struct shrink *plan,
		     const struct shrink_source *src, struct io *data, struct err *err)
{
	const uint64_t needs = shrink_plan(plan)->counts.nr_blocks;
	struct meta_out out;
	const struct build_options opt = { .note = cli_tell, .ctx = &s->cli, .mark = meta_out_mark(&out) };
	const struct meta_out_options out_opt = { .force = s->force,
						  .size = s->size,
						  .count = count,
						  .ctx = plan,
						  .left = cli_take_left,
						  .left_ctx = &s->cli,
						  .also = INPUT_IS_LEFT };
	struct events sink = { 0 };
	int r = meta_out_open(s->output, &out_opt, &out, err);

	if (r < 0)
		return r;
	if (out.io->size / MBLOCK_SIZE < needs)
		r = err_set(err, -ERANGE, "output '%s': too small: needs at least %llu blocks, has %llu",
			    s->output, (unsigned long long)needs,
			    (unsigned long long)(out.io->size / MBLOCK_SIZE));
	else if (build_try(needs, out.io->size / MBLOCK_SIZE, tell_shrunk, &(struct told) { .plan = plan, .src = src }, err))
		r = err_prefix(err, -ERANGE, "output '%s'", s->output);
	if (s->dry_run) {
		meta_out_drop(&out);
		return r;
	}
	if (!r && data)
		r = copy_data(s, plan, data, err);
	if (!r)
		r = build_new(out.io, &opt, &sink, err);
	meta_out_begins(&out);
	s->feeds_output = true;
	if (!r)
		r = shrink_tell(plan, src, &sink, err);
	build_free(&sink);
	return meta_out_close(&out, r, err);
}

static int to_xml(struct shrink_cmd *s, const struct shrink *plan, const struct shrink_source *src,
		  struct io *data, struct err *err)
{
	struct events sink = { 0 };
	struct out_file *out;
	int r = content_open_text_out(s->output, s->force, s->dry_run ? NULL : &out, err);

	if (r < 0 || s->dry_run)
		return r;
	if (data)
		r = copy_data(s, plan, data, err);
	if (!r)
		r = text_sink_new(TEXT_XML, out_file_fd(out), dev_shown_output(s->output), &sink, err);
	cli_left(&s->cli, "'%s' is unchanged" INPUT_IS_LEFT, s->output);
	s->feeds_output = true;
	if (!r) {
		r = shrink_tell(plan, src, &sink, err);
		text_sink_free(&sink);
	}
	return out_file_close(out, r, err);
}

static int check_names(const struct shrink_cmd *s, struct err *err)
{
	const struct pool_arg *arg = &s->in.pool.arg;
	const struct dev_role roles[] = {
		{ "input", arg->table ? arg->metadata : s->input },
		{ "output", s->output ? dev_output_path(s->output) : NULL },
		{ "data device", s->data },
		{ "table file", table_file(arg->table, s->input) },
	};

	int r = dev_roles_apart(roles, ARRAY_SIZE(roles), err);

	if (!r && s->output)
		r = pool_arg_apart(&s->in.pool.arg, s->input,
				   &(struct dev_role) { "output", dev_output_path(s->output) },
				   err);
	if (!r && s->data)
		r = pool_arg_apart(&s->in.pool.arg, s->input,
				   &(struct dev_role) { "data device", s->data }, err);
	return r;
}

static int run(struct shrink_cmd *s, struct err *err)
{
	const struct shrink_source src = { .produce = produce, .ctx = s };
	const bool look = s->dry_run && s->data; /* a data device that is named is looked at */
	struct shrink *plan = NULL;
	struct io *data = NULL;
	int r = open_input(s, err);

	if (r)
		return r;
	if (!s->data && !s->no_copy && !s->dry_run)
		cli_usage_error(&s->cli, "--data: the data device is missing (or give --no-copy)");
	r = check_names(s, err);
	if (!r && !s->no_copy && (look || !s->dry_run))
		r = dev_refuse_folded(s->data, err) ?: dev_open(s->data, look ? DEV_DRY : DEV_WRITE, &data, err);
	cli_left(&s->cli, "nothing was written");
	if (!r)
		r = shrink_new(&src, s->nr_blocks, &plan, err);
	if (!r) {
		note_plan(s, shrink_plan(plan));
		if (s->output)
			r = s->binary ? to_binary(s, plan, &src, data, err) :
					to_xml(s, plan, &src, data, err);
		if (!r && s->dry_run && data)
			r = shrink_check_data(plan, data, err);
	}
	shrink_free(plan);
	io_free(data);
	return r;
}

int main(int argc, char **argv)
{
	struct shrink_cmd s = { .in.xml_fd = -1 };
	struct err err = { 0 };
	int r;

	cli_init(&s.cli, &command, argc, argv);
	parse_options(&s);
	s.jobs = jobs_new(0);
	r = s.jobs ? run(&s, &err) : err_nomem(&err, "workers");
	pool_events_close(&s.in);
	jobs_free(s.jobs);
	return cli_finish(&s.cli, r < 0 ? cli_fail(&s.cli, r, &err) : EXIT_DONE);
}
