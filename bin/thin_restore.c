/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* thin_restore: makes metadata out of XML. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/progress.h"
#include "dev/dev.h"
#include "pool/format/format.h"
#include "pool/restore/restore.h"
#include "volume/guard/content.h"
#include "volume/guard/meta_out.h"
#include "volume/table/table.h"

enum { OPT_TRANSACTION = 256, OPT_BLOCK_SIZE, OPT_NR_BLOCKS, OPT_FORCE, OPT_SIZE };

static const struct opt opts[] = {
	{ 'i', "input", ARG_REQUIRED, "FILE", "XML to read; - is standard input", 'i' },
	{ 'o', "output", ARG_REQUIRED, "FILE",
	  "metadata device or file to write; it keeps its size, and a missing file is created; - "
	  "is standard output",
	  'o' },
	{ 0, "size", ARG_REQUIRED, "SIZE",
	  "create FILE with this size; auto: the size recommended for this pool (default for a "
	  "missing FILE)",
	  OPT_SIZE },
	{ 0, "force", ARG_NONE, NULL, "overwrite FILE even if it holds something other than a pool",
	  OPT_FORCE },
	{ 'q', "quiet", ARG_NONE, NULL, "print nothing, only set the exit status", 'q' },
	{ 0, "transaction-id", ARG_REQUIRED, "N", "use N instead of the XML's transaction id",
	  OPT_TRANSACTION },
	{ 0, "data-block-size", ARG_REQUIRED, "SECTORS",
	  "use SECTORS instead of the XML's block size", OPT_BLOCK_SIZE },
	{ 0, "nr-data-blocks", ARG_REQUIRED, "N",
	  "use N instead of the XML's number of data blocks", OPT_NR_BLOCKS },
	{ 0 },
};

static const struct command command = {
	.name = "thin_restore",
	.usage = "-i FILE -o FILE [options]",
	.summary = "Writes the metadata of a thin pool from XML that thin_dump made.",
	.notes = "The output is marked invalid until it is complete. After an interrupted run the\n"
		 "kernel and all tools refuse the output: run the command again.",
	.opts = opts,
	.shows_progress = true,
};

struct restore {
	struct cli cli;
	const char *input, *output;
	bool force, makes; /* makes: the output was missing, and no size was given */
	uint64_t size;
	struct pool_overrides overrides;
	struct meter *written; /* NULL: progress is not counted here */
};

static void parse_options(struct restore *r)
{
	struct cli *c = &r->cli;
	int id;

	while ((id = cli_next(c))) {
		switch (id) {
		case 'i':
			r->input = c->arg;
			break;
		case 'o':
			r->output = c->arg;
			break;
		case OPT_FORCE:
			r->force = true;
			break;
		case OPT_SIZE:
			r->size = cli_size_or_auto(c, "--size", MBLOCK_SIZE);
			break;
		case 'q':
			c->quiet = true;
			break;
		case OPT_TRANSACTION:
			r->overrides.has_transaction = true;
			r->overrides.transaction = cli_u64(c, "--transaction-id");
			break;
		case OPT_BLOCK_SIZE:
			r->overrides.has_data_block_size = true;
			r->overrides.data_block_size = cli_block_size(c, "--data-block-size", DATA_BLOCK_SECTORS_MIN,
								      DATA_BLOCK_SECTORS_MAX);
			break;
		case OPT_NR_BLOCKS:
			r->overrides.has_nr_data_blocks = true;
			r->overrides.nr_data_blocks = cli_u64_at_most(c, "--nr-data-blocks", MAX_NR_DATA_BLOCKS);
			break;
		}
	}
	if (!r->input)
		cli_usage_error(c, "No input file provided.");
	if (!r->output)
		cli_usage_error(c, "No output file provided.");
	cli_output_is(c, r->output);
}

static int open_input(const char *path, struct err *err)
{
	int fd = dev_open_text(path, err);
	const char *holds = fd >= 0 ? content_not_xml(fd) : NULL;

	if (!holds)
		return fd;
	close(fd);
	return err_set(err, -EINVAL, "'%s' is not XML: it holds %s", dev_shown(path), holds);
}

