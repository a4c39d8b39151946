/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* thin_delta: what differs between two devices of a pool. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/outbuf.h"
#include "base/parse.h"
#include "cli/cli.h"
#include "pool/query/delta.h"
#include "volume/open/pool_source.h"

enum { OPT_THIN = 256, OPT_ROOT = 258, OPT_SNAP = 260, OPT_VERBOSE = 262, OPT_SKIP_SAME, OPT_JOBS };

static const struct opt opts[] = {
	{ 0, "thin1", ARG_REQUIRED, "DEVICE", "left: a device's id, or its NAME in the table",
	  OPT_THIN },
	{ 0, "snap1", ARG_REQUIRED, "DEVICE", NULL, OPT_THIN },
	{ 0, "root1", ARG_REQUIRED, "BLOCK", "left: the mapping tree at this metadata block",
	  OPT_ROOT },
	{ 0, "thin2", ARG_REQUIRED, "DEVICE", "right: likewise", OPT_THIN + 1 },
	{ 0, "snap2", ARG_REQUIRED, "DEVICE", NULL, OPT_THIN + 1 },
	{ 0, "root2", ARG_REQUIRED, "BLOCK", "right: likewise", OPT_ROOT + 1 },
	{ 'm', "metadata-snap", ARG_OPTIONAL, "BLOCK",
	  "read both devices from the metadata snapshot that a live pool holds (it must be at BLOCK)", 'm' },
	{ 0, "metadata-snapshot", ARG_OPTIONAL, "BLOCK", NULL, 'm' },
	{ 'U', "force-share", ARG_NONE, NULL, "read although another program is writing to the pool", 'U' },
	{ 0, "metadata-snap1", ARG_NONE, NULL, "read only the left device from that snapshot", OPT_SNAP },
	{ 0, "metadata-snap2", ARG_NONE, NULL, "read only the right device from that snapshot", OPT_SNAP + 1 },
	{ 0, "verbose", ARG_NONE, NULL, "print the data blocks, too", OPT_VERBOSE },
	{ 0, "skip-same", ARG_NONE, NULL,
	  "leave out equal blocks; parts that both devices share are not read", OPT_SKIP_SAME },
	{ 'f', "format", ARG_REQUIRED, "xml|json", "how to print the differences", 'f' },
	{ 'q', "quiet", ARG_NONE, NULL, "print no messages", 'q' },
	{ 0, "jobs", ARG_REQUIRED, "N", NULL, OPT_JOBS },
	{ 0 },
};

static const struct command command = {
	.name = "thin_delta",
	.usage = "--thin1 DEVICE --thin2 DEVICE [options] POOL",
	.summary = "Prints the differences between the mappings of two devices of a thin pool. POOL is "
		   "a metadata device or file, or a table file.",
	.opts = opts,
	.min_args = 1,
	.max_args = 1,
	.missing = "No input file provided.",
	.takes_pool = true,
};

struct side_arg {
	const char *device; /* or NULL */
	bool has_root, snap;
	mblock_t root;
	uint32_t dev_id;
};

struct diff {
	struct cli cli;
	struct pool_source_options source;
	struct pool_source src;
	struct side_arg side[2];
	bool verbose, json, skip_same;
	struct outbuf out;
	struct delta_range last; /* simple form: still growing; len 0: none */
	int group;		 /* verbose form: the kind that is open, -1: none */
	bool any;
};

static const char *const kind_names[] = { "same", "different", "left_only", "right_only" };

static int write_out(struct diff *d, bool all, struct err *err)
{
	int r;

	if (d->out.error)
		return err_nomem(err, "text");
	if (!all && d->out.len < 1 << 18)
		return 0;
	r = cli_write(&d->cli, d->out.data, d->out.len);
	outbuf_reset(&d->out);
	return r;
}

static void attr(struct outbuf *out, const char *name, uint64_t v)
{
	outbuf_str(out, " ");
	outbuf_str(out, name);
	outbuf_str(out, "=\"");
	outbuf_u64(out, v);
	outbuf_str(out, "\"");
}

static void xml_simple(struct diff *d, const struct delta_range *r)
{
	outbuf_str(&d->out, "    <");
	outbuf_str(&d->out, kind_names[r->kind]);
	attr(&d->out, "begin", r->begin);
	attr(&d->out, "length", r->len);
	outbuf_str(&d->out, "/>\n");
}

static void xml_end_group(struct diff *d)
{
	if (d->group >= 0) {
		outbuf_str(&d->out, "    </");
		outbuf_str(&d->out, kind_names[d->group]);
		outbuf_str(&d->out, ">\n");
	}
	d->group = -1;
}

