/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* thin_check: is a pool's metadata sound?  Read-only, unless asked to fix. */
#include <errno.h>
#include <string.h>

#include "base/jobs.h"
#include "cli/cli.h"
#include "cli/progress.h"
#include "dev/dev.h"
#include "pool/check/check.h"
#include "pool/check/fix.h"
#include "volume/open/pool_arg.h"
#include "volume/open/pool_live.h"
#include "volume/open/pool_lvm.h"

#define SHOWN_PER_KIND 10 /* the rest is counted; JSON has all */
#define JSON_PIECE     ((size_t)1 << 20) /* bytes that are written at once */
#define ULL(v)	       ((unsigned long long)(v))

enum {
	OPT_AUTO_REPAIR = 256,
	OPT_CLEAR_FLAG,
	OPT_IGNORE,
	OPT_SKIP,
	OPT_SB_ONLY,
	OPT_MAPPING_ROOT,
	OPT_DETAILS_ROOT,
	OPT_FORMAT,
};

static const struct opt opts[] = {
	{ 'q', "quiet", ARG_NONE, NULL, "print nothing, only set the exit status", 'q' },
	{ 'v', "verbose", ARG_NONE, NULL, "report what was examined", 'v' },
	{ 'm', "metadata-snap", ARG_OPTIONAL, "BLOCK",
	  "check only the metadata snapshot (the pool may be in use)", 'm' },
	{ 0, "metadata-snapshot", ARG_OPTIONAL, "BLOCK", NULL, 'm' },
	{ 'U', "force-share", ARG_NONE, NULL, "read although another program is writing to the pool", 'U' },
	{ 0, "auto-repair", ARG_NONE, NULL,
	  "free leaked blocks, correct counters, clear needs_check, if nothing worse is wrong",
	  OPT_AUTO_REPAIR },
	{ 0, "clear-needs-check-flag", ARG_NONE, NULL, "the same as --auto-repair",
	  OPT_CLEAR_FLAG },
	{ 0, "ignore-non-fatal-errors", ARG_NONE, NULL,
	  "exit with 0 when only metadata leaks or underfull nodes are found", OPT_IGNORE },
	{ 0, "skip-mappings", ARG_NONE, NULL,
	  "check only the lists of devices, not mappings or space maps",
	  OPT_SKIP },
	{ 0, "super-block-only", ARG_NONE, NULL, "check only the superblock", OPT_SB_ONLY },
	{ 0, "override-mapping-root", ARG_REQUIRED, "BLOCK", "use this block as the root of the top-level mapping tree",
	  OPT_MAPPING_ROOT },
	{ 0, "override-details-root", ARG_REQUIRED, "BLOCK",
	  "use this block as the device details root", OPT_DETAILS_ROOT },
	{ 0, "format", ARG_REQUIRED, "text|json", "json: all findings as one document on stdout",
	  OPT_FORMAT },
	{ 'j', "jobs", ARG_REQUIRED, "N", NULL, 'j' },
	{ 0 },
};

static const struct command cmd = {
	.name = "thin_check",
	.usage = "[options] POOL",
	.summary = "Checks the metadata of a thin pool. POOL is a metadata device or file, a table file, or a disk with LVM.",
	.notes = "Exit status: 0 sound, 1 damaged, 64 wrong usage, 74 cannot read or write.",
	.opts = opts,
	CLI_ONE_POOL,
	.shows_progress = true,
};

struct options {
	struct check_options check;
	bool auto_repair, clear_flag, ignore_non_fatal, json, force_share;
	unsigned nr_jobs;
};

/* "-m", "-m7", "-m=7"; also "-mq", because flags may be bundled. */
static void set_snap(struct cli *c, struct options *o)
{
	o->check.snap = true;
	if (!c->arg || !*c->arg)
		return;
	if (!strcmp(c->arg, "q"))
		c->quiet = true;
	else
		o->check.snap_block = cli_u64(c, "--metadata-snap");
}

#define USE_ROOTS "'thin_repair --mapping-root BLOCK --details-root BLOCK -i POOL -o FILE' uses the given roots"

static void check_conflicts(struct cli *c, const struct options *o)
{
	bool fix = o->auto_repair || o->clear_flag, roots = o->check.has_mapping_root || o->check.has_details_root;

	if (fix && o->check.snap)
		cli_usage_error(c, "cannot perform fix within metadata snap: leave out that option");
	if (fix && o->force_share)
		cli_usage_error(c, "cannot perform fix with --force-share: a fix needs the pool alone");
	if (fix && roots)
		cli_usage_error(c, "cannot perform fix with an overridden mapping root: %s", USE_ROOTS);
	if (o->auto_repair && (o->check.skip_mappings || o->check.super_block_only))
		cli_usage_error(c, "cannot perform fix without a full examination: leave out "
				   "--skip-mappings and --super-block-only");
	if (o->auto_repair && o->ignore_non_fatal)
		cli_usage_error(c, "cannot perform fix by ignoring non-fatal errors: leave out "
				   "--ignore-non-fatal-errors");
	if (roots && o->check.super_block_only)
		cli_note(c, "note: --super-block-only reads no root: the override is not used");
}

