/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* thin_materialize [options] POOL DEVICE OUTPUT: a thin device as an image of its own. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/jobs.h"
#include "base/text/outbuf.h"
#include "base/text/parse.h"
#include "cli/cli.h"
#include "cli/progress.h"
#include "pool/report/report.h"
#include "volume/image/make.h"
#include "volume/map/print.h"
#include "volume/open/pool_live.h"
#include "volume/open/pool_lvm.h"
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
	OPT_SINCE,
	OPT_SINCE_METADATA,
	OPT_SINCE_SIZE,
	OPT_NO_CHECK_BASE,
	OPT_BACKING,
	OPT_FROM_SNAP,
	OPT_TO_SNAP,
	OPT_DIGEST,
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
	{ 0, "accept-loss", ARG_NONE, NULL, "with --repair: exit with 0 even if mappings are lost",
	  OPT_ACCEPT_LOSS },
	{ 0, "map", ARG_OPTIONAL, "text|json", "print the extents instead of copying them", OPT_MAP },
	{ 0, "reflink", ARG_REQUIRED, "auto|always|never",
	  "share extents with the sources (reflink)",
	  OPT_REFLINK },
	{ 0, "sparse", ARG_REQUIRED, "auto|always|never",
	  "leave holes: auto for unmapped blocks, always also for zeros", OPT_SPARSE },
	{ 'O', "format", ARG_REQUIRED, "raw|qcow2|rbd-diff", "format of OUTPUT (default: raw)", 'O' },
	{ 0, "backing", ARG_REQUIRED, "FILE[,FORMAT]",
	  "qcow2: write only what differs from FILE, the image of BASE or of the external origin", OPT_BACKING },
	{ 'c', "compress", ARG_OPTIONAL, "deflate|zstd", "qcow2: compress (default: deflate)", 'c' },
	{ 0, "since", ARG_REQUIRED, "BASE",
	  "write what differs from device BASE: raw updates OUTPUT, an image of BASE", OPT_SINCE },
	{ 0, "since-metadata", ARG_REQUIRED, "FILE",
	  "read BASE's mappings from FILE, an older dump",
	  OPT_SINCE_METADATA },
	{ 0, "since-size", ARG_REQUIRED, "SIZE", "size of BASE, if no table gives it",
	  OPT_SINCE_SIZE },
	{ 0, "no-check-base", ARG_NONE, NULL, "do not check that the image of BASE matches BASE",
	  OPT_NO_CHECK_BASE },
	{ 0, "from-snap", ARG_REQUIRED, "NAME", "rbd-diff: name of the first snapshot (default: BASE)",
	  OPT_FROM_SNAP },
	{ 0, "to-snap", ARG_REQUIRED, "NAME", "rbd-diff: name of the last snapshot (default: DEVICE)", OPT_TO_SNAP },
	{ 0, "digest", ARG_NONE, NULL, "print the SHA-256 of DEVICE's content, and of BASE's", OPT_DIGEST },
	{ 0, "target-is-zero", ARG_NONE, NULL, "the output device already reads as zeros",
	  OPT_TARGET_IS_ZERO },
	{ 'j', "jobs", ARG_REQUIRED, "N", "threads (default: the CPUs)", 'j' },
	{ 'p', "progress", ARG_NONE, NULL, NULL, 'p' }, /* has no effect: it is shown anyway */
	{ 'q', "quiet", ARG_NONE, NULL, "print no messages", 'q' },
	{ 0, "verify", ARG_NONE, NULL, "read the output back and compare", OPT_VERIFY },
	{ 'n', "dry-run", ARG_NONE, NULL, "print what would be copied, write nothing", 'n' },
	{ 'f', "force", ARG_NONE, NULL,
	  "replace a file, or overwrite a device that holds data; given twice, also a device in use", 'f' },
	{ 0 },
};

