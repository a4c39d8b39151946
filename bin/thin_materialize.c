/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* thin_materialize [options] POOL DEVICE OUTPUT: a thin device as an image of its own. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/jobs.h"
#include "base/outbuf.h"
#include "base/parse.h"
#include "cli/cli.h"
#include "cli/progress.h"
#include "volume/copy/copy.h"
#include "volume/map/print.h"
#include "volume/open/volume.h"

enum {
	OPT_ORIGIN = 256,
	OPT_NO_ORIGIN,
	OPT_ORIGIN_FORMAT,
	OPT_DATA_DEV,
	OPT_SIZE,
	OPT_REPAIR,
	OPT_ACCEPT_LOSS,
	OPT_MAP,
	OPT_REFLINK,
	OPT_SPARSE,
	OPT_TARGET_IS_ZERO,
	OPT_VERIFY,
};

static const struct opt opts[] = {
	{ 0, "origin", ARG_REQUIRED, "DEV", "external origin: unmapped blocks are read from it", OPT_ORIGIN },
	{ 0, "origin-format", ARG_REQUIRED, "raw",
	  "use the origin's bytes unchanged, even if it looks like a qcow2, vmdk, ... image",
	  OPT_ORIGIN_FORMAT },
	{ 0, "no-origin", ARG_NONE, NULL, "ignore the table's external origin", OPT_NO_ORIGIN },
	{ 0, "data-dev", ARG_REQUIRED, "DEV", "data device, when POOL is not a table", OPT_DATA_DEV },
	{ 0, "size", ARG_REQUIRED, "SIZE", "size of the image: bytes, or 10G, 2097152s, ...", OPT_SIZE },
	{ 'm', "metadata-snap", ARG_OPTIONAL, "BLOCK", "read the held metadata snapshot of a live pool",
	  'm' },
	{ 0, "metadata-snapshot", ARG_OPTIONAL, "BLOCK", NULL, 'm' },
	{ 'U', "force-share", ARG_NONE, NULL, "read although another program is writing to the pool", 'U' },
	{ 0, "repair", ARG_NONE, NULL, "read damaged metadata, with the mappings that thin_repair would recover", OPT_REPAIR },
	{ 0, "accept-loss", ARG_NONE, NULL, "with --repair: exit with 0 whatever was lost",
	  OPT_ACCEPT_LOSS },
	{ 0, "map", ARG_OPTIONAL, "text|json", "print the extents instead of copying them", OPT_MAP },
	{ 0, "reflink", ARG_REQUIRED, "auto|always|never",
	  "share extents with the sources",
	  OPT_REFLINK },
	{ 0, "sparse", ARG_REQUIRED, "auto|always|never",
	  "leave holes: auto for unmapped blocks, always for zeros, too", OPT_SPARSE },
	{ 0, "target-is-zero", ARG_NONE, NULL, "the output device reads as zeros already",
	  OPT_TARGET_IS_ZERO },
	{ 'j', "jobs", ARG_REQUIRED, "N", "threads (default: the CPUs)", 'j' },
	{ 'p', "progress", ARG_NONE, NULL, NULL, 'p' }, /* shown without it, too */
	{ 'q', "quiet", ARG_NONE, NULL, "print no messages", 'q' },
	{ 0, "verify", ARG_NONE, NULL, "read the output back and compare", OPT_VERIFY },
	{ 'n', "dry-run", ARG_NONE, NULL, "say what would be copied, and write nothing", 'n' },
	{ 'f', "force", ARG_NONE, NULL,
	  "replace a file, or overwrite a device that holds data; given twice, also a device in use", 'f' },
	{ 0 },
};

static const struct command command = {
	.name = "thin_materialize",
	.usage = "[options] POOL DEVICE OUTPUT",
	.summary = "Writes the full content of a thin device, its external origin merged in, as "
		   "an image that needs no pool.",
	.notes = "POOL is a table file, a metadata device or file, or XML from thin_dump; DEVICE an id\n"
		 "or a NAME of the table; OUTPUT a file, a block device, or - for a stream.",
	.opts = opts,
	.min_args = 2,
	.max_args = 3,
	.missing = "POOL, DEVICE and OUTPUT are needed",
	.takes_pool = true,
	.shows_progress = true,
};

enum map_form { MAP_NONE, MAP_TEXT, MAP_JSON };

struct options {
	struct volume_options volume;
	bool accept_loss;
	struct copy_options copy;
	struct output_options output;
	enum map_form map;
	bool verify;
	unsigned jobs;
};