static void parse(struct cli *c, struct options *o, int argc, char **argv)
{
	int id;

	cli_init(c, &cmd, argc, argv);
	while ((id = cli_next(c))) {
		switch (id) {
		case 'q':
			c->quiet = true;
			break;
		case 'v':
			c->verbose++;
			break;
		case 'U':
			o->force_share = true;
			break;
		case 'm':
			set_snap(c, o);
			break;
		case OPT_AUTO_REPAIR:
			o->auto_repair = true;
			break;
		case OPT_CLEAR_FLAG:
			o->clear_flag = true;
			break;
		case OPT_IGNORE:
			o->ignore_non_fatal = true;
			break;
		case OPT_SKIP:
			o->check.skip_mappings = true;
			break;
		case OPT_SB_ONLY:
			o->check.super_block_only = true;
			break;
		case OPT_MAPPING_ROOT:
			o->check.has_mapping_root = true;
			o->check.mapping_root = cli_u64(c, "--override-mapping-root");
			break;
		case OPT_DETAILS_ROOT:
			o->check.has_details_root = true;
			o->check.details_root = cli_u64(c, "--override-details-root");
			break;
		case OPT_FORMAT:
			o->json = cli_choice(c, "--format");
			break;
		case 'j':
			o->nr_jobs = (unsigned)MIN(cli_u64(c, "--jobs"), (uint64_t)1024);
			break;
		}
	}
	o->check.snap |= c->snap; /* --take-metadata-snap */
	if (o->json && c->progress_fd == 1)
		cli_usage_error(c, "--progress-fd 1 is standard output");
	check_conflicts(c, o);
}

static uint64_t metadata_free(const struct superblock *sb)
{
	uint64_t nr = sb->metadata_sm.nr_blocks;

	return nr - MIN(nr, sb->metadata_sm.nr_allocated);
}

/* The two lines that callers read, and each finding as a line on stderr. */
static void print_text(struct cli *c, const struct options *o, const struct check_result *r)
{
	bool no_view = false; /* the requested metadata snapshot cannot be read at all */

	for (size_t i = 0; i < r->findings.nr; i++)
		no_view |= o->check.snap && r->findings.f[i].kind == FOUND_HELD;
	if (r->has_sb && !no_view)
		printf("TRANSACTION_ID=%llu\nMETADATA_FREE_BLOCKS=%llu\n",
		       ULL(r->sb.transaction_id), ULL(metadata_free(&r->sb)));
	findings_tell(&r->findings, SHOWN_PER_KIND, cli_tell, c);
	if (r->findings.other_roots && r->findings.nr)
		cli_tell(c, USE_ROOTS);
	if (r->has_sb && r->sb.flags & THIN_NEEDS_CHECK)
		cli_note(c, "note: the needs_check flag is set: the kernel opens the pool read-only "
			    "until 'thin_check --clear-needs-check-flag POOL' clears it");
}

/* The findings can be larger than the memory: each may name all devices. */
static void print_findings(struct cli *c, const struct findings *fs, struct json *j)
{
	json_list(j, "findings", JSON_LINES);
	for (size_t i = 0; i < fs->nr && !c->output_error; i++) {
		finding_json(fs, &fs->f[i], j);
		if (j->out->len >= JSON_PIECE && !cli_write_text(c, j->out))
			outbuf_reset(j->out);
	}
	json_close(j);
}

static void print_json(struct cli *c, const struct check_result *r)
{
	const struct findings *fs = &r->findings;
	struct outbuf out;
	struct json j;

	outbuf_init(&out);
	json_begin(&j, &out);
	if (r->has_sb) {
		json_u64(&j, "transaction_id", r->sb.transaction_id);
		json_u64(&j, "metadata_free_blocks", metadata_free(&r->sb));
		json_bool(&j, "needs_check", r->sb.flags & THIN_NEEDS_CHECK);
	}
	json_u64(&j, "fatal", fs->nr_by_severity[FINDING_FATAL]);
	json_u64(&j, "non_fatal", fs->nr_by_severity[FINDING_NON_FATAL]);
	json_u64(&j, "warnings", fs->nr_by_severity[FINDING_WARN]);
	json_bool(&j, "complete", r->complete);
	json_u64(&j, "devices", r->nr_devices);
	json_u64(&j, "mappings", r->nr_mappings);
	json_u64(&j, "blocks_read", r->nr_blocks_read);
	json_u64(&j, "requests", r->nr_requests);
	print_findings(c, fs, &j);
	json_end(&j);
	cli_write_text(c, &out);
	outbuf_fini(&out);
}

