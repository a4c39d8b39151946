/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* thin_apply [options] TARGET | POOL DEVICE: the reverse of thin_materialize. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/sum/sha256.h"
#include "cli/cli.h"
#include "cli/progress.h"
#include "dev/dev.h"
#include "volume/apply/apply.h"
#include "volume/open/pool_live.h"
#include "volume/open/pool_lvm.h"
#include "volume/open/thin_io.h"

enum { OPT_TOP = 256, OPT_BASE_SHA256, OPT_SHA256, OPT_DATA_DEV, OPT_ORIGIN, OPT_ORIGIN_FORMAT };

static const struct opt opts[] = {
	{ 'i', "input", ARG_REQUIRED, "FILE", "the input (default: standard input)", 'i' },
	{ 'O', "format", ARG_REQUIRED, "raw|qcow2|rbd-diff",
	  "format of FILE (default: recognized from its first bytes)", 'O' },
	{ 0, "top", ARG_NONE, NULL,
	  "qcow2: write only the image's own clusters; TARGET already holds its backing file",
	  OPT_TOP },
	{ 0, "base-sha256", ARG_REQUIRED, "HEX", "SHA-256 of TARGET before anything is written", OPT_BASE_SHA256 },
	{ 0, "sha256", ARG_REQUIRED, "HEX", "SHA-256 of TARGET afterwards", OPT_SHA256 },
	{ 0, "data-dev", ARG_REQUIRED, "DEV", "data device, when POOL is not a table", OPT_DATA_DEV },
	{ 0, "origin", ARG_REQUIRED, "DEV", "external origin of DEVICE (default: the table's)", OPT_ORIGIN },
	{ 0, "origin-format", ARG_REQUIRED, "raw",
	  "use the origin's bytes unchanged, even if it looks like a qcow2, vmdk, ... image", OPT_ORIGIN_FORMAT },
	{ 'n', "dry-run", ARG_NONE, NULL, "check everything, write nothing", 'n' },
	{ 'f', "force", ARG_NONE, NULL,
	  "overwrite a block device that holds data, or a file that is not the bytes of a disk", 'f' },
	{ 'q', "quiet", ARG_NONE, NULL, "print no messages", 'q' },
	{ 0 },
};

static const struct command command = {
	.name = "thin_apply",
	.usage = "[options] TARGET | POOL DEVICE",
	.summary = "Applies an rbd diff, a qcow2 image or a raw image to a file, a block device or a "
		   "thin device of an inactive pool.",
	.notes = "TARGET is a raw image file or a block device; POOL a table file, a metadata device or\n"
		 "file, or a disk with LVM; DEVICE an id or a NAME of the table.",
	.opts = opts,
	.min_args = 1,
	.max_args = 2,
	.missing = "TARGET, or POOL and DEVICE, are needed",
	.takes_pool = true,
	.shows_progress = true,
};

struct options {
	const char *input;
	enum apply_format format;
	bool top;
	struct apply_options apply;
	struct place_options place;
};

static const char *read_digest(struct cli *c, const char *option)
{
	if (strlen(c->arg) != 2 * SHA256_LEN || strspn(c->arg, "0123456789abcdef") != 2 * SHA256_LEN)
		cli_usage_error(c, "%s: '%s' is not a SHA-256 in 64 digits 0-9a-f", option, c->arg);
	return c->arg;
}

static void read_options(struct cli *c, struct options *o)
{
	int id;

	while ((id = cli_next(c)))
		switch (id) {
		case 'i': o->input = c->arg; break;
		case 'O':
			o->format = APPLY_RAW + cli_choice(c, "--format");
			break;
		case OPT_TOP: o->top = true; break;
		case OPT_BASE_SHA256: o->apply.base_sha256 = read_digest(c, "--base-sha256"); break;
		case OPT_SHA256: o->apply.sha256 = read_digest(c, "--sha256"); break;
		case OPT_DATA_DEV: o->place.data = c->arg; break;
		case OPT_ORIGIN: o->place.origin = c->arg; break;
		case OPT_ORIGIN_FORMAT: o->place.origin_raw = cli_origin_raw(c); break;
		case 'n': o->apply.dry_run = true; break;
		case 'f': o->place.force = true; break;
		case 'q': c->quiet = true; break;
		}
	if (c->nr_args == 1 && (o->place.data || o->place.origin || o->place.origin_raw || cli_pool_option(c)))
		cli_usage_error(c, "%s needs POOL and DEVICE",
				cli_pool_option(c) ?: o->place.data ? "--data-dev" : o->place.origin ? "--origin" : "--origin-format");
	if (c->nr_args == 2)
		cli_one_stdin(c, c->args[0], o->input, "the input");
	if (o->top && o->format && o->format != APPLY_QCOW2)
		cli_usage_error(c, "--top needs a qcow2 image");
	if (o->apply.dry_run && o->apply.sha256)
		cli_usage_error(c, "--sha256 cannot be used with --dry-run, which writes no "
				   "result");
}

