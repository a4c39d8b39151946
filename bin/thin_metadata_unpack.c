/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* thin_metadata_unpack: unpacks what thin_metadata_pack packed. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/progress.h"
#include "dev/dev.h"
#include "dev/out_file.h"
#include "pool/pack/pack.h"
#include "volume/guard/meta_out.h"
#include "volume/guard/occupied.h"

#define COUNT_SLACK 8 /* blocks by which the allocated count of old tools may be wrong */

static const struct opt opts[] = {
	{ 'i', "input", ARG_REQUIRED, "FILE", "packed file; - is standard input", 'i' },
	{ 'o', "output", ARG_REQUIRED, "DEV",
	  "device or file for the metadata; a file is created or replaced; - is standard output", 'o' },
	{ 'f', "force", ARG_NONE, NULL, "overwrite the output without asking", 'f' },
	{ 0 },
};

static const struct command command = {
	.name = "thin_metadata_unpack",
	.usage = "-i FILE -o DEV [-f]",
	.summary = "Unpacks a thin pool's metadata from a file made by thin_metadata_pack.",
	.notes = "A file gets its name when it is complete. A device is marked invalid until it "
		 "is complete;\nnothing is written to it before the whole packed file has been "
		 "read.",
	.opts = opts,
	.shows_progress = true,
};

/*
 * Is the packed file good enough to replace the output's contents?  -EINVAL: no.  Some files of
 * other tools were packed with losses; with @force such a file is taken, too.
 */
static int judge(struct cli *cli, const struct unpack_stats *st, bool force, struct err *err)
{
	struct err lack = { 0 };
	int e = 0;

	if (!st->has_superblock)
		return err_set(err, -EINVAL,
			       "the packed file holds no superblock (block 0): it has been cut off, or "
			       "packed by a tool that lost it; nothing was written");
	if (st->superblock_is_zero)
		e = err_set(&lack, -EINVAL,
			    "the superblock in the packed file is all zeros: the kernel would format the "
			    "output");
	else if (st->nr_blocks + COUNT_SLACK < st->nr_allocated)
		e = err_set(&lack, -EINVAL,
			    "the packed file holds %llu blocks, but its superblock counts %llu in use: it "
			    "has been cut off, or packed by a tool that lost some",
			    (unsigned long long)st->nr_blocks, (unsigned long long)st->nr_allocated);
	else if (st->nr_blocks < st->nr_allocated)
		cli_note(cli, "the packed file holds %llu blocks, but its superblock counts %llu in use: blocks may "
			      "have been lost when it was packed; 'thin_check DEV' finds out",
			 (unsigned long long)st->nr_blocks, (unsigned long long)st->nr_allocated);
	if (e && !force)
		return err_set(err, e, "%s; nothing was written (--force unpacks it)", lack.text);
	if (e)
		cli_note(cli, "%s", lack.text);
	return 0;
}

struct job {
	struct cli *cli;
	struct io *in;
	struct pack_header head;
	struct jobs *jobs;
	const char *output;
	bool force;
	bool (*sure)(const char *question); /* NULL: nobody can be asked */
};

/* May what is open at @io be overwritten?  The user may be asked. */
static int may_overwrite(struct job *j, struct io *io, struct err *err)
{
	return j->force ? 0 : occupied_ask(j->output, io, FOR_METADATA, j->sure, err);
}

/* Without an output it reads and judges, and writes nothing. */
static int unpack(struct job *j, const struct unpack_output *out, struct unpack_stats *stats,
		  struct err *err)
{
	struct progress *bar = progress_new(j->cli, out->io ? "unpacking" : "reading", j->in->size);
	int e;

	j->in->meter = progress_meter(bar);
	e = unpack_file(j->in, &j->head, out, j->jobs, stats, err);
	j->in->meter = NULL;
	progress_free(bar);
	return e;
}