/* -v: says what was examined. */
static void tell_examined(struct cli *c, const struct options *o, const struct check_result *r)
{
	const char *trees = o->check.snap	   ? "the metadata snapshot's trees" :
			    o->check.skip_mappings ? "the device lists, without mappings and space maps" :
			    r->complete		   ? "all trees and both space maps" :
						     "the readable parts of trees and space maps";

	if (o->check.super_block_only)
		cli_note(c, "examined: the superblock alone");
	else
		cli_note(c, "examined: the superblock and %s: %llu devices, %llu mappings; %llu blocks were read in "
			    "%llu requests",
			 trees, ULL(r->nr_devices), ULL(r->nr_mappings), ULL(r->nr_blocks_read),
			 ULL(r->nr_requests));
}

static bool is_partial(const struct options *o)
{
	return o->check.skip_mappings || o->check.super_block_only;
}

/* Fixes what may be fixed; returns the exit code. */
static int fix_metadata(struct cli *c, const struct options *o, struct io *io, struct jobs *jobs,
			const struct check_result *r)
{
	struct fix_report rep;
	struct err err;
	int ret;

	cli_left(c, "'%s' is only partly repaired, and no worse than before: run the command "
		    "again",
		 io->name);
	ret = is_partial(o) ? fix_clear_flag(io, r, &rep, &err) : fix_run(io, jobs, r, &rep, &err);
	if (ret)
		return cli_fail(c, ret, &err);
	fix_tell(&rep, cli_tell, c);
	return EXIT_DONE;
}

static int verdict(const struct options *o, const struct check_result *r)
{
	return findings_any(&r->findings, o->ignore_non_fatal ? FINDING_FATAL : FINDING_NON_FATAL)
		       ? EXIT_DAMAGE
		       : EXIT_DONE;
}

static int run(struct cli *c, const struct options *o, const struct pool_arg *arg, struct io *io, struct jobs *jobs)
{
	struct check_result r;
	struct progress *bar = progress_new(c, "checking", 0);
	struct err err = { 0 };
	int ret, code;

	cli_left(c, "the check was not completed; nothing was changed");
	io->meter = progress_meter(bar);
	ret = check_run(io, jobs, &o->check, &r, &err);
	io->meter = NULL;
	progress_free(bar);
	if (!ret && r.has_sb)
		ret = pool_arg_fits(arg, r.sb.data_block_size, &err);
	if (ret) {
		code = cli_fail(c, ret, &err);
	} else {
		if (o->json && !c->quiet)
			print_json(c, &r);
		else if (!c->quiet)
			print_text(c, o, &r);
		if (c->verbose)
			tell_examined(c, o, &r);
		code = o->auto_repair || o->clear_flag ? fix_metadata(c, o, io, jobs, &r) : verdict(o, &r);
		if (code == EXIT_DONE && o->clear_flag && is_partial(o))
			code = verdict(o, &r);
	}
	check_result_fini(&r);
	return code;
}

/* Opens POOL: metadata, or a table file that names metadata. */
static int open_metadata(struct cli *c, unsigned flags, struct pool_arg *arg, struct io **io, struct err *err)
{
	const struct pool_want want = { CLI_WANT(c), .disk = pool_lvm_run, .live = pool_live_table, .prints = true,
					.table.write = flags & DEV_WRITE };
	int r = pool_arg_open(c->args[0], &want, arg, err);

	if (r)
		return r;
	if (arg->kind == POOL_XML)
		r = pool_arg_readable(arg, false, err);
	if (!r)
		r = pool_arg_open_metadata(arg, flags, io, err);
	if (r)
		pool_arg_fini(arg);
	return r;
}

int main(int argc, char **argv)
{
	struct options o = { 0 };
	struct err err = { 0 };
	struct jobs *jobs;
	unsigned flags = 0;
	struct pool_arg arg;
	struct io *io;
	struct cli c;
	int code;

	parse(&c, &o, argc, argv);
	if (o.auto_repair || o.clear_flag)
		flags |= DEV_WRITE;
	if (o.check.snap || o.force_share)
		flags |= DEV_FORCE;
	code = open_metadata(&c, flags, &arg, &io, &err);
	if (code)
		return cli_fail(&c, code, &err);
	jobs = jobs_new(o.nr_jobs);
	if (jobs) {
		code = run(&c, &o, &arg, io, jobs);
	} else {
		err_nomem(&err, "workers");
		code = cli_fail(&c, -ENOMEM, &err);
	}
	jobs_free(jobs);
	io_free(io);
	pool_arg_fini(&arg);
	return cli_finish(&c, code);
}
