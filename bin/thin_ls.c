/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* thin_ls: the devices of a pool and what they use. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/overflow.h"
#include "base/text/similar.h"
#include "cli/cli.h"
#include "cli/columns.h"
#include "pool/query/list.h"
#include "pool/query/tree.h"
#include "volume/open/pool_live.h"
#include "volume/open/pool_lvm.h"
#include "volume/open/pool_source.h"
#include "volume/table/list.h"

enum { OPT_NO_HEADERS = 256, OPT_SORT, OPT_LIST_FIELDS };

static const struct opt opts[] = {
	{ 'o', "format", ARG_REQUIRED, "FIELDS|json|tree",
	  "columns, separated by commas; json: print them as JSON; tree: each snapshot below its "
	  "origin", 'o' },
	{ 0, "sort", ARG_REQUIRED, "[-]FIELD", "sort by a field; with - the greatest first",
	  OPT_SORT },
	{ 0, "no-headers", ARG_NONE, NULL, "do not print the line of headings", OPT_NO_HEADERS },
	{ 0, "list-fields", ARG_NONE, NULL, NULL, OPT_LIST_FIELDS }, /* for completion/ */
	{ 0 },
};

static const struct command command = {
	.name = "thin_ls",
	.usage = "[options] POOL",
	.summary = "Lists the devices of a thin pool. POOL is a metadata device or file, a table "
		   "file, or a disk with LVM.",
	.notes = "Fields: DEV, TRANSACTION, CREATE_TIME, SNAP_TIME; MAPPED, EXCLUSIVE, SHARED (sizes) and\n"
		 "the same with _BLOCKS, _SECTORS or _BYTES; HIGHEST_MAPPED, HIGHEST_BLOCK,\n"
		 "HIGHEST_SECTOR, HIGHEST_BYTE; from a table file or LVM: NAME, SIZE,\n"
		 "ORIGIN, POOL.\n"
		 "Without -o: DEV,MAPPED,CREATE_TIME,SNAP_TIME; of a disk with LVM DEV,NAME,SIZE,MAPPED,ORIGIN.",
	.opts = opts,
	CLI_ONE_POOL,
	.reads_pool = cli_reads_pool,
	.shows_sizes = cli_shows_sizes,
};

#define MAX_COLUMNS 256

struct ls {
	struct cli cli;
	const struct list_field *field[MAX_COLUMNS];
	size_t nr_fields;
	const struct list_field *sort;
	bool descending, json, tree, no_headers, chosen;
	uint32_t block_size; /* sectors */
	struct list list;
};

/* @or_form: "json" and "tree" could stand here, too. */
static const struct list_field *find_field(struct ls *ls, const char *name, size_t len, bool or_form)
{
	const struct list_field *f = list_field(name, len);
	char question[SIMILAR_QUESTION];
	struct similar s;

	if (f)
		return f;
	similar_init(&s, name, len);
	for (size_t i = 0; list_field_name(i); i++)
		similar_offer(&s, list_field_name(i));
	if (or_form) {
		similar_offer(&s, "json");
		similar_offer(&s, "tree");
	}
	cli_usage_error(&ls->cli, "unknown field '%.*s'%s: --help lists the fields", (int)MIN(len, 100), name,
			similar_question(question, s.found, ""));
}

static bool is_word(const char *s, size_t len, const char *word)
{
	return len == strlen(word) && !memcmp(s, word, len);
}

/* A list of columns, in which json and tree select the format. */
static void parse_fields(struct ls *ls, const char *s)
{
	bool first = true;

	for (;;) {
		size_t len = strcspn(s, ",");

		if (is_word(s, len, "json")) {
			ls->json = true;
		} else if (is_word(s, len, "tree")) {
			ls->tree = true;
		} else {
			if (first) {
				ls->chosen = ls->nr_fields;
				ls->nr_fields = 0;
				first = false;
			}
			if (ls->nr_fields == MAX_COLUMNS)
				cli_usage_error(&ls->cli, "more than %d fields", MAX_COLUMNS);
			ls->field[ls->nr_fields++] = find_field(ls, s, len, true);
		}
		if (!s[len])
			return;
		s += len + 1;
	}
}

