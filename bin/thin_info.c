/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* thin_info: one screen about a pool, and how full it is. */
#include <inttypes.h>
#include <string.h>

#include "base/text/outbuf.h"
#include "base/text/parse.h"
#include "cli/cli.h"
#include "dev/dev.h"
#include "pool/check/check.h"
#include "pool/query/page.h"
#include "volume/open/pool_live.h"
#include "volume/open/pool_lvm.h"
#include "volume/open/pool_source.h"
#include "volume/table/list.h"

enum { OPT_FORMAT = 256, OPT_WARN, OPT_SB_ONLY };

static const struct opt opts[] = {
	{ 0, "format", ARG_REQUIRED, "text|json|html",
	  "text for a screen (default), one JSON document, or an HTML page with charts", OPT_FORMAT },
	{ 0, "warn", ARG_REQUIRED, "PCT",
	  "exit with 1 when PCT percent of metadata or data are used, or the pool is read-only", OPT_WARN },
	{ 0, "super-block-only", ARG_NONE, NULL,
	  "read the superblock only: how full the pool is, but nothing about devices", OPT_SB_ONLY },
	{ 0 },
};

static const struct command command = {
	.name = "thin_info",
	.usage = "[options] POOL",
	.summary = "Shows on one screen what is in a thin pool and how full it is. POOL is a "
		   "metadata device or file, a table file, a disk with LVM, or XML from thin_dump.",
	.notes = "Exit status: 0 all is well; 1 the metadata is damaged, or a limit of --warn is "
		 "reached;\n64 wrong usage; 74 cannot read.",
	.opts = opts,
	CLI_ONE_POOL,
	.reads_pool = cli_reads_pool,
	.shows_sizes = cli_shows_sizes,
};

#define WARN_OFF UINT64_MAX

struct thin_info {
	struct cli cli;
	void (*print)(const struct thin_info *t, struct outbuf *out);
	bool sb_only;
	uint64_t warn; /* percent, or WARN_OFF */
	struct pool_source src;
	struct check_result check; /* of the superblock */
	struct list list;
	struct info info;
};

static uint64_t percent(struct cli *c)
{
	char digits[8] = "";
	uint64_t v = 0;
	size_t len = strlen(c->arg);

	if (len && c->arg[len - 1] == '%')
		len--;
	if (len < sizeof(digits))
		memcpy(digits, c->arg, len);
	if (parse_u64(digits, &v, NULL) || v > 100)
		cli_usage_error(c, "--warn: '%s' is not a percentage: it must be a whole number from 0 to 100",
				c->arg);
	return v;
}

/* Opens the pool, checks its superblock and, unless only that is wanted, reads all mappings. */
static int read_pool(struct thin_info *t, struct err *err)
{
	const struct check_options check = { .super_block_only = true };
	const struct pool_source_options opt = {
		CLI_READER(&t->cli),
		.want = { CLI_WANT(&t->cli), .disk = pool_lvm_table, .live = pool_live_table },
	};
	const struct table *table;
	uint32_t first;
	int r = pool_source_open_text(t->cli.args[0], &opt, &t->src, err);

	if (r)
		return r;
	table = t->src.arg.table;
	t->info = (struct info){
		.md = &t->src.md,
		.has_metadata = t->src.arg.kind != POOL_XML,
		.data_low_water = table ? table->pool->low_water : INFO_UNKNOWN,
	};
	r = check_run(t->src.io, t->src.jobs, &check, &t->check, err);
	if (!r && !t->sb_only) {
		r = list_read(&t->src.md, &t->src.stream, LIST_ALL, cli_tell, &t->cli, &t->list, err);
		if (t->list.row)
			t->info.list = &t->list;
		if (table && t->list.row)
			table_fill_list(table, &t->list, &first);
	}
	info_init(&t->info);
	return r;
}

/* --- text --- */

static void label(struct outbuf *out, const char *name)
{
	outbuf_printf(out, "%-14s", name);
}

static void put_pool(const struct thin_info *t, struct outbuf *out)
{
	const struct table *table = t->src.arg.table;

	label(out, "Pool");
	if (table && table->pool->name)
		outbuf_printf(out, "%s in %s, metadata ", table->pool->name, table->path);
	outbuf_printf(out, "%s%s%s\n", t->info.has_metadata ? "" : "XML ", dev_shown(t->src.arg.metadata),
		      t->info.md->snap ? " (its metadata snapshot)" : "");
}

