/* SPDX-License-Identifier: GPL-2.0-or-later */
/* thin_metadata_pack: metadata into a small file, to keep or to send. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "cli/cli.h"
#include "dev/dev.h"
#include "pool/occupied.h"
#include "pool/pack.h"

static const struct opt opts[] = {
	{ 'i', "input", ARG_REQUIRED, "DEV", "metadata device or file to pack", 'i' },
	{ 'o', "output", ARG_REQUIRED, "FILE", "file to make; - is standard output", 'o' },
	{ 'f', "force", ARG_NONE, NULL, "overwrite metadata without asking", 'f' },
	{ 0 },
};

static const struct command command = {
	.name = "thin_metadata_pack",
	.usage = "-i DEV -o FILE [-f]",
	.summary = "Packs a thin pool's metadata into a small file, block by block and damage included.",
	.notes = "thin_metadata_unpack gives back the same bytes.",
	.opts = opts,
};

struct output {
	const char *path; /* what the user named */
	char *target;	  /* that, symbolic links followed */
	char *temp;	  /* takes the place of target when complete; NULL: written directly */
	int fd;
};

static void output_fini(struct output *o)
{
	if (o->temp)
		unlink(o->temp);
	if (o->fd >= 0)
		close(o->fd);
	free(o->temp);
	free(o->target);
}

/* A new file beside the old one, with the old one's permissions. */
static int open_temp(struct output *o, const struct stat *old, struct err *err)
{
	mode_t mask = umask(0);

	umask(mask);
	o->target = old ? realpath(o->path, NULL) : strdup(o->path);
	if (!o->target || asprintf(&o->temp, "%s.XXXXXX", o->target) < 0) {
		o->temp = NULL;
		return err_nomem(err, "output name");
	}
	o->fd = mkostemp(o->temp, O_CLOEXEC);
	if (o->fd < 0) {
		free(o->temp);
		o->temp = NULL;
		return err_sys(err, -errno, "cannot create '%s'", o->path);
	}
	if (fchmod(o->fd, old ? old->st_mode & 07777 : 0666 & ~mask))
		return err_sys(err, -errno, "cannot set the mode of '%s'", o->path);
	return 0;
}

static int open_output(struct output *o, struct err *err)
{
	struct stat st;

	if (!strcmp(o->path, "-")) {
		o->fd = dup(STDOUT_FILENO);
		return o->fd < 0 ? err_sys(err, -errno, "standard output") : 0;
	}
	if (stat(o->path, &st))
		return errno == ENOENT ? open_temp(o, NULL, err) :
					 err_sys(err, -errno, "cannot write to '%s'", o->path);
	if (S_ISBLK(st.st_mode) || S_ISDIR(st.st_mode))
		return err_set(err, -ENODEV, "Invalid output file: '%s' is not a regular file",
			       o->path);
	if (S_ISREG(st.st_mode))
		return open_temp(o, &st, err);
	o->fd = open(o->path, O_WRONLY | O_CLOEXEC);
	return o->fd < 0 ? err_sys(err, -errno, "cannot open '%s'", o->path) : 0;
}

static int complete_output(struct output *o, struct err *err)
{
	if (fsync(o->fd) && errno != EINVAL && errno != EROFS)
		return err_sys(err, -errno, "cannot write to '%s'", o->path);
	if (!o->temp)
		return 0;
	if (rename(o->temp, o->target))
		return err_sys(err, -errno, "cannot create '%s'", o->path);
	free(o->temp);
	o->temp = NULL;
	return 0;
}

static int check_input(struct io *in, struct err *err)
{
	CLEANUP(free_ptr) char *block = io_alloc(MBLOCK_SIZE);
	size_t len = MIN(in->size, MBLOCK_SIZE);
	int e;

	if (!block)
		return err_nomem(err, "superblock");
	e = io_read(in, block, len, 0, err);
	if (e < 0)
		return e;
	if (len >= 11 && (!memcmp(block, "<superblock", 11) || !memcmp(block, "<?xml", 5)))
		return err_set(err, -EINVAL,
			       "This looks like XML.  This tool only supports the binary metadata "
			       "format.");
	if (len < MBLOCK_SIZE)
		return err_set(err, -EINVAL,
			       "Metadata device/file too small.  Is this binary metadata?");
	return 0;
}

static int run(const char *input, struct output *o, struct err *err)
{
	struct jobs *jobs = NULL;
	struct io *in;
	int e = dev_open(input, 0, &in, err);

	if (e < 0)
		return e;
	e = check_input(in, err);
	if (!e)
		e = open_output(o, err);
	if (!e) {
		/* a group is a job: smaller metadata starts no thread */
		jobs = jobs_new(in->size > 4 << 20 ? 0 : 1);
		e = jobs ? pack(in, o->fd, o->path, jobs, err) : err_nomem(err, "threads");
	}
	if (!e)
		e = complete_output(o, err);
	jobs_free(jobs);
	io_free(in);
	return e;
}

static int confirm(const char *path, struct err *err)
{
	char what[100];
	int e = occupied_by(path, what, sizeof(what), err);

	if (e == 1)
		e = cli_confirm("The destination appears to already contain %s, are you sure?", what) ?
			    0 :
			    err_set(err, -EINVAL, "Output file not overwritten");
	return e;
}

int main(int argc, char **argv)
{
	struct output o = { .fd = -1 };
	const char *input = NULL;
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
	e = force ? 0 : confirm(o.path, &err);
	if (!e)
		e = run(input, &o, &err);
	output_fini(&o);
	return cli_finish(&cli, e < 0 ? cli_fail(&cli, e, &err) : EXIT_DONE);
}
