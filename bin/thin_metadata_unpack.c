/* SPDX-License-Identifier: GPL-2.0-or-later */
/* thin_metadata_unpack: the metadata that thin_metadata_pack packed. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "cli/cli.h"
#include "dev/dev.h"
#include "volume/guard/occupied.h"
#include "pool/pack/pack.h"
#include "pool/format/superblock.h"

#define COUNT_SLACK 8 /* blocks by which the allocated count of old tools is wrong */

static const struct opt opts[] = {
	{ 'i', "input", ARG_REQUIRED, "FILE", "packed file", 'i' },
	{ 'o', "output", ARG_REQUIRED, "DEV",
	  "device or file for the metadata; a file is made or replaced", 'o' },
	{ 'f', "force", ARG_NONE, NULL, "overwrite the output, whatever it holds, without asking", 'f' },
	{ 0 },
};

static const struct command command = {
	.name = "thin_metadata_unpack",
	.usage = "-i FILE -o DEV [-f]",
	.summary = "Unpacks a thin pool's metadata that thin_metadata_pack has packed.",
	.notes = "The output is marked invalid until it is complete.",
	.opts = opts,
};

struct output {
	const char *path;
	struct io *io;
	bool created; /* by us: removed when the work fails */
	bool zeroed;
};

/*
 * A file of @len bytes that reads as zeros, but for block 0: that is invalid before anything else
 * is gone, as a kill may come at any moment and zeros there mean "format me".
 */
static int empty_file(struct output *o, uint64_t len, struct err *err)
{
	int e;

	o->io->size = len;
	e = superblock_invalidate(o->io, err);
	if (e < 0)
		return e;
	if (ftruncate(o->io->fd, MBLOCK_SIZE) || ftruncate(o->io->fd, (off_t)len))
		return err_sys(err, -errno, "cannot set the size of '%s'", o->path);
	o->zeroed = true;
	return 0;
}

static int open_output(struct output *o, uint64_t len, struct err *err)
{
	struct stat st;
	int e, fd;

	if (stat(o->path, &st) && errno == ENOENT) {
		fd = open(o->path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666);
		if (fd < 0)
			return err_sys(err, -errno, "cannot create '%s'", o->path);
		close(fd);
		o->created = true;
	}
	e = dev_open(o->path, DEV_WRITE, &o->io, err);
	if (e < 0)
		return e;
	if (fstat(o->io->fd, &st))
		return err_sys(err, -errno, "cannot look at '%s'", o->path);
	if (S_ISREG(st.st_mode))
		return empty_file(o, len, err);
	if (o->io->size < len)
		return err_set(err, -ERANGE, "'%s' is too small: needs %llu bytes, has %llu", o->path,
			       (unsigned long long)len, (unsigned long long)o->io->size);
	return 0;
}

/* What the file lacks cannot be an error: other tools have packed so. */
static void note_losses(struct cli *cli, const struct unpack_stats *st)
{
	if (!st->has_superblock)
		cli_note(cli, "the packed file holds no superblock (block 0); was it cut off?");
	else if (st->nr_blocks + COUNT_SLACK < st->nr_allocated)
		cli_note(cli,
			 "the packed file holds %llu blocks, but its superblock counts %llu in use: it "
			 "has been cut off, or packed by a tool that lost some",
			 (unsigned long long)st->nr_blocks, (unsigned long long)st->nr_allocated);
}

static int confirm(const char *path, struct err *err)
{
	int e = occupied_by_metadata(path, err);

	if (!e)
		return occupied_check(path, FOR_METADATA, err);
	if (e < 0 ||
	    cli_confirm("The destination appears to already contain metadata, are you sure?"))
		return MIN(e, 0);
	return err_set(err, -EINVAL, "Output file not overwritten");
}

static int run(struct cli *cli, const char *input, struct output *o, bool force, struct err *err)
{
	struct unpack_stats stats;
	struct pack_header head;
	struct jobs *jobs = NULL;
	struct io *in;
	int e = dev_open(input, DEV_SHARED | DEV_BUFFERED, &in, err);

	if (e < 0)
		return e;
	e = pack_read_header(in, &head, err);
	if (!e && !force)
		e = confirm(o->path, err);
	if (!e)
		e = open_output(o, head.nr_blocks * MBLOCK_SIZE, err);
	if (!e) {
		jobs = jobs_new(in->size > 1 << 20 ? 0 : 1);
		e = jobs ? unpack_file(in, &head, o->io, o->zeroed, jobs, &stats, err) :
			   err_nomem(err, "threads");
	}
	if (!e)
		note_losses(cli, &stats);
	jobs_free(jobs);
	io_free(in);
	io_free(o->io);
	if (e < 0 && o->created)
		unlink(o->path);
	return e;
}

int main(int argc, char **argv)
{
	const char *input = NULL;
	struct output o = { 0 };
	struct err err = { 0 };
	bool force = false;
	struct cli cli;
	int id, e;

	cli_init(&cli, &command, argc, argv);
	while ((id = cli_next(&cli))) {
		if (id == 'i')
			input = cli.arg;
		else if (id == 'o')
			o.path = cli.arg;
		else
			force = true;
	}
	if (!input)
		cli_usage_error(&cli, "No input file provided.");
	if (!o.path)
		cli_usage_error(&cli, "No output file provided.");
	if (dev_same(input, o.path))
		cli_usage_error(&cli, "'%s' is input and output", input);
	e = run(&cli, input, &o, force, &err);
	return cli_finish(&cli, e < 0 ? cli_fail(&cli, e, &err) : EXIT_DONE);
}