/* The position of the option's value in @words, which NULL ends. */
static int choice(struct cli *c, const char *option, const char *const *words)
{
	int i;

	for (i = 0; words[i]; i++)
		if (!strcmp(c->arg, words[i]))
			return i;
	cli_usage_error(c, "%s: invalid value '%s'", option, c->arg);
}

static const char *const when[] = { "auto", "always", "never", NULL };
static const char *const forms[] = { "text", "json", NULL };

static void read_option(struct cli *c, int id, struct options *o)
{
	switch (id) {
	case OPT_ORIGIN: o->volume.origin = c->arg; break;
	case OPT_ORIGIN_FORMAT:
		if (strcmp(c->arg, "raw"))
			cli_usage_error(c, "--origin-format: '%s' is not read here, only raw; qemu-nbd -r "
					   "-f %s makes a device of the image",
					c->arg, c->arg);
		o->volume.origin_raw = true;
		break;
	case OPT_NO_ORIGIN: o->volume.no_origin = true; break;
	case OPT_DATA_DEV: o->volume.data = c->arg; break;
	case OPT_SIZE:
		o->volume.size = cli_size(c, "--size");
		o->volume.has_size = true;
		break;
	case 'U':
		o->volume.force_share = true;
		break;
	case 'm':
		o->volume.snap = true;
		o->volume.snap_block = c->arg ? cli_u64(c, "--metadata-snap") : 0;
		break;
	case OPT_REPAIR: o->volume.repair = true; break;
	case OPT_ACCEPT_LOSS: o->accept_loss = true; break;
	case OPT_MAP:
		o->map = c->arg ? MAP_TEXT + (unsigned)choice(c, "--map", forms) : MAP_TEXT;
		break;
	case OPT_REFLINK: o->copy.reflink = (enum copy_reflink)choice(c, "--reflink", when); break;
	case OPT_SPARSE: o->copy.sparse = (enum copy_sparse)choice(c, "--sparse", when); break;
	case OPT_TARGET_IS_ZERO: o->output.target_is_zero = true; break;
	case 'j':
		o->jobs = (unsigned)MIN(cli_u64(c, "--jobs"), 1024u);
		if (!o->jobs)
			cli_usage_error(c, "--jobs: at least 1 is needed");
		break;
	case 'q': c->quiet = true; break;
	case OPT_VERIFY: o->verify = true; break;
	case 'n': o->output.dry_run = true; break;
	case 'f': o->output.force++; break;
	}
}

static void read_options(struct cli *c, struct options *o)
{
	int id;
	bool stream;

	while ((id = cli_next(c)))
		read_option(c, id, o);
	o->volume.pool = c->args[0];
	o->volume.device = c->args[1];
	o->volume.map_only = o->map;
	stream = c->nr_args == 3 && !strcmp(c->args[2], "-");
	if (!o->map && c->nr_args < 3)
		cli_usage_error(c, "%s", command.missing);
	if (o->map && c->nr_args == 3)
		cli_usage_error(c, "--map has no OUTPUT: unexpected argument '%s' found", c->args[2]);
	if (o->volume.origin && o->volume.no_origin)
		cli_usage_error(c, "--origin and --no-origin exclude each other");
	if (o->volume.repair && o->volume.snap)
		cli_usage_error(c, "--repair cannot be used with --metadata-snap");
	if (o->accept_loss && !o->volume.repair)
		cli_usage_error(c, "--accept-loss needs --repair");
	if (o->copy.reflink == REFLINK_ALWAYS && o->copy.sparse != SPARSE_AUTO)
		cli_usage_error(c, "--reflink=always shares holes and zeros as they are: it excludes "
				   "--sparse=always and --sparse=never");
	if (stream && o->verify)
		cli_usage_error(c, "--verify cannot read a stream back: name a file or device as OUTPUT");
	if (stream && o->copy.reflink == REFLINK_ALWAYS)
		cli_usage_error(c, "--reflink=always: a stream cannot share extents: name a file as OUTPUT");
}

static int print_map(struct cli *c, const struct options *o, const struct volume *v)
{
	const struct map_print p = { .json = o->map == MAP_JSON, .dev_id = v->dev_id,
				     .write = cli_take, .ctx = c };
	struct err err = { 0 };
	int r = map_print(&v->map, &p, &err);

	return cli_finish(c, r < 0 ? cli_fail(c, r, &err) : EXIT_DONE);
}