static void xml_verbose(struct diff *d, const struct delta_range *r)
{
	if (d->group != (int)r->kind) {
		xml_end_group(d);
		d->group = (int)r->kind;
		outbuf_str(&d->out, "    <");
		outbuf_str(&d->out, kind_names[r->kind]);
		outbuf_str(&d->out, ">\n");
	}
	outbuf_str(&d->out, "      <range");
	attr(&d->out, "begin", r->begin);
	if (r->kind == DELTA_DIFFERENT) {
		attr(&d->out, "left_data_begin", r->left);
		attr(&d->out, "right_data_begin", r->right);
	} else {
		attr(&d->out, "data_begin", r->kind == DELTA_RIGHT_ONLY ? r->right : r->left);
	}
	attr(&d->out, "length", r->len);
	outbuf_str(&d->out, "/>\n");
}

static void json_range(struct diff *d, const struct delta_range *r)
{
	outbuf_printf(&d->out, "%s\n    { \"kind\": \"%s\", \"begin\": %" PRIu64
		      ", \"length\": %" PRIu64, d->any ? "," : "", kind_names[r->kind], r->begin,
		      r->len);
	if (d->verbose && r->kind != DELTA_RIGHT_ONLY)
		outbuf_printf(&d->out, ", \"left_data_begin\": %" PRIu64, r->left);
	if (d->verbose && r->kind != DELTA_LEFT_ONLY)
		outbuf_printf(&d->out, ", \"right_data_begin\": %" PRIu64, r->right);
	outbuf_str(&d->out, " }");
	d->any = true;
}

static void add_range(struct diff *d, const struct delta_range *r)
{
	if (d->json)
		json_range(d, r);
	else if (d->verbose)
		xml_verbose(d, r);
	else
		xml_simple(d, r);
}

static void end_last(struct diff *d)
{
	if (d->last.len)
		add_range(d, &d->last);
	d->last.len = 0;
}

/* Without --verbose neighbours of one kind become one, whatever their data blocks. */
static bool joins(const struct diff *d, const struct delta_range *a, const struct delta_range *b)
{
	if (!a->len || a->kind != b->kind || a->begin + a->len != b->begin)
		return false;
	return !d->verbose || ((a->kind == DELTA_RIGHT_ONLY || a->left + a->len == b->left) &&
			       (a->kind == DELTA_LEFT_ONLY || a->right + a->len == b->right));
}

static int take_ranges(void *ctx, const struct delta_range *r, size_t nr, struct err *err)
{
	struct diff *d = ctx;

	for (size_t i = 0; i < nr; i++) {
		if (joins(d, &d->last, &r[i])) {
			d->last.len += r[i].len;
			continue;
		}
		end_last(d);
		d->last = r[i];
	}
	return write_out(d, false, err);
}

static void begin(struct diff *d, const struct metadata *md)
{
	static const char *const names[2][2] = { { "left", "left_root" },
						 { "right", "right_root" } };
	struct outbuf *out = &d->out;

	if (d->json) {
		outbuf_printf(out, "{\n  \"time\": %" PRIu32 ",\n  \"transaction\": %" PRIu64
			      ",\n  \"data_block_size\": %" PRIu32 ",\n  \"nr_data_blocks\": %" PRIu64,
			      md->view.time, md->view.transaction_id, md->view.data_block_size,
			      md->nr_data_blocks);
	} else {
		outbuf_str(out, "<superblock uuid=\"\"");
		attr(out, "time", md->view.time);
		attr(out, "transaction", md->view.transaction_id);
		attr(out, "data_block_size", md->view.data_block_size);
		attr(out, "nr_data_blocks", md->nr_data_blocks);
		outbuf_str(out, ">\n  <diff");
	}
	for (unsigned i = 0; i < 2; i++) {
		const struct side_arg *s = &d->side[i];
		uint64_t v = s->has_root ? s->root : s->dev_id;

		if (d->json)
			outbuf_printf(out, ",\n  \"%s\": %" PRIu64, names[i][s->has_root], v);
		else
			attr(out, names[i][s->has_root], v);
	}
	outbuf_str(out, d->json ? ",\n  \"ranges\": [" : ">\n");
}

static int end(struct diff *d, struct err *err)
{
	end_last(d);
	if (d->json) {
		outbuf_str(&d->out, d->any ? "\n  ]\n}\n" : "]\n}\n");
	} else {
		xml_end_group(d);
		outbuf_str(&d->out, "  </diff>\n</superblock>"); /* and no newline: as callers know it */
	}
	return write_out(d, true, err);
}

static void tell_problem(void *ctx, const char *text)
{
	cli_error(ctx, "%s", text);
}

/* Finds the device's id: by its name in the table, or a number. */
static int find_device(struct diff *d, unsigned i, struct err *err)
{
	struct side_arg *s = &d->side[i];
	const struct table *t = d->src.arg.table;
	const struct table_thin *thin = t ? table_find(t, s->device) : NULL;

	if (thin) {
		s->dev_id = thin->dev_id;
		return 0;
	}
	if (!parse_u32(s->device, &s->dev_id, NULL))
		return 0;
	if (t)
		return err_set(err, -EINVAL, "%s has no device '%s'", t->path, s->device);
	return err_set(err, -EINVAL, "'%s' is not a device id; only a table file gives names",
		       s->device);
}

