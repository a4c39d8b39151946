/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* thin_metadata_pack: packs metadata into a small file, to keep or to send. */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/progress.h"
#include "dev/dev.h"
#include "dev/out_file.h"
#include "pool/format/superblock.h"
#include "pool/pack/pack.h"
#include "volume/guard/occupied.h"
#include "volume/open/pool_arg.h"
#include "volume/open/pool_live.h"
#include "volume/open/pool_lvm.h"

static const struct opt opts[] = {
	{ 'i', "input", ARG_REQUIRED, "DEV", "metadata device or file to pack; - is standard input", 'i' },
	{ 'o', "output", ARG_REQUIRED, "FILE", "file to make; - is standard output", 'o' },
	{ 'f', "force", ARG_NONE, NULL, "overwrite the output without asking", 'f' },
	{ 'U', "force-share", ARG_NONE, NULL, "read although another program is writing to the pool", 'U' },
	{ 0 },
};

static const struct command command = {
	.name = "thin_metadata_pack",
	.usage = "-i DEV -o FILE [-f] [-U]",
	.summary = "Packs a thin pool's metadata, damaged blocks included, into a small file.",
	.notes = "thin_metadata_unpack gives back the same bytes.",
	.opts = opts,
	.takes_pool = true,
	.shows_progress = true,
};

static int pack_into(struct io *in, int fd, const char *name, struct err *err)
{
	/* each group of blocks is a job; metadata of one group starts no thread */
	struct jobs *jobs = jobs_new(in->size > 4 << 20 ? 0 : 1);
	int e = jobs ? pack_file(in, fd, name, jobs, err) : err_nomem(err, "threads");

	jobs_free(jobs);
	return e;
}

static int pack_to(struct io *in, const char *output, struct err *err)
{
	struct out_file *out;
	int e = out_file_open(output, &out, err);

	if (e < 0)
		return e;
	e = dev_no_terminal(out_file_fd(out), err);
	if (!e)
		e = pack_into(in, out_file_fd(out), dev_shown_output(output), err);
	return out_file_close(out, e, err);
}

/*
 * Whatever is there is packed, but a backup of a part should not pass for one of all, nor the metadata of another
 * pool for that of the table.
 */
static int look(struct cli *c, const struct pool_arg *arg, struct io *in, struct err *err)
{
	const uint64_t nr = in->size / MBLOCK_SIZE;
	enum sb_fault fault;
	struct superblock sb;

	if (superblock_read(in, 0, &sb, &fault, NULL) || fault)
		return 0;
	if (sb.metadata_sm.nr_blocks > nr)
		cli_note(c,
			 "%s: has %llu metadata blocks, but its superblock says %llu: only what is there is "
			 "packed, and metadata may be missing; if this is a copy, copy the whole device again",
			 in->name, (unsigned long long)nr, (unsigned long long)sb.metadata_sm.nr_blocks);
	return pool_arg_fits(arg, sb.data_block_size, err);
}

static int run(struct cli *c, const char *input, const char *output, unsigned flags, struct err *err)
{
	const struct pool_want want = { CLI_WANT(c), .disk = pool_lvm_table, .live = pool_live_refuse, .output = output };
	struct pool_arg arg;
	struct io *in = NULL;
	int e = pool_arg_open(input, &want, &arg, err);

	if (e < 0)
		return e;
	if (arg.kind == POOL_XML)
		e = pool_arg_readable(&arg, false, err);
	if (arg.kind == POOL_UNFORMATTED)
		cli_note(c,
			 "%s: the first block is all zero: the pool was never formatted, or its "
			 "superblock was wiped.  Only 'thin_metadata_unpack --force -i FILE -o "
			 "DEV' unpacks the packed file",
			 dev_shown(input));
	if (!e)
		e = pool_arg_apart(&arg, input,
				   &(struct dev_role) { "output", dev_output_path(output) }, err);
	if (!e)
		e = dev_open(arg.metadata, flags, &in, err);
	if (!e)
		e = look(c, &arg, in, err);
	if (!e) {
		struct progress *bar = progress_new(c, "packing", in->size);

		cli_left(c, "'%s' is unchanged", output);
		in->meter = progress_meter(bar);
		e = pack_to(in, output, err);
		progress_free(bar);
	}
	io_free(in);
	pool_arg_fini(&arg);
	return e;
}

int main(int argc, char **argv)
{
	const char *input = NULL, *output = NULL;
	struct err err = { 0 };
	bool force = false;
	struct cli cli;
	unsigned flags = 0;
	int id, e;

	cli_init(&cli, &command, argc, argv);
	while ((id = cli_next(&cli))) {
		if (id == 'i')
			input = cli.arg;
		else if (id == 'o')
			output = cli.arg;
		else if (id == 'U')
			flags = DEV_FORCE;
		else
			force = true;
	}
	if (!input)
		cli_usage_error(&cli, "No input file provided.");
	if (!output)
		cli_usage_error(&cli, "No output file provided.");
	cli_output_is(&cli, output);
	const struct dev_role roles[] = { { "input", input },
					  { "output", dev_output_path(output) } };
	e = dev_roles_apart(roles, ARRAY_SIZE(roles), &err);
	if (!e)
		e = out_file_check(output, &err); /* where --force would not help, it is not offered */
	if (!e && !force && !dev_is_standard(output)) /* an answer must not come out of the metadata */
		e = occupied_ask(output, NULL, FOR_PACK, dev_is_standard(input) ? NULL : cli_confirm, &err);
	if (!e)
		e = run(&cli, input, output, flags, &err);
	return cli_finish(&cli, e < 0 ? cli_fail(&cli, e, &err) : EXIT_DONE);
}