/* With --repair: what of the device was lost or rebuilt, before it is copied.  Is a mapping lost? */
static bool say_losses(struct cli *c, const struct options *o, struct volume *v)
{
	struct outbuf text;

	if (!v->saved.salvage && !v->nr_lost)
		return false;
	outbuf_init(&text);
	if (v->nr_lost) {
		volume_tell_lost(v, &text);
		outbuf_str(&text, ": the image has zeros there\n");
	}
	if (v->saved.salvage)
		salvage_report_device(v->saved.salvage, v->dev_id, o->accept_loss, &text);
	cli_error_lines(c, text.data, text.len);
	outbuf_fini(&text);
	return !o->accept_loss && (v->nr_lost || (v->saved.salvage &&
		!salvage_device_is_whole(v->saved.salvage, v->dev_id)));
}

static void say_plan(const struct volume *v, const char *output)
{
	printf("device %u, %" PRIu64 " bytes, to %s:\n", v->dev_id, v->map.size, output);
	printf("  %" PRIu64 " bytes from data device %s, in %" PRIu64 " extents\n", v->sum.data_bytes,
	       v->data_path, v->sum.nr_data_extents);
	if (v->origin_path)
		printf("  %" PRIu64 " bytes from external origin %s\n", v->sum.origin_bytes,
		       v->origin_path);
	printf("  %" PRIu64 " bytes of zeros\n", v->sum.zero_bytes);
}

static int watch_progress(void *ctx, uint64_t bytes, struct err *err)
{
	(void)err;
	progress_add(ctx, bytes);
	return 0;
}

static int copy(struct cli *c, struct options *o, struct volume *v, struct output *out,
		struct jobs *jobs, struct err *err)
{
	struct progress *bar = progress_new(c, "copying", v->map.size);
	int r;

	o->copy.data = v->data;
	o->copy.origin = v->origin;
	o->copy.progress = watch_progress;
	o->copy.progress_ctx = bar;
	r = copy_map(&v->map, out, &o->copy, jobs, err);
	progress_free(bar);
	if (!r)
		r = output_sync(out, err);
	if (!r && o->verify) {
		bar = progress_new(c, "verifying", v->map.size);
		o->copy.progress_ctx = bar;
		r = copy_verify(&v->map, out, &o->copy, jobs, err);
		progress_free(bar);
	}
	return r ? r : output_commit(out, err);
}

static const char *const left[] = {
	[OUTPUT_FILE] = "is as it was: no image was made",
	[OUTPUT_DEVICE] = "holds a part of the image",
	[OUTPUT_STREAM] = "got a part of the image",
};

static int write_output(struct cli *c, struct options *o, struct volume *v, struct jobs *jobs)
{
	const char *sources[] = { v->data_path, v->origin_path, v->arg->metadata, o->volume.pool };
	struct err err = { 0 };
	struct output out;
	int r;

	o->output.size = v->map.size;
	o->output.sources = sources;
	o->output.nr_sources = ARRAY_SIZE(sources);
	cli_left(c, "no image was made");
	r = output_open(c->args[2], &o->output, &out, &err);
	if (r < 0)
		return cli_fail(c, r, &err);
	if (o->output.dry_run) {
		say_plan(v, out.path);
		output_discard(&out);
		return cli_finish(c, EXIT_DONE);
	}
	cli_left(c, "'%s' %s", out.path, left[out.kind]);
	r = copy(c, o, v, &out, jobs, &err);
	output_discard(&out);
	if (r < 0) {
		cli_fail(c, r, &err);
		return r == -ENOMEM ? EXIT_IO : EXIT_DAMAGE;
	}
	return cli_finish(c, EXIT_DONE);
}

int main(int argc, char **argv)
{
	struct options o = { 0 };
	struct err err = { 0 };
	struct jobs *jobs;
	struct volume v;
	struct cli c;
	int r;

	cli_init(&c, &command, argc, argv);
	read_options(&c, &o);
	jobs = jobs_new(o.jobs);
	if (!jobs)
		cli_no_memory(&c, "threads");
	o.volume.want = (struct pool_want){ .pool = c.pool, .tell = cli_tell, .ctx = &c };
	r = volume_open(&v, &o.volume, jobs, &err);
	if (r < 0) {
		r = cli_fail(&c, r, &err);
	} else {
		bool lossy = say_losses(&c, &o, &v);

		if (!o.map)
			volume_notes(&v, cli_tell, &c);
		r = o.map ? print_map(&c, &o, &v) : write_output(&c, &o, &v, jobs);
		if (o.map && r == EXIT_DONE) /* behind the map, and not to a reader who has gone */
			volume_notes(&v, cli_tell, &c);
		if (r == EXIT_DONE && lossy)
			r = EXIT_DAMAGE;
		volume_close(&v);
	}
	jobs_free(jobs);
	return r;
}