static void parse_options(struct ls *ls)
{
	struct cli *c = &ls->cli;
	int id;

	parse_fields(ls, "DEV,MAPPED,CREATE_TIME,SNAP_TIME");
	while ((id = cli_next(c))) {
		switch (id) {
		case 'o':
			parse_fields(ls, c->arg);
			break;
		case OPT_SORT:
			ls->descending = *c->arg == '-';
			ls->sort = find_field(ls, c->arg + ls->descending,
					      strlen(c->arg + ls->descending), false);
			break;
		case OPT_NO_HEADERS:
			ls->no_headers = true;
			break;
		case OPT_LIST_FIELDS:
			for (size_t i = 0; list_field_name(i); i++)
				puts(list_field_name(i));
			exit(cli_finish(c, EXIT_DONE));
		}
	}
	if (ls->tree && (ls->json || ls->sort || ls->chosen))
		cli_usage_error(c, "--format tree has its own order and columns: leave out %s",
				ls->json ? "json" : ls->sort ? "--sort" : "the fields");
}

static enum list_depth depth(const struct ls *ls)
{
	enum list_depth d = ls->sort ? list_field_depth(ls->sort) : LIST_DETAILS;

	for (size_t i = 0; i < ls->nr_fields; i++)
		d = MAX(d, list_field_depth(ls->field[i]));
	return ls->tree ? LIST_ALL : d;
}

static bool needs_lines(const struct ls *ls)
{
	bool asks = ls->sort && list_field_needs_line(ls->sort);

	for (size_t i = 0; i < ls->nr_fields; i++)
		asks |= list_field_needs_line(ls->field[i]);
	return asks;
}

/* Takes name, size and origin of each device from the table. */
static void use_table(struct ls *ls, const struct table *table)
{
	uint32_t id = 0;
	size_t nr = table_fill_list(table, &ls->list, &id);

	if (nr && needs_lines(ls))
		cli_note(&ls->cli, "note: %zu device%s no line in the table (the first is %" PRIu32
				   "), so SIZE and ORIGIN are not known",
			 nr, nr == 1 ? " has" : "s have", id);
}

static struct cell cell(void *ctx, size_t row, size_t column)
{
	const struct ls *ls = ctx;
	const struct list_row *r = &ls->list.row[row];
	const struct list_field *f = ls->field[column];

	return (struct cell) { .text = list_text(r, f),
			       .number = list_number(r, f, ls->block_size),
			       .size = list_field_is_size(f) && !ls->cli.bytes,
			       .missing = !list_has(r, f) };
}

static int print_rows(struct ls *ls)
{
	struct column column[MAX_COLUMNS];
	struct columns columns = { column, ls->nr_fields, ls->list.nr, cell, ls };
	struct outbuf out;
	int r;

	for (size_t i = 0; i < ls->nr_fields; i++)
		column[i] = (struct column) { ls->field[i]->name, ls->field[i]->json };
	outbuf_init(&out);
	out.exact = ls->cli.bytes;
	if (ls->tree)
		list_tree(&ls->list, ls->block_size, !ls->no_headers, &out);
	else if (ls->json)
		columns_json(&columns, "devices", &out);
	else
		columns_table(&columns, ls->no_headers, &out);
	r = cli_write_text(&ls->cli, &out);
	outbuf_fini(&out);
	return r;
}

static int open_pool(struct cli *c, struct pool_source *src, struct err *err)
{
	const struct pool_source_options opt = {
		CLI_READER(c),
		.want = { CLI_WANT(c), .disk = pool_lvm_table, .live = pool_live_table },
	};

	return pool_source_open(c->args[0], &opt, src, err);
}

int main(int argc, char **argv)
{
	struct ls ls = { 0 };
	struct pool_source src = { 0 };
	struct err err = { 0 };
	int r;

	cli_init(&ls.cli, &command, argc, argv);
	parse_options(&ls);
	r = open_pool(&ls.cli, &src, &err);
	if (!r) {
		/* no old script lists a disk with LVM, so its default columns may differ */
		if (!ls.chosen && src.arg.table && src.arg.table->in_memory)
			parse_fields(&ls, "DEV,NAME,SIZE,MAPPED,ORIGIN");
		ls.block_size = src.md.view.data_block_size;
		r = list_read(&src.md, &src.stream, depth(&ls), cli_tell, &ls.cli, &ls.list, &err);
		pool_source_tell_snap(&src, r, cli_tell, &ls.cli);
	}
	if (ls.list.row) {
		int printed;

		if (src.arg.table)
			use_table(&ls, src.arg.table);
		if (ls.sort)
			list_sort(&ls.list, ls.sort, ls.descending, ls.block_size);
		printed = print_rows(&ls);
		r = r ? r : printed;
	}
	list_fini(&ls.list);
	pool_source_close(&src);
	return cli_finish(&ls.cli, r ? cli_fail(&ls.cli, r, &err) : EXIT_DONE);
}
