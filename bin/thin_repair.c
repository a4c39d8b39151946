/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* thin_repair: makes sound metadata from damaged metadata. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text/parse.h"
#include "cli/cli.h"
#include "cli/progress.h"
#include "dev/dev.h"
#include "pool/build/build.h"
#include "pool/format/format.h"
#include "pool/report/report.h"
#include "volume/guard/meta_out.h"
#include "volume/open/pool_live.h"
#include "volume/open/pool_lvm.h"
#include "volume/open/pool_salvage.h"

enum {
	OPT_TRANSACTION = 256,
	OPT_BLOCK_SIZE,
	OPT_NR_BLOCKS,
	OPT_VG_BACKUP,
	OPT_DATA_DEV,
	OPT_LIST_ROOTS,
	OPT_MAPPING_ROOT,
	OPT_DETAILS_ROOT,
	OPT_DRY_RUN,
	OPT_FORMAT,
	OPT_ACCEPT_LOSS,
	OPT_FORCE,
	OPT_SIZE,
	OPT_EXPLAIN,
	OPT_TAKE
};

static const struct opt opts[] = {
	{ 'i', "input", ARG_REQUIRED, "POOL", "damaged metadata device or file, a table file, or a disk with LVM",
	  'i' },
	{ 'o', "output", ARG_REQUIRED, "FILE",
	  "metadata device or file to write; it must exist and keeps its size; - is standard "
	  "output",
	  'o' },
	{ 0, "size", ARG_REQUIRED, "SIZE",
	  "create FILE with this size; auto: the size recommended for this pool", OPT_SIZE },
	{ 0, "dry-run", ARG_NONE, NULL, "print what would be recovered, write nothing",
	  OPT_DRY_RUN },
	{ 0, "accept-loss", ARG_NONE, NULL,
	  "exit with 0 when a result was written, even if mappings are lost",
	  OPT_ACCEPT_LOSS },
	{ 0, "force", ARG_NONE, NULL,
	  "overwrite FILE even if it holds something other than a pool",
	  OPT_FORCE },
	{ 'U', "force-share", ARG_NONE, NULL,
	  "read although another program is writing to the pool", 'U' },
	{ 'q', "quiet", ARG_NONE, NULL, "print nothing, only set the exit status", 'q' },
	{ 0, "format", ARG_REQUIRED, "text|json", "json: print the report on stdout", OPT_FORMAT },
	{ 0, "transaction-id", ARG_REQUIRED, "N", "the pool's transaction id", OPT_TRANSACTION },
	{ 0, "data-block-size", ARG_REQUIRED, "SECTORS", "the pool's block size", OPT_BLOCK_SIZE },
	{ 0, "nr-data-blocks", ARG_REQUIRED, "N", "the pool's number of data blocks",
	  OPT_NR_BLOCKS },
	{ 0, "vg-backup", ARG_REQUIRED, "FILE",
	  "take values that the superblock lost from LVM's backup FILE (--pool names the pool in "
	  "it)",
	  OPT_VG_BACKUP },
	{ 0, "data-dev", ARG_REQUIRED, "DEV", "take the number of data blocks from DEV",
	  OPT_DATA_DEV },
	{ 0, "explain", ARG_NONE, NULL, "explain why each orphaned node was put where it is", OPT_EXPLAIN },
	{ 0, "list-roots", ARG_NONE, NULL, "list all roots found on the device", OPT_LIST_ROOTS },
	{ 0, "mapping-root", ARG_REQUIRED, "BLOCK", "use this block as the root of the top-level mapping tree",
	  OPT_MAPPING_ROOT },
	{ 0, "details-root", ARG_REQUIRED, "BLOCK", "use this block as the device details root",
	  OPT_DETAILS_ROOT },
	{ 0, "take", ARG_REQUIRED, "DEV=BLOCK",
	  "use the tree at this block for device DEV, even against other evidence; can be "
	  "repeated",
	  OPT_TAKE },
	{ 0 },
};

static const struct command command = {
	.name = "thin_repair",
	.usage = "-i POOL -o FILE [options]",
	.summary = "Recovers a thin pool's damaged metadata and writes the result into FILE.",
	.notes = "The exit status is 0 when all mappings of all devices are back. It is 1 with "
		 "a\nusable FILE when mappings are lost, or may be: standard error names them. It "
		 "is\n1 with nothing written when nothing could be recovered.",
	.opts = opts,
	.max_args = 1, /* LVM passes an empty word */
	.takes_pool = true,
	.shows_progress = true,
};