static const struct command command = {
	.name = "thin_materialize",
	.usage = "[options] POOL DEVICE OUTPUT",
	.summary = "Writes the full content of a thin device, its external origin merged in, as "
		   "an image that needs no pool.",
	.notes = "POOL is a table file, a disk with LVM or an image of one, a metadata device or file, or XML from thin_dump; DEVICE an id\n"
		 "or a NAME of the table; OUTPUT a file, a block device, or - for a stream.",
	.opts = opts,
	.min_args = 1,
	.max_args = 3,
	.missing = "POOL, DEVICE and OUTPUT are needed",
	.takes_pool = true,
	.takes_active = true,
	.shows_progress = true,
};

enum map_form { MAP_NONE, MAP_TEXT, MAP_JSON };

struct options {
	struct volume_options volume;
	struct since_options since;
	struct make_options make;
	const char *to; /* OUTPUT */
	bool accept_loss;
	enum map_form map;
	unsigned jobs;
};

static enum compression read_compression(struct cli *c)
{
	enum compression kind = COMPRESS_DEFLATE + (c->arg ? cli_choice(c, "--compress") : 0);

	if (!compression_is_linked(kind))
		cli_usage_error(c, "--compress=zstd: this program was built without libzstd: use deflate");
	return kind;
}

static void read_image_option(struct cli *c, int id, struct options *o)
{
	switch (id) {
	case 'O':
		o->make.format = (enum make_format)cli_choice(c, "--format");
		break;
	case OPT_BACKING: o->make.backing = c->arg; break;
	case 'c': o->make.compress = read_compression(c); break;
	case OPT_SINCE: o->since.base = c->arg; break;
	case OPT_SINCE_METADATA: o->since.metadata = c->arg; break;
	case OPT_SINCE_SIZE:
		o->since.size = cli_size(c, "--since-size");
		o->since.has_size = true;
		break;
	case OPT_NO_CHECK_BASE: o->make.no_check_base = true; break;
	case OPT_FROM_SNAP: o->make.from_snap = c->arg; break;
	case OPT_TO_SNAP: o->make.to_snap = c->arg; break;
	case OPT_DIGEST: o->make.digest = true; break;
	case OPT_VERIFY: o->make.verify = true; break;
	case OPT_REFLINK:
		o->make.copy.reflink = (enum copy_reflink)cli_choice(c, "--reflink");
		break;
	case OPT_SPARSE:
		o->make.copy.sparse = (enum copy_sparse)cli_choice(c, "--sparse");
		break;
	case OPT_TARGET_IS_ZERO: o->make.output.target_is_zero = true; break;
	case 'n': o->make.output.dry_run = true; break;
	case 'f': o->make.output.force++; break;
	}
}

static void read_option(struct cli *c, int id, struct options *o)
{
	switch (id) {
	case OPT_ORIGIN: o->volume.origin = c->arg; break;
	case OPT_ORIGIN_FORMAT: o->volume.origin_raw = cli_origin_raw(c); break;
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
		o->map = c->arg ? MAP_TEXT + cli_choice(c, "--map") : MAP_TEXT;
		break;
	case 'j':
		o->jobs = (unsigned)MIN(cli_u64(c, "--jobs"), 1024u);
		if (!o->jobs)
			cli_usage_error(c, "--jobs: at least 1 is needed");
		break;
	case 'q': c->quiet = true; break;
	default: read_image_option(c, id, o);
	}
}

/* Refuses an option that cannot be used here. */
static void refuse(struct cli *c, bool given, const char *option, const char *why)
{
	if (given)
		cli_usage_error(c, "%s %s", option, why);
}

static void check_sparse(struct cli *c, const struct copy_options *copy, bool stream)
{
	if (copy->reflink == REFLINK_ALWAYS && copy->sparse != SPARSE_AUTO)
		cli_usage_error(c, "--reflink=always cannot be used with --sparse=always or "
				   "--sparse=never: shared holes and zeros stay as they are");
	if (stream && copy->reflink == REFLINK_ALWAYS)
		cli_usage_error(c, "--reflink=always: a stream cannot share extents: name a file as OUTPUT");
}