static void put_superblock(const struct thin_info *t, struct outbuf *out)
{
	const struct superblock *sb = &t->info.md->view;
	char uuid[33];

	label(out, "UUID");
	outbuf_printf(out, "%s\n", info_uuid(&t->info, uuid) ? uuid : "none");
	label(out, "Version");
	outbuf_printf(out, "%" PRIu32 "\n", sb->version);
	label(out, "Transaction");
	outbuf_printf(out, "%" PRIu64 "\n", sb->transaction_id);
	label(out, "Time");
	outbuf_printf(out, "%" PRIu32 " (counts snapshots, not seconds)\n", sb->time);
	label(out, "Flags");
	if (t->info.md->live.flags & THIN_NEEDS_CHECK) {
		outbuf_str(out, "needs_check: the pool is read-only until this command clears "
				"it:\n");
		label(out, "");
		outbuf_str(out, "'thin_check --clear-needs-check-flag POOL'\n");
	} else {
		outbuf_str(out, "none\n");
	}
	label(out, "Snapshot");
	if (t->info.md->live.held_root)
		outbuf_printf(out, "a metadata snapshot is held at block %" PRIu64 "\n",
			      t->info.md->live.held_root);
	else
		outbuf_str(out, "no metadata snapshot is held\n");
}

static void put_findings(const struct thin_info *t, struct outbuf *out)
{
	const struct findings *fs = &t->check.findings;

	label(out, "Superblock");
	if (!fs->nr)
		outbuf_str(out, "sound ('thin_check POOL' checks everything else)\n");
	for (size_t i = 0; i < fs->nr; i++) {
		if (i)
			label(out, "");
		outbuf_printf(out, "%s: ", severity_name(finding_severity(&fs->f[i])));
		finding_text(fs, &fs->f[i], out);
		outbuf_str(out, "\n");
	}
}

static void put_use(const char *name, const struct space_use *u, uint64_t block_bytes, struct outbuf *out)
{
	const unsigned full = (u->tenths * 20 + 999) / 1000;

	outbuf_str(out, "\n");
	label(out, name);
	outbuf_printf(out, "[%.*s%.*s] %u.%u %% used: %" PRIu64 " of %" PRIu64 " blocks of ", (int)full,
		      "####################", (int)(20 - full), "....................", u->tenths / 10,
		      u->tenths % 10, u->nr_blocks - u->nr_free, u->nr_blocks);
	outbuf_size(out, block_bytes);
	outbuf_str(out, "\n");
	label(out, "");
	outbuf_size(out, u->nr_used * block_bytes);
	outbuf_str(out, " in use, ");
	if (u->nr_reserve) {
		outbuf_size(out, u->nr_reserve * block_bytes);
		outbuf_str(out, " the kernel's reserve, ");
	}
	outbuf_size(out, u->nr_free * block_bytes);
	outbuf_str(out, " free\n");
}

static void put_low_water(uint64_t mark, uint64_t nr_unused, struct outbuf *out)
{
	label(out, "");
	if (mark)
		outbuf_printf(out, "low-water mark: kernel event at %" PRIu64 " free blocks (now %"
				   PRIu64 ")\n", mark, nr_unused);
	else
		outbuf_str(out, "low-water mark: 0, so no kernel event before all is used\n");
}

static void put_metadata(const struct info *i, struct outbuf *out)
{
	if (!i->has_metadata) {
		outbuf_str(out, "\n");
		label(out, "Metadata");
		outbuf_str(out, "not known: XML does not say how large the metadata device is\n");
		return;
	}
	put_use("Metadata", &i->metadata, MBLOCK_SIZE, out);
	put_low_water(i->metadata_low_water, i->metadata.nr_blocks - i->metadata.nr_used, out);
	if (!info_at_reserve(i))
		return;
	label(out, "");
	outbuf_str(out, "only the kernel's reserve is left: the kernel makes the pool "
			"read-only\n");
}

static void put_data(const struct info *i, struct outbuf *out)
{
	put_use("Data", &i->data, (uint64_t)i->md->view.data_block_size << SECTOR_SHIFT, out);
	if (i->data_low_water != INFO_UNKNOWN)
		put_low_water(i->data_low_water, i->data.nr_free, out);
}

/* "7 data blocks (448KiB)" */
static void put_blocks(const struct info *i, uint64_t nr, const char *what, struct outbuf *out)
{
	outbuf_printf(out, "%" PRIu64 " %s%s (", nr, what, nr == 1 ? "" : "s");
	outbuf_size(out, nr * i->md->view.data_block_size << SECTOR_SHIFT);
	outbuf_str(out, ")");
}

static void put_largest(const struct info *i, struct outbuf *out)
{
	const struct list_row *r = i->largest;

	if (!r)
		return;
	label(out, "Largest");
	outbuf_printf(out, "device %" PRIu32 "%s%s%s maps ", r->dev->info.dev_id, r->name ? " (" : "",
		      r->name ? r->name : "", r->name ? ")" : "");
	put_blocks(i, r->usage.mapped, "block", out);
	outbuf_printf(out, ", %" PRIu64 " of them alone\n", r->usage.exclusive);
}