struct repair {
	struct cli cli;
	const char *input, *output;
	bool list_roots, dry_run, json, accept_loss, force;
	uint64_t size;
	struct salvage_take *take; /* room for as many as there are arguments */
	struct pool_salvage_options opt;
};

static void parse_take(struct repair *r)
{
	struct salvage_options *o = &r->opt.salvage;
	const char *equal = strchr(r->cli.arg, '=');
	struct salvage_take t = { 0 };
	char id[16];
	int e = -EINVAL;

	if (equal && (size_t)(equal - r->cli.arg) < sizeof(id)) {
		snprintf(id, sizeof(id), "%.*s", (int)(equal - r->cli.arg), r->cli.arg);
		e = parse_u32(id, &t.dev_id, NULL);
		e = e ? e : parse_u64(equal + 1, &t.block, NULL);
	}
	if (e || t.dev_id > MAX_DEV_ID)
		cli_usage_error(&r->cli, "--take: '%s' must be DEV=BLOCK: a device id up to %u "
					 "and the block of its tree's root",
				r->cli.arg, MAX_DEV_ID);
	for (size_t i = 0; i < o->nr_take; i++)
		if (r->take[i].dev_id == t.dev_id)
			cli_usage_error(&r->cli, "--take: device %u is given twice", t.dev_id);
	r->take[o->nr_take++] = t;
	o->take = r->take;
}

static void parse_override(struct repair *r, int id)
{
	struct pool_overrides *o = &r->opt.salvage.given;
	struct cli *c = &r->cli;

	switch (id) {
	case OPT_TRANSACTION:
		o->has_transaction = true;
		o->transaction = cli_u64(c, "--transaction-id");
		break;
	case OPT_BLOCK_SIZE:
		o->has_data_block_size = true;
		o->data_block_size =
			cli_block_size(c, "--data-block-size", DATA_BLOCK_SECTORS_MIN, DATA_BLOCK_SECTORS_MAX);
		break;
	case OPT_NR_BLOCKS:
		o->has_nr_data_blocks = true;
		o->nr_data_blocks = cli_u64_at_most(c, "--nr-data-blocks", MAX_NR_DATA_BLOCKS);
		break;
	case OPT_MAPPING_ROOT:
		r->opt.salvage.has_mapping_root = true;
		r->opt.salvage.mapping_root = cli_u64(c, "--mapping-root");
		break;
	case OPT_DETAILS_ROOT:
		r->opt.salvage.has_details_root = true;
		r->opt.salvage.details_root = cli_u64(c, "--details-root");
		break;
	}
}

static void parse_option(struct repair *r, int id)
{
	struct cli *c = &r->cli;

	switch (id) {
	case 'i':
		r->input = c->arg;
		break;
	case 'o':
		r->output = c->arg;
		break;
	case 'U':
		r->opt.force_share = true;
		break;
	case 'q':
		c->quiet = true;
		break;
	case OPT_VG_BACKUP:
		r->opt.vg_backup = c->arg;
		break;
	case OPT_DATA_DEV:
		r->opt.data_dev = c->arg;
		break;
	case OPT_LIST_ROOTS:
		r->list_roots = true;
		break;
	case OPT_ACCEPT_LOSS:
		r->accept_loss = true;
		break;
	case OPT_SIZE:
		r->size = cli_size_or_auto(c, "--size", MBLOCK_SIZE);
		break;
	case OPT_TAKE:
		parse_take(r);
		break;
	case OPT_EXPLAIN:
		r->opt.salvage.explain = true;
		break;
	case OPT_FORCE:
		r->force = true;
		break;
	case OPT_DRY_RUN:
		r->dry_run = true;
		break;
	case OPT_FORMAT:
		r->json = cli_choice(c, "--format");
		break;
	default:
		parse_override(r, id);
	}
}