/* Refuses options that belong to another format of OUTPUT. */
static void check_format(struct cli *c, const struct options *o, bool stream)
{
	const struct make_options *m = &o->make;
	const bool since = o->since.base || o->since.metadata, updates = since && m->format == MAKE_RAW;
	const char *why = m->format == MAKE_RBD ? "cannot be used with --format rbd-diff" :
			  updates		? "cannot be used with --since, which updates OUTPUT" :
						  "cannot be used with --format qcow2";

	if (m->format != MAKE_QCOW2) {
		refuse(c, m->backing, "--backing", "needs --format qcow2");
		refuse(c, m->compress, "--compress", "needs --format qcow2");
	}
	refuse(c, m->from_snap && m->format != MAKE_RBD, "--from-snap", "needs --format rbd-diff");
	refuse(c, m->from_snap && !since, "--from-snap", "needs --since");
	refuse(c, m->to_snap && m->format != MAKE_RBD, "--to-snap", "needs --format rbd-diff");
	refuse(c, o->since.has_size && !since, "--since-size", "needs --since");
	refuse(c, m->no_check_base && !(since && !(m->format == MAKE_RBD)) && !m->backing, "--no-check-base",
	       "needs --since or --backing, which check an image");
	if (m->format == MAKE_RAW && !updates)
		return;
	refuse(c, m->output.target_is_zero, "--target-is-zero", why);
	refuse(c, m->copy.reflink == REFLINK_ALWAYS && (m->format != MAKE_QCOW2 || m->compress),
	       "--reflink=always", m->compress ? "cannot be used with --compress" : why);
	refuse(c, m->copy.sparse == SPARSE_NEVER && !updates, "--sparse=never", why);
	refuse(c, m->copy.sparse == SPARSE_ALWAYS && m->format == MAKE_RBD, "--sparse=always", why);
	refuse(c, m->verify && m->format == MAKE_RBD, "--verify", why);
	refuse(c, m->output.force && updates, "--force", why);
	if (stream && m->format == MAKE_QCOW2)
		cli_usage_error(c, "--format qcow2: its tables cannot be written to a stream: name a file as "
				   "OUTPUT");
	if (stream && updates)
		cli_usage_error(c, "--since updates an image that exists: name it as OUTPUT, or "
				   "write a stream with --format rbd-diff");
	if (m->format == MAKE_QCOW2 && since && !m->backing)
		cli_usage_error(c, "--format qcow2 with --since needs --backing FILE, the image of BASE");
}

static void check_map(struct cli *c, const struct options *o)
{
	const char *why = "cannot be used with --map, which writes no image";

	if (c->nr_args == 3)
		cli_usage_error(c, "--map has no OUTPUT: unexpected argument '%s' found", c->args[2]);
	refuse(c, o->make.format != MAKE_RAW, "--format", why);
	refuse(c, o->make.digest, "--digest", why);
	refuse(c, o->make.no_check_base, "--no-check-base", why);
	refuse(c, o->make.verify, "--verify", why);
	refuse(c, o->make.output.target_is_zero, "--target-is-zero", why);
	refuse(c, o->make.copy.reflink == REFLINK_ALWAYS || o->make.copy.sparse != SPARSE_AUTO, "--reflink or --sparse", why);
}

/* POOL DEVICE OUTPUT; without DEVICE where POOL is the device itself, which is active. */
static void read_arguments(struct cli *c, struct options *o)
{
	const int needed = o->map ? 2 : 3;

	o->volume.active = c->nr_args == needed - 1 && pool_live_may_be(c->args[0]);
	o->volume.active_force = o->make.output.force;
	if (c->nr_args < needed && !o->volume.active)
		cli_usage_error(c, "%s", command.missing);
	o->volume.pool = c->args[0];
	o->volume.device = o->volume.active ? NULL : c->args[1];
	o->to = o->map ? NULL : c->args[c->nr_args - 1];
	o->volume.map_only = o->map;
	o->volume.snap |= c->snap;
}