static int find_root(struct diff *d, unsigned i, const struct metadata *md, struct err *err)
{
	struct side_arg *s = &d->side[i];
	const struct metadata_device *dev;
	struct metadata_devices list;
	int r;

	if (s->has_root)
		return 0;
	r = find_device(d, i, err);
	if (r)
		return r;
	r = metadata_devices_read(md, &d->src.stream, &list, err);
	if (r)
		return r;
	dev = metadata_devices_find(&list, s->dev_id);
	if (dev && dev->has_root) {
		s->root = dev->root;
	} else {
		for (size_t k = 0; k < list.nr_kept; k++)
			tell_problem(&d->cli, list.problem[k]);
		r = err_set(err, -EINVAL, "Unable to find mapping tree for snap%u (%" PRIu32 ")",
			    i + 1, s->dev_id);
	}
	metadata_devices_fini(&list);
	return r;
}

static int diff_pool(struct diff *d, struct err *err)
{
	struct delta_options opt = {
		.skip_same = d->skip_same,
		.same_by_block = !d->verbose,
		.problem = tell_problem,
		.problem_ctx = &d->cli,
	};
	struct metadata_options held_opt = { .snap = true };
	struct metadata held = d->src.md;
	int r = 0;

	if (d->side[0].snap || d->side[1].snap)
		r = metadata_open(d->src.io, &held_opt, &held, err);
	for (unsigned i = 0; !r && i < 2; i++)
		r = find_root(d, i, d->side[i].snap ? &held : &d->src.md, err);
	if (r)
		return r;
	begin(d, &d->src.md);
	r = delta_compare(&d->src.md, &d->src.stream, d->side[0].root, d->side[1].root, &opt,
			  take_ranges, d, err);
	if (!r)
		return end(d, err);
	if (r == -EUCLEAN || r == -EIO) { /* what precedes the damage, without an end */
		end_last(d);
		(void)write_out(d, true, NULL);
	}
	return r;
}

static void parse_option(struct diff *d, int id)
{
	struct cli *c = &d->cli;

	switch (id) {
	case OPT_THIN:
	case OPT_THIN + 1:
		d->side[id - OPT_THIN].device = c->arg;
		break;
	case OPT_ROOT:
	case OPT_ROOT + 1:
		d->side[id - OPT_ROOT].root = cli_u64(c, "--root");
		d->side[id - OPT_ROOT].has_root = true;
		break;
	case OPT_SNAP:
	case OPT_SNAP + 1:
		d->side[id - OPT_SNAP].snap = true;
		break;
	case 'U':
		d->source.force_share = true;
		break;
	case 'm':
		d->source.metadata.snap = true;
		if (c->arg)
			d->source.metadata.snap_block = cli_u64(c, "--metadata-snap");
		break;
	case OPT_VERBOSE:
		d->verbose = true;
		break;
	case OPT_SKIP_SAME:
		d->skip_same = true;
		break;
	case 'f':
		d->json = !strcmp(c->arg, "json");
		if (!d->json && strcmp(c->arg, "xml"))
			cli_usage_error(c, "unknown format '%s': it must be xml or json", c->arg);
		break;
	case 'q':
		c->quiet = true;
		break;
	case OPT_JOBS:
		d->source.nr_jobs = (unsigned)MIN(cli_u64(c, "--jobs"), 256);
		break;
	}
}

static void check_sides(struct diff *d)
{
	for (unsigned i = 0; i < 2; i++) {
		const struct side_arg *s = &d->side[i];

		if (!s->device && !s->has_root)
			cli_usage_error(&d->cli, "--thin%u or --root%u not specified", i + 1, i + 1);
		if (s->device && s->has_root)
			cli_usage_error(&d->cli, "--thin%u cannot be used with --root%u", i + 1,
					i + 1);
		if (s->snap && (s->has_root || d->source.metadata.snap))
			cli_usage_error(&d->cli, "--metadata-snap%u cannot be used with %s", i + 1,
					s->has_root ? "a root" : "--metadata-snap");
	}
}

int main(int argc, char **argv)
{
	struct diff d = { .group = -1 };
	struct err err = { 0 };
	int id, r;

	cli_init(&d.cli, &command, argc, argv);
	while ((id = cli_next(&d.cli)))
		parse_option(&d, id);
	check_sides(&d);
	outbuf_init(&d.out);
	d.source.want = (struct pool_want){ .pool = d.cli.pool,
					    .device = { d.side[0].device, d.side[1].device },
					    .tell = cli_tell,
					    .ctx = &d.cli };
	r = pool_source_open(d.cli.args[0], &d.source, &d.src, &err);
	if (!r)
		r = diff_pool(&d, &err);
	outbuf_fini(&d.out);
	pool_source_close(&d.src);
	return cli_finish(&d.cli, r ? cli_fail(&d.cli, r, &err) : EXIT_DONE);
}