static void check_options(struct repair *r)
{
	struct cli *c = &r->cli;

	if (c->nr_args && *c->args[0])
		cli_note(c, "'%s' is ignored", c->args[0]);
	if (!r->input)
		cli_usage_error(c, "No input file provided.");
	cli_one_stdin(c, r->input, r->opt.vg_backup, "--vg-backup");
	if (!r->output && !r->list_roots && !r->dry_run)
		cli_usage_error(c, "No output file provided.");
	if (r->output)
		cli_output_is(c, r->output);
	if (r->json)
		cli_output_is(c, NULL);
	if (r->output && r->list_roots)
		cli_usage_error(c, "--list-roots cannot be used with -o: it only lists, and writes no pool");
	if (r->json && r->list_roots)
		cli_usage_error(c, "--format json cannot be used with --list-roots: the list is always text");
	if (r->list_roots && (r->opt.salvage.explain || r->size))
		cli_usage_error(c, "--list-roots cannot be used with %s: it only lists, and recovers nothing",
				r->size ? "--size" : "--explain");
	if (r->json && r->opt.salvage.explain)
		cli_usage_error(c, "--format json cannot be used with --explain: the explanation is always text");
	if (r->json && r->output && dev_is_standard(r->output) && !r->dry_run)
		cli_usage_error(c, "--format json cannot be used with -o -: both would be written to standard output");
}

/* "NAME: line" for each line of the report. */
static void print_lines(struct repair *r, const struct outbuf *text)
{
	const char *p = text->data, *end = p + text->len;

	while (p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		size_t len = nl ? (size_t)(nl - p) : (size_t)(end - p);

		cli_note(&r->cli, "%.*s", (int)len, p);
		p += len + 1;
	}
}

/* @saved: there is a result.  A report without memory for all of it is a failure, also when the pool is saved. */
static int print_report(struct repair *r, struct salvage *s, bool saved, struct err *err)
{
	bool verbose = r->cli.verbose || r->dry_run;
	struct outbuf out;
	int e = 0;

	outbuf_init(&out);
	if (r->json) {
		salvage_report_json(s, &out);
	} else {
		if (r->opt.salvage.explain)
			salvage_explain(s, &out);
		salvage_report(s, verbose, &out);
		salvage_report_sum(s, verbose, r->accept_loss && saved, &out);
	}
	if (out.error)
		e = err_nomem(err, "the report of what was saved");
	else if (r->json && !r->cli.quiet)
		cli_write(&r->cli, out.data, out.len);
	else if (out.len)
		print_lines(r, &out);
	outbuf_fini(&out);
	return e;
}

static int list_roots(struct cli *c, struct salvage *s, struct err *err)
{
	struct outbuf out;
	int e;

	outbuf_init(&out);
	e = salvage_list_roots(s, &out, err);
	if (!e && !out.len)
		e = err_set(err, -ENODATA, "no root of a pool's trees was found: is this a pool's "
					   "metadata device (LVM calls it VG/POOL_tmeta)?");
	if (!e)
		e = cli_write(c, out.data, out.len);
	outbuf_fini(&out);
	return e;
}

static int count(void *ctx, struct build_counts *n, struct err *err)
{
	struct events sink = { 0 };
	int e = build_count_new(&sink, err);

	if (!e)
		e = salvage_emit(ctx, NULL, &sink, err);
	if (!e)
		build_count_all(&sink, n);
	build_count_free(&sink);
	return e;
}

static int tell_all(void *ctx, const struct events *to, struct err *err)
{
	return salvage_emit(ctx, NULL, to, err);
}

/* Says that the output is too small before anything is written. */
static int check_size(struct salvage *s, const struct io *out, struct err *err)
{
	uint64_t has = MIN(out->size / MBLOCK_SIZE, MAX_METADATA_BLOCKS), needs;
	char text[sizeof(err->text)];
	struct salvage_totals t;
	struct build_counts n;
	int e;

	salvage_totals(s, &t);
	needs = build_blocks_around(salvage_nr_nodes(s) + salvage_nr_nodes(s) / 2 + 16, t.nr_devices,
				    t.nr_data_blocks, 0);
	if (needs <= has)
		return 0;
	e = count(s, &n, err);
	needs = e ? 0 : n.nr_blocks;
	if (!e && needs > has)
		return err_set(err, -ERANGE,
			       "output '%s' is too small: needs at least %llu blocks of 4096 bytes, has %llu; "
			       "nothing was written",
			       out->name, (unsigned long long)needs, (unsigned long long)has);
	if (!e && build_try(needs, has, tell_all, s, err)) {
		err_prefix(err, -ERANGE, "output '%s'", out->name);
		snprintf(text, sizeof(text), "%s", err->text);
		e = err_set(err, -ERANGE, "%.900s; nothing was written", text);
	}
	return e;
}