static void read_options(struct cli *c, struct options *o)
{
	int id;
	bool stream;

	while ((id = cli_next(c)))
		read_option(c, id, o);
	read_arguments(c, o);
	stream = o->to && !strcmp(o->to, "-");
	if (o->map)
		check_map(c, o);
	cli_output_is(c, o->to);
	cli_one_stdin(c, o->volume.pool, o->since.metadata, "--since-metadata");
	if (o->volume.origin && o->volume.no_origin)
		cli_usage_error(c, "--origin cannot be used with --no-origin");
	if (o->volume.repair && o->volume.snap)
		cli_usage_error(c, "--repair cannot be used with --metadata-snap");
	if (o->accept_loss && !o->volume.repair)
		cli_usage_error(c, "--accept-loss needs --repair");
	refuse(c, o->make.digest && o->make.output.dry_run, "--digest",
	       "cannot be used with --dry-run, which reads no data");
	if (stream && o->make.verify)
		cli_usage_error(c, "--verify cannot read a stream back: name a file or device as OUTPUT");
	check_sparse(c, &o->make.copy, stream);
	check_format(c, o, stream);
}

static int walk_changes(void *ctx, extent_fn *fn, void *fn_ctx, struct err *err)
{
	return diff_changes(ctx, fn, fn_ctx, err);
}

static int print_map(struct cli *c, const struct options *o, const struct volume *v, struct since *s)
{
	const struct map_print p = { .json = o->map == MAP_JSON, .dev_id = v->dev_id,
				     .walk = s->name ? walk_changes : NULL, .walk_ctx = &s->diff,
				     .since = s->name, .write = cli_take, .ctx = c };
	struct err err = { 0 };
	int r = map_print(&v->map, &p, &err);

	return cli_finish(c, r < 0 ? cli_fail(c, r, &err) : EXIT_DONE);
}

/* With --repair: says before the copy what of the device was lost or rebuilt.  True: a mapping is lost. */
static bool say_losses(struct cli *c, const struct options *o, struct volume *v, bool is_base)
{
	const bool since = o->since.base || o->since.metadata, lost = v->nr_lost && !is_base; /* not needed of a base */
	struct outbuf text;

	if (!v->saved.salvage && !lost)
		return false;
	outbuf_init(&text);
	if (lost) {
		volume_tell_lost(v, &text);
		outbuf_str(&text, since ? ": the image has zeros there, or what the base's image has\n" : ": the image has zeros there\n");
	}
	if (v->saved.salvage)
		salvage_report_device(v->saved.salvage, v->dev_id, o->accept_loss, &text);
	cli_error_lines(c, text.data, text.len);
	outbuf_fini(&text);
	return !o->accept_loss && (lost || (v->saved.salvage &&
		!salvage_device_is_whole(v->saved.salvage, v->dev_id)));
}

static void say_plan(const struct make *m)
{
	const struct volume *v = m->now;
	const struct diff_summary *d = &m->differs;

	if (v->other)
		printf("volume %s, %" PRIu64 " bytes, to %s:\n", v->other, v->map.size, m->out.path);
	else
		printf("device %u, %" PRIu64 " bytes, to %s:\n", v->dev_id, v->map.size, m->out.path);
	if (m->since->name)
		printf("  what differs from '%s':\n", m->since->name);
	printf("  %" PRIu64 " bytes from %s %s", d->data_bytes, v->other ? "volume" : "data device", v->data_path);
	if (!m->since->name)
		printf(", in %" PRIu64 " extents", v->sum.nr_data_extents);
	printf("\n");
	if (v->origin_path && m->backing.is_origin)
		printf("  %" PRIu64 " bytes of external origin %s stay in the backing file\n",
		       d->origin_bytes, v->origin_path);
	else if (v->origin_path)
		printf("  %" PRIu64 " bytes from external origin %s\n", d->origin_bytes, v->origin_path);
	printf("  %" PRIu64 " bytes of zeros\n", d->zero_bytes);
}

/* The bar of the step that is under way. */
struct watch {
	struct cli *cli;
	struct progress *bar;
};