static void count_differs(void *cli, uint32_t dev_id, uint64_t claimed, uint64_t counted)
{
	cli_note(cli, "device %u: the XML says mapped_blocks=\"%llu\", but maps %llu blocks; %llu is written",
		 dev_id, (unsigned long long)claimed, (unsigned long long)counted,
		 (unsigned long long)counted);
}

/* Opens the input again: reading it once gave the size, reading it again gives the metadata. */
static int open_again(struct restore *r, struct err *err)
{
	bool is_stdin = dev_is_standard(r->input), counts = r->size || dev_is_standard(r->output);
	int fd = counts && is_stdin ? dev_stdin_as_file(err) : 0;

	if (!fd)
		fd = open_input(r->input, err);
	if (fd >= 0 && counts && lseek(fd, 0, SEEK_CUR) < 0) {
		close(fd);
		return err_set(err, -EINVAL,
			       "'%s' is a pipe, which cannot be read twice to find the size: use -i -",
			       r->input);
	}
	return fd;
}

static int restore_from(struct restore *r, int fd, struct err *err)
{
	const struct xml_options xml = { .overrides = &r->overrides };
	struct meta_out out;
	const struct build_options opt = { .count_differs = count_differs,
					   .note = cli_tell,
					   .ctx = &r->cli,
					   .mark = meta_out_mark(&out) };
	struct restore_text text = { fd, dev_shown(r->input), &xml };
	const struct meta_out_options out_opt = { .force = r->force,
						  .size = r->size,
						  .count = restore_count,
						  .ctx = &text,
						  .left = cli_take_left,
						  .left_ctx = &r->cli };
	int e = meta_out_open(r->output, &out_opt, &out, err);
	uint64_t size;

	if (e < 0)
		return e;
	e = restore_check(&text, out.io->size / MBLOCK_SIZE, err);
	if (!e) {
		out.io->meter = r->written;
		meta_out_begins(&out);
		e = restore_build(&text, out.io, &opt, err);
		out.io->meter = NULL;
	}
	if (e == -ERANGE)
		err_prefix(err, e, "output '%s'", r->output);
	size = out.io->size;
	e = meta_out_close(&out, e, err);
	if (!e && r->makes)
		cli_note(&r->cli,
			 "created '%s' with %llu bytes, as thin_metadata_size recommends; --size "
			 "sets another size",
			 r->output, (unsigned long long)size);
	return e;
}

static int restore(struct restore *r, struct err *err)
{
	CLEANUP(close_fd) int fd = -1;
	struct progress *bar;
	struct table *lines = NULL;
	int e = table_open_line(r->output, &lines, err);

	const struct dev_role roles[] = { { "input", r->input },
					  { "output", dev_output_path(r->output) },
					  { "progress lines", r->cli.progress_path } };
	if (!e)
		e = dev_roles_apart(roles, ARRAY_SIZE(roles), err);
	if (e) {
		table_free(lines);
		return e;
	}
	if (!r->size && meta_out_is_missing(r->output)) {
		r->size = META_OUT_AUTO;
		r->makes = true;
	}
	fd = open_again(r, err);
	if (fd < 0) {
		table_free(lines);
		return fd;
	}
	cli_left(&r->cli, "'%s' is unchanged", r->output);
	bar = progress_new(&r->cli, "reading", 0);
	/* the length of a pipe is not known: then what is written is counted */
	r->written = progress_follow(bar, fd) ? NULL : progress_meter(bar);
	e = restore_from(r, fd, err);
	progress_free(bar);
	table_free(lines);
	return e;
}

int main(int argc, char **argv)
{
	struct restore r = { 0 };
	struct err err = { 0 };
	int e;

	cli_init(&r.cli, &command, argc, argv);
	parse_options(&r);
	e = restore(&r, &err);
	return cli_finish(&r.cli, e < 0 ? cli_fail(&r.cli, e, &err) : EXIT_DONE);
}