static void put_devices(const struct info *i, struct outbuf *out)
{
	const struct list *l = i->list;

	if (!l)
		return;
	outbuf_str(out, "\n");
	label(out, "Devices");
	outbuf_printf(out, "%zu, with %" PRIu64 " mapping%s in %" PRIu64 " extent%s\n", l->nr, i->nr_mappings,
		      i->nr_mappings == 1 ? "" : "s", i->nr_extents, i->nr_extents == 1 ? "" : "s");
	label(out, "Sharing");
	put_blocks(i, l->nr_shared, "data block", out);
	outbuf_str(out, " shared by several devices\n");
	label(out, "");
	put_blocks(i, l->nr_alone, "data block", out);
	outbuf_str(out, " mapped by one device alone\n");
	if (i->nr_unmapped) {
		label(out, "");
		put_blocks(i, i->nr_unmapped, "data block", out);
		outbuf_printf(out, " used, but mapped by no device%s\n",
			      i->md->snap ? " of this view" :
			      i->md->live.held_root ? "" : ": leaked");
		if (!i->md->snap && i->md->live.held_root) {
			label(out, "");
			outbuf_str(out, "(held by the snapshot, or leaked: see 'thin_check POOL')\n");
		}
	}
	put_largest(i, out);
}

static void put_text(const struct thin_info *t, struct outbuf *out)
{
	put_pool(t, out);
	put_superblock(t, out);
	put_findings(t, out);
	put_metadata(&t->info, out);
	put_data(&t->info, out);
	put_devices(&t->info, out);
}

static void put_json(const struct thin_info *t, struct outbuf *out)
{
	struct json j;

	json_begin(&j, out);
	info_json(&t->info, SIZE_MAX, &j);
	findings_json(&t->check.findings, &j, "findings");
	json_end(&j);
}

/* A page needs the devices; if they cannot be read, standard error says why. */
static void put_html(const struct thin_info *t, struct outbuf *out)
{
	const struct table *table = t->src.arg.table;

	if (t->info.list)
		page_write(&t->info, table && table->pool->name ? table->pool->name :
							      dev_shown(t->src.arg.metadata),
			   &t->check.findings, out);
}

/* In the order of the words of --format. */
static void (*const forms[])(const struct thin_info *, struct outbuf *) = { put_text, put_json,
									    put_html };

static void parse_option(struct thin_info *t, int id)
{
	struct cli *c = &t->cli;

	switch (id) {
	case OPT_FORMAT:
		t->print = forms[cli_choice(c, "--format")];
		break;
	case OPT_WARN:
		t->warn = percent(c);
		break;
	case OPT_SB_ONLY:
		t->sb_only = true;
		break;
	}
}

/* --- --warn --- */

static bool warn_of(struct thin_info *t, const char *what, const struct space_use *u)
{
	if (!space_use_reaches(u, (unsigned)t->warn))
		return false;
	cli_note(&t->cli, "warning: %u.%u %% of the %s are used: that is the limit of %u %%, or more", u->tenths / 10,
		 u->tenths % 10, what, (unsigned)t->warn);
	return true;
}

/* Is there something that a monitoring program must know? */
static bool warn(struct thin_info *t)
{
	bool any = false;

	if (t->warn == WARN_OFF)
		return false;
	if (t->info.has_metadata)
		any |= warn_of(t, "metadata blocks", &t->info.metadata);
	any |= warn_of(t, "data blocks", &t->info.data);
	if (info_at_reserve(&t->info)) {
		cli_note(&t->cli, "warning: only the kernel's reserve of %" PRIu64 " metadata "
				  "blocks is left: the pool is read-only until its metadata "
				  "device is made larger",
			 t->info.metadata.nr_reserve);
		any = true;
	}
	if (t->info.md->live.flags & THIN_NEEDS_CHECK) {
		cli_note(&t->cli, "warning: needs_check is set: the pool is read-only until "
				  "'thin_check --clear-needs-check-flag POOL' clears it");
		any = true;
	}
	return any;
}

/* The text, with the POOL that was given in its command lines. */
static void print_advice(struct cli *c, struct outbuf *out)
{
	outbuf_add(out, "", 1);
	if (out->error)
		return;
	cli_put_advice(c, out->data, stdout);
	outbuf_reset(out);
}

int main(int argc, char **argv)
{
	struct thin_info t = { .warn = WARN_OFF, .print = put_text };
	struct err err = { 0 };
	struct outbuf out;
	int id, r, code;

	cli_init(&t.cli, &command, argc, argv);
	while ((id = cli_next(&t.cli)))
		parse_option(&t, id);
	if (t.sb_only && t.print == put_html)
		cli_usage_error(&t.cli, "--super-block-only cannot be used with --format html, "
					"which shows the devices");
	outbuf_init(&out);
	out.exact = t.cli.bytes;
	r = read_pool(&t, &err);
	if (t.info.md) {
		int printed;

		t.print(&t, &out);
		if (t.print == put_text)
			print_advice(&t.cli, &out);
		printed = cli_write_text(&t.cli, &out);
		r = r ? r : printed;
	}
	pool_source_tell_snap(&t.src, r, cli_tell, &t.cli);
	code = r ? cli_fail(&t.cli, r, &err) : EXIT_DONE;
	if (t.info.md && (warn(&t) || findings_any(&t.check.findings, FINDING_FATAL)) && code == EXIT_DONE)
		code = EXIT_DAMAGE;
	outbuf_fini(&out);
	list_fini(&t.list);
	check_result_fini(&t.check);
	pool_source_close(&t.src);
	return cli_finish(&t.cli, code);
}