static struct meter *begin_step(void *ctx, const char *title, uint64_t total)
{
	struct watch *w = ctx;

	progress_free(w->bar);
	w->bar = progress_new(w->cli, title, total);
	return progress_meter(w->bar);
}

/* Prints the digests: to standard error where standard output is the image. */
static void print_digests(struct cli *c, const struct make *m)
{
	FILE *to = strcmp(c->args[c->nr_args - 1], "-") ? stdout : stderr;

	if (*m->base_sha256)
		fprintf(to, "base-sha256 %s\n", m->base_sha256);
	if (*m->sha256)
		fprintf(to, "sha256 %s\n", m->sha256);
}

static const char *const left[] = {
	[OUTPUT_FILE] = "is unchanged: no image was made",
	[OUTPUT_DEVICE] = "holds only a part of the image",
	[OUTPUT_STREAM] = "got only a part of the image",
};

static int write_output(struct cli *c, struct options *o, struct volume *v, struct since *s,
			struct jobs *jobs)
{
	struct watch w = { .cli = c };
	struct err err = { 0 };
	struct make m;
	int r, end;

	o->make.step = begin_step;
	o->make.ctx = &w;
	cli_left(c, "no image was made");
	r = make_open(&m, o->to, o->volume.pool, o->volume.device, v, s, &o->make, jobs, &err);
	if (!r && o->make.output.dry_run) {
		progress_free(w.bar);
		say_plan(&m);
		make_close(&m);
		return cli_finish(c, EXIT_DONE);
	}
	if (r) {
		r = cli_fail(c, r, &err);
	} else {
		cli_left(c, "'%s' %s", m.out.path,
			 m.updates ? "is partly updated: run the same command again" : left[m.out.kind]);
		r = make_run(&m, jobs, &err);
		if (!r)
			cli_left(c, "the image is complete");
		print_digests(c, &m);
		if (r)
			cli_fail(c, r, &err);
		r = !r ? EXIT_DONE : r == -ENOMEM ? EXIT_IO : EXIT_DAMAGE;
	}
	progress_free(w.bar);
	make_close(&m);
	end = r == EXIT_DONE ? cli_finish(c, r) : r;
	if (end != r)
		cli_note(c, "'%s' is complete: only its digest could not be printed", o->to);
	return end;
}

static void say_notes(struct cli *c, const struct volume *v, const struct since *s)
{
	volume_notes(v, cli_tell, c);
	if (s->size_is_guess)
		cli_note(c, "note: the size of '%s' is a guess, %" PRIu64 " bytes: --since-size "
			    "gives its size",
			 s->name, s->base.map.size);
}

/* Does the work, once the command line is read and the device is open. */
static int run(struct cli *c, struct options *o, struct volume *v, struct jobs *jobs)
{
	bool lossy = say_losses(c, o, v, false);
	struct err err = { 0 };
	struct since s;
	int r = since_open(&s, v, &o->volume, &o->since, jobs, &err);

	if (r) {
		r = cli_fail(c, r, &err);
	} else {
		if (s.name && !s.diff.unsure)
			lossy |= say_losses(c, o, &s.base, true);
		if (!o->map)
			say_notes(c, v, &s);
		r = o->map ? print_map(c, o, v, &s) : write_output(c, o, v, &s, jobs);
		if (o->map && r == EXIT_DONE) /* after the map, unless its reader is gone */
			say_notes(c, v, &s);
	}
	since_close(&s);
	return r == EXIT_DONE && lossy ? EXIT_DAMAGE : r;
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
	o.volume.want = (struct pool_want) { CLI_WANT(&c), .disk = pool_lvm_table, .live = pool_live_table,
					     .table.other = table_other_line, .output = o.to };
	r = volume_open(&v, &o.volume, jobs, &err);
	if (r < 0) {
		r = cli_fail(&c, r, &err);
	} else {
		if (!o.volume.device)
			o.volume.device = v.line->name;
		r = run(&c, &o, &v, jobs);
		volume_close(&v);
	}
	jobs_free(jobs);
	return r;
}