/* The new file takes the place of the old one when it is complete. */
static int to_file(struct job *j, bool exists, struct err *err)
{
	struct unpack_stats stats;
	struct io *old = NULL, *io;
	struct out_file *f;
	int e = exists ? dev_open(j->output, DEV_WRITE, &old, err) : 0; /* keeps writers out */

	if (!e && old)
		e = may_overwrite(j, old, err);
	if (!e)
		e = out_file_open(j->output, &f, err);
	if (e < 0) {
		io_free(old);
		return e;
	}
	e = out_file_io(f, j->head.nr_blocks * MBLOCK_SIZE, &io, err);
	if (!e)
		e = unpack(j, &(struct unpack_output){ io, .zeroed = true }, &stats, err);
	io_free(io);
	if (!e)
		e = judge(j->cli, &stats, j->force, err);
	e = out_file_close(f, e, err);
	io_free(old);
	return e;
}

/*
 * A device cannot be replaced at the end as a file can: the packed file is read through before the
 * first write.
 */
static int to_device(struct job *j, struct err *err)
{
	const struct meta_out_options opt = { .left = cli_take_left, .left_ctx = j->cli };
	const uint64_t len = j->head.nr_blocks * MBLOCK_SIZE;
	struct unpack_output to = { 0 };
	struct unpack_stats stats;
	struct meta_out out;
	int e = meta_out_open_existing(j->output, &opt, &out, err);

	if (e < 0)
		return e;
	e = may_overwrite(j, out.io, err);
	if (!e && out.io->size < len)
		e = err_set(err, -ERANGE, "'%s' is too small: needs %llu bytes, has %llu", j->output,
			    (unsigned long long)len, (unsigned long long)out.io->size);
	if (!e)
		e = unpack(j, &to, &stats, err);
	if (!e)
		e = judge(j->cli, &stats, j->force, err);
	if (!e) {
		to.io = out.io;
		to.mark = meta_out_mark(&out);
		meta_out_begins(&out);
		e = unpack(j, &to, &stats, err);
	}
	return meta_out_close(&out, e, err);
}

static int run(struct job *j, const char *input, struct err *err)
{
	unsigned major, minor;
	struct stat st;
	int e = dev_is_standard(input) ? dev_stdin_as_file(err) : 0;

	if (!e)
		e = dev_open(input, DEV_SHARED | DEV_BUFFERED, &j->in, err);
	if (e < 0)
		return e;
	cli_left(j->cli, "'%s' is unchanged", j->output);
	j->sure = dev_is_standard(input) ? NULL : cli_confirm;
	e = pack_read_header(j->in, &j->head, err);
	if (!e) {
		j->jobs = jobs_new(j->in->size > 1 << 20 ? 0 : 1);
		e = j->jobs ? 0 : err_nomem(err, "threads");
	}
	if (!e && dev_is_standard(j->output))
		e = to_file(j, false, err);
	else if (!e && stat(j->output, &st))
		e = dev_numbers(j->output, &major, &minor) ? to_device(j, err) : to_file(j, false, err);
	else if (!e)
		e = S_ISREG(st.st_mode) ? to_file(j, true, err) : to_device(j, err);
	jobs_free(j->jobs);
	io_free(j->in);
	return e;
}

int main(int argc, char **argv)
{
	const char *input = NULL;
	struct err err = { 0 };
	struct cli cli;
	struct job j = { .cli = &cli };
	int id, e;

	cli_init(&cli, &command, argc, argv);
	while ((id = cli_next(&cli))) {
		if (id == 'i')
			input = cli.arg;
		else if (id == 'o')
			j.output = cli.arg;
		else
			j.force = true;
	}
	if (!input)
		cli_usage_error(&cli, "No input file provided.");
	if (!j.output)
		cli_usage_error(&cli, "No output file provided.");
	cli_output_is(&cli, j.output);
	const struct dev_role roles[] = { { "input", input }, { "output", dev_output_path(j.output) },
					  { "progress lines", cli.progress_path } };
	e = dev_roles_apart(roles, ARRAY_SIZE(roles), &err);
	if (!e)
		e = run(&j, input, &err);
	return cli_finish(&cli, e < 0 ? cli_fail(&cli, e, &err) : EXIT_DONE);
}