/* A dry run says what would be wrong with the output, and leaves it as it is. */
static int write_pool(struct repair *r, struct salvage *s, struct err *err)
{
	struct meta_out out;
	const struct build_options opt = { .note = cli_tell, .ctx = &r->cli, .mark = meta_out_mark(&out) };
	const struct meta_out_options out_opt = { .force = r->force,
						  .size = r->size,
						  .count = count,
						  .ctx = s,
						  .left = cli_take_left,
						  .left_ctx = &r->cli };
	struct events sink = { 0 };
	struct progress *bar;
	int e = meta_out_open(r->output, &out_opt, &out, err);

	if (e < 0)
		return e;
	e = check_size(s, out.io, err);
	if (r->dry_run) {
		meta_out_drop(&out);
		return e;
	}
	if (!e)
		e = build_new(out.io, &opt, &sink, err);
	if (!e) {
		meta_out_begins(&out);
		bar = progress_new(&r->cli, "writing", salvage_nr_nodes(s) * MBLOCK_SIZE);
		out.io->meter = progress_meter(bar);
		e = salvage_emit(s, NULL, &sink, err);
		build_free(&sink);
		out.io->meter = NULL;
		progress_free(bar);
	}
	return meta_out_close(&out, e, err);
}

/* 0: all mappings are back, or the loss is accepted; 1: mappings are lost, or may be; or -errno. */
static int repair(struct repair *r, struct err *err)
{
	struct salvage_totals totals = { 0 };
	struct pool_salvage p;
	struct progress *bar;
	int e;

	r->opt.vg_pool = r->cli.pool;
	r->opt.want = (struct pool_want) { CLI_WANT(&r->cli), .disk = pool_lvm_table, .live = pool_live_refuse,
					  .prints = r->list_roots || r->json, .output = r->output };
	r->opt.want.table.pool_of_several = r->opt.vg_backup; /* --pool names the pool in the backup, too */
	cli_left(&r->cli, "nothing was written");
	bar = progress_new(&r->cli, "reading", 0);
	r->opt.meter = progress_meter(bar);
	e = pool_salvage_open(r->input, &r->opt, &p, err);
	if (p.io)
		p.io->meter = NULL;
	progress_free(bar);

	const struct dev_role roles[] = {
		{ "input", p.arg.metadata },
		{ "output", dev_output_path(r->output) },
		{ "data device", r->opt.data_dev ? r->opt.data_dev :
				 p.arg.table	 ? p.arg.table->pool->data.path :
						   NULL },
		{ "table file", table_file(p.arg.table, r->input) },
		{ "standard output", r->json && r->output && !dev_is_standard(r->output) ? dev_output_path("-") : NULL },
	};
	if (!e)
		e = dev_roles_apart(roles, ARRAY_SIZE(roles), err);
	if (!e && r->output)
		e = pool_arg_apart(&p.arg, r->input,
				   &(struct dev_role) { "output", dev_output_path(r->output) },
				   err);
	if (p.salvage && r->list_roots) {
		e = list_roots(&r->cli, p.salvage, err);
		totals.mappings_back = true;
	} else if (!e) {
		if (r->output)
			e = write_pool(r, p.salvage, err);
		salvage_totals(p.salvage, &totals);
		if (!e)
			e = print_report(r, p.salvage, true, err);
	} else if (p.salvage && e == -EUCLEAN) {
		print_report(r, p.salvage, false, &(struct err){ 0 });
	}
	pool_salvage_close(&p);
	return e ? e : !totals.mappings_back && !r->accept_loss;
}

int main(int argc, char **argv)
{
	struct table *lines = NULL;
	struct repair r = { 0 };
	struct err err = { 0 };
	int id, e, code, end;

	cli_init(&r.cli, &command, argc, argv);
	r.take = calloc((size_t)argc + 1, sizeof(*r.take));
	if (!r.take) {
		err_nomem(&err, "arguments");
		return cli_finish(&r.cli, cli_fail(&r.cli, -ENOMEM, &err));
	}
	while ((id = cli_next(&r.cli)))
		parse_option(&r, id);
	check_options(&r);
	e = r.output ? table_open_line(r.output, &lines, &err) : 0;
	if (!e)
		e = repair(&r, &err);
	table_free(lines);
	free(r.take);
	code = e < 0 ? cli_fail(&r.cli, e, &err) : e ? EXIT_DAMAGE : EXIT_DONE;
	end = cli_finish(&r.cli, code);
	if (end != code && e >= 0 && r.output && !r.dry_run && !dev_is_standard(r.output))
		cli_note(&r.cli, "'%s' is complete: only the report could not be printed", r.output);
	return end;
}