/* No file that is read may be one that is written. */
static int check_roles(const struct apply_source *s, const char *const *written, struct err *err)
{
	const char *from;
	int r = 0;

	for (size_t i = 0; !r && (from = apply_source_file(s, i)); i++)
		for (const char *const *to = written; !r && *to; to++) {
			const struct dev_role roles[] = { { "input", from }, { "target", *to } };

			r = dev_roles_apart(roles, ARRAY_SIZE(roles), err);
		}
	return r;
}

/* Before they are locked: our own lock on the input would look like another program's. */
static int check_pool_roles(const struct apply_source *s, struct pool_arg *arg, const char *data, struct err *err)
{
	struct table *t = arg->table;
	const char *found = data ? table_device_path(t, data) : t ? t->pool->data.path : NULL;

	return check_roles(s, (const char *[]){ arg->metadata, found, NULL }, err);
}

/* Bare metadata does not tell the external origin; a block that is written in part gets the rest from it. */
static void tell_no_origin(struct cli *c, const struct options *o, const struct pool_arg *arg)
{
	char text[300];

	if (c->nr_args != 2 || arg->table || o->place.origin)
		return;
	snprintf(text, sizeof(text), "note: %s is no table, so device %s is taken for one without an external origin: if it has "
		 "one, its bytes behind the image may change; --origin DEV names it", c->args[0], c->args[1]);
	cli_tell(c, text);
}

static int apply(struct cli *c, struct options *o, struct apply_source *s, struct pool_arg *arg,
		 struct err *err)
{
	struct place *p = NULL;
	struct progress *bar;
	int r, closed;

	o->place.size = apply_source_size(s);
	o->place.whole = apply_source_is_whole(s);
	o->place.dry_run = o->apply.dry_run;
	r = check_roles(s, (const char *[]){ c->args[0], NULL }, err);
	if (!r && c->nr_args == 2)
		r = check_pool_roles(s, arg, o->place.data, err);
	if (r)
		return r;
	r = c->nr_args == 2 ? place_open_thin(arg, c->args[1], &o->place, &p, err) :
			      place_open_raw(c->args[0], &o->place, &p, err);
	if (r)
		return r;
	r = check_roles(s, place_files(p), err);
	if (!r) {
		tell_no_origin(c, o, arg);
		bar = progress_new(c, "applying", apply_source_len(s));
		o->apply.meter = progress_meter(bar);
		o->apply.tell = cli_tell;
		o->apply.left = cli_take_left;
		o->apply.ctx = c;
		r = apply_run(s, p, &o->apply, err);
		progress_free(bar);
	}
	closed = place_close(p, r ? NULL : err);
	return r ? r : closed;
}

int main(int argc, char **argv)
{
	struct options o = { .input = "-" };
	struct cli c;
	struct pool_want want;
	struct apply_source *s = NULL;
	struct pool_arg arg = { 0 };
	struct err err = { 0 };
	int r;

	cli_init(&c, &command, argc, argv);
	read_options(&c, &o);
	want = (struct pool_want) { CLI_WANT(&c), .table.write = true, .disk = pool_lvm_table, .live = pool_live_refuse,
				   .table.open_thin = thin_io_open };
	cli_left(&c, "'%s' is unchanged", c.args[c.nr_args - 1]);
	r = apply_source_open(o.input, o.format, o.top, &s, &err);
	if (!r && c.nr_args == 2) {
		want.table.device[0] = c.args[1];
		r = pool_arg_open(c.args[0], &want, &arg, &err);
		if (!r && arg.kind == POOL_XML)
			r = err_set(&err, -EINVAL, "'%s' is XML: writing needs binary metadata", c.args[0]);
	}
	if (!r)
		r = apply(&c, &o, s, &arg, &err);
	pool_arg_fini(&arg);
	if (s)
		apply_source_close(s);
	return r ? cli_fail(&c, r, &err) : cli_finish(&c, EXIT_DONE);
}
