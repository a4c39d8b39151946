/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* thin_ls: the devices of a pool and what they use. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/outbuf.h"
#include "base/overflow.h"
#include "cli/cli.h"
#include "pool/query/usage.h"
#include "volume/open/pool_source.h"

enum { OPT_NO_HEADERS = 256, OPT_SORT, OPT_JOBS };

static const struct opt opts[] = {
	{ 'o', "format", ARG_REQUIRED, "FIELDS|json",
	  "columns, separated by commas; or json for the output form (can be combined with a column list)", 'o' },
	{ 0, "sort", ARG_REQUIRED, "[-]FIELD", "sort by a field; with - the greatest comes first",
	  OPT_SORT },
	{ 0, "no-headers", ARG_NONE, NULL, "do not print the line of headings", OPT_NO_HEADERS },
	{ 'm', "metadata-snap", ARG_OPTIONAL, "BLOCK",
	  "read the metadata snapshot that a live pool holds (it must be at BLOCK)", 'm' },
	{ 0, "metadata-snapshot", ARG_OPTIONAL, "BLOCK", NULL, 'm' },
	{ 'U', "force-share", ARG_NONE, NULL, "read although another program is writing to the pool", 'U' },
	{ 'q', "quiet", ARG_NONE, NULL, "print no messages", 'q' },
	{ 0, "jobs", ARG_REQUIRED, "N", NULL, OPT_JOBS },
	{ 0 },
};

static const struct command command = {
	.name = "thin_ls",
	.usage = "[options] POOL",
	.summary = "Lists the devices of a thin pool. POOL is a metadata device or file, or a table "
		   "file.",
	.notes = "Fields: DEV, TRANSACTION, CREATE_TIME, SNAP_TIME; MAPPED, EXCLUSIVE, SHARED (sizes) and\n"
		 "the same with _BLOCKS, _SECTORS or _BYTES; HIGHEST_MAPPED, HIGHEST_BLOCK,\n"
		 "HIGHEST_SECTOR, HIGHEST_BYTE; from a table file NAME, SIZE, ORIGIN.\n"
		 "Without -o: DEV,MAPPED,CREATE_TIME,SNAP_TIME.",
	.opts = opts,
	.min_args = 1,
	.max_args = 1,
	.missing = "No input file provided.",
	.takes_pool = true,
};

/* What a field is made of ... */
enum what { DEV, MAPPED, EXCLUSIVE, SHARED, HIGHEST, TRANSACTION, CREATE_TIME, SNAP_TIME, NAME,
	    SIZE, ORIGIN };
/* ... and in which unit. */
enum unit { PLAIN, BLOCKS, SECTORS, BYTES, PRETTY };

struct field {
	const char *name;
	const char *json;
	enum what what;
	enum unit unit;
};

static const struct field fields[] = {
	{ "DEV", "dev", DEV, PLAIN },
	{ "MAPPED_BLOCKS", "mapped_blocks", MAPPED, BLOCKS },
	{ "EXCLUSIVE_BLOCKS", "exclusive_blocks", EXCLUSIVE, BLOCKS },
	{ "SHARED_BLOCKS", "shared_blocks", SHARED, BLOCKS },
	{ "HIGHEST_BLOCK", "highest_block", HIGHEST, BLOCKS },
	{ "MAPPED_SECTORS", "mapped_sectors", MAPPED, SECTORS },
	{ "EXCLUSIVE_SECTORS", "exclusive_sectors", EXCLUSIVE, SECTORS },
	{ "SHARED_SECTORS", "shared_sectors", SHARED, SECTORS },
	{ "HIGHEST_SECTOR", "highest_sector", HIGHEST, SECTORS },
	{ "MAPPED_BYTES", "mapped_bytes", MAPPED, BYTES },
	{ "EXCLUSIVE_BYTES", "exclusive_bytes", EXCLUSIVE, BYTES },
	{ "SHARED_BYTES", "shared_bytes", SHARED, BYTES },
	{ "HIGHEST_BYTE", "highest_byte", HIGHEST, BYTES },
	{ "MAPPED", "mapped", MAPPED, PRETTY },
	{ "EXCLUSIVE", "exclusive", EXCLUSIVE, PRETTY },
	{ "SHARED", "shared", SHARED, PRETTY },
	{ "HIGHEST_MAPPED", "highest_mapped", HIGHEST, PRETTY },
	{ "TRANSACTION", "transaction", TRANSACTION, PLAIN },
	{ "CREATE_TIME", "create_time", CREATE_TIME, PLAIN },
	{ "SNAP_TIME", "snap_time", SNAP_TIME, PLAIN },
	{ "NAME", "name", NAME, PLAIN },
	{ "SIZE", "size", SIZE, PRETTY },
	{ "ORIGIN", "origin", ORIGIN, PLAIN },
};

#define MAX_COLUMNS 256

struct row {
	const struct metadata_device *dev;
	struct usage_row usage;
	const struct table_thin *thin; /* its line in the table, or NULL */
};

struct ls {
	struct cli cli;
	struct pool_source_options source;
	const struct field *column[MAX_COLUMNS];
	size_t nr_columns;
	const struct field *sort;
	bool descending, json, no_headers;
	uint32_t block_size; /* sectors */
	struct row *row;
	size_t nr_rows;
};

static const struct field *find_field(struct ls *ls, const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (strlen(fields[i].name) == len && !memcmp(fields[i].name, name, len))
			return &fields[i];
	cli_usage_error(&ls->cli, "unknown field '%.*s': --help lists the fields", (int)MIN(len, 100), name);
}

static void parse_columns(struct ls *ls, const char *s)
{
	if (!strcmp(s, "json")) {
		ls->json = true;
		return;
	}
	ls->nr_columns = 0;
	for (;;) {
		size_t len = strcspn(s, ",");

		if (ls->nr_columns == MAX_COLUMNS)
			cli_usage_error(&ls->cli, "more than %d fields", MAX_COLUMNS);
		ls->column[ls->nr_columns++] = find_field(ls, s, len);
		if (!s[len])
			return;
		s += len + 1;
	}
}

static void parse_options(struct ls *ls)
{
	struct cli *c = &ls->cli;
	int id;

	parse_columns(ls, "DEV,MAPPED,CREATE_TIME,SNAP_TIME");
	while ((id = cli_next(c))) {
		switch (id) {
		case 'o':
			parse_columns(ls, c->arg);
			break;
		case OPT_SORT:
			ls->descending = *c->arg == '-';
			ls->sort = find_field(ls, c->arg + ls->descending,
					      strlen(c->arg + ls->descending));
			break;
		case OPT_NO_HEADERS:
			ls->no_headers = true;
			break;
		case 'U':
			ls->source.force_share = true;
			break;
		case 'm':
			ls->source.metadata.snap = true;
			if (c->arg)
				ls->source.metadata.snap_block = cli_u64(c, "--metadata-snap");
			break;
		case 'q':
			c->quiet = true;
			break;
		case OPT_JOBS:
			ls->source.nr_jobs = (unsigned)MIN(cli_u64(c, "--jobs"), 256);
			break;
		}
	}
}

static bool wants(const struct ls *ls, enum what first, enum what last)
{
	if (ls->sort && ls->sort->what >= first && ls->sort->what <= last)
		return true;
	for (size_t i = 0; i < ls->nr_columns; i++)
		if (ls->column[i]->what >= first && ls->column[i]->what <= last)
			return true;
	return false;
}

/* In blocks, or as it is. */
static uint64_t raw_value(const struct row *r, enum what what)
{
	switch (what) {
	case DEV:
		return r->dev->info.dev_id;
	case MAPPED:
		return r->usage.mapped;
	case EXCLUSIVE:
		return r->usage.exclusive;
	case SHARED:
		return r->usage.mapped - r->usage.exclusive;
	case HIGHEST:
		return r->usage.highest;
	case TRANSACTION:
		return r->dev->info.transaction;
	case CREATE_TIME:
		return r->dev->info.creation_time;
	case SNAP_TIME:
		return r->dev->info.snap_time;
	case SIZE:
		return r->thin ? r->thin->length : 0;
	default:
		return 0;
	}
}

/* The last block, sector or byte that is mapped; as a size, where that ends. */
static uint64_t highest_value(const struct row *r, enum unit unit, uint64_t block_size)
{
	uint64_t end = r->usage.highest, per = 1, value;

	if (!r->usage.mapped)
		return 0;
	if (unit == SECTORS)
		per = block_size;
	else if (unit != BLOCKS)
		per = block_size << SECTOR_SHIFT;
	if (add_overflow(end, 1, &end) || mul_overflow(end, per, &value))
		return UINT64_MAX; /* damaged metadata: beyond what any device has */
	return value - (unit != PRETTY);
}

static uint64_t value_of(const struct ls *ls, const struct row *r, const struct field *f)
{
	uint64_t v = raw_value(r, f->what), size = ls->block_size;

	if (f->what == HIGHEST)
		return highest_value(r, f->unit, size);
	if (f->what == SIZE)
		return v << SECTOR_SHIFT;
	switch (f->unit) {
	case SECTORS:
		return v * size;
	case BYTES:
	case PRETTY:
		return v * size << SECTOR_SHIFT;
	default:
		return v;
	}
}

/* NULL: a number. */
static const char *text_of(const struct row *r, const struct field *f)
{
	if (f->what == NAME)
		return r->thin && r->thin->name ? r->thin->name : "-";
	if (f->what == ORIGIN)
		return r->thin && r->thin->origin.path ? r->thin->origin.path : "-";
	return f->what == SIZE && !r->thin ? "-" : NULL;
}

/* The units' names, also the odd one, are those of the tools that scripts know. */
static void add_pretty(struct outbuf *out, uint64_t v)
{
	static const char *const units[] = { "b", "KiB", "MiB", "GiB", "Tib", "PiB", "EiB" };
	size_t u = 0;

	for (; v > 8192 && u + 1 < ARRAY_SIZE(units); u++)
		v = v / 1024 + (v % 1024 >= 512);
	outbuf_u64(out, v);
	outbuf_str(out, units[u]);
}

static void add_cell(const struct ls *ls, struct outbuf *out, const struct row *r,
		     const struct field *f)
{
	const char *text = text_of(r, f);

	if (text)
		outbuf_str(out, text);
	else if (f->unit == PRETTY)
		add_pretty(out, value_of(ls, r, f));
	else
		outbuf_u64(out, value_of(ls, r, f));
}

static size_t cell_width(const struct ls *ls, const struct row *r, const struct field *f)
{
	struct outbuf b;
	size_t len;

	outbuf_init(&b);
	add_cell(ls, &b, r, f);
	len = b.len;
	outbuf_fini(&b);
	return len;
}

static void add_padded(struct outbuf *out, size_t from, size_t width)
{
	size_t len = out->len - from, pad = width > len ? width - len : 0;

	if (!outbuf_reserve(out, pad + 1))
		return;
	memmove(out->data + from + pad, out->data + from, len);
	memset(out->data + from, ' ', pad);
	out->len += pad;
	out->data[out->len++] = ' ';
}

static void add_table(const struct ls *ls, struct outbuf *out)
{
	size_t width[MAX_COLUMNS], from;

	for (size_t c = 0; c < ls->nr_columns; c++) {
		width[c] = ls->no_headers ? 0 : strlen(ls->column[c]->name);
		for (size_t i = 0; i < ls->nr_rows; i++)
			width[c] = MAX(width[c], cell_width(ls, &ls->row[i], ls->column[c]));
	}
	for (size_t c = 0; c < ls->nr_columns && !ls->no_headers; c++) {
		from = out->len;
		outbuf_str(out, ls->column[c]->name);
		add_padded(out, from, width[c]);
	}
	if (!ls->no_headers)
		outbuf_str(out, "\n");
	for (size_t i = 0; i < ls->nr_rows; i++) {
		for (size_t c = 0; c < ls->nr_columns; c++) {
			from = out->len;
			add_cell(ls, out, &ls->row[i], ls->column[c]);
			add_padded(out, from, width[c]);
		}
		outbuf_str(out, "\n");
	}
}

/* Sizes are bytes there; what a device does not have is null. */
static void add_json(const struct ls *ls, struct outbuf *out)
{
	outbuf_str(out, "{\n  \"devices\": [");
	for (size_t i = 0; i < ls->nr_rows; i++) {
		outbuf_str(out, i ? ",\n    { " : "\n    { ");
		for (size_t c = 0; c < ls->nr_columns; c++) {
			const struct field *f = ls->column[c];
			const char *text = text_of(&ls->row[i], f);

			outbuf_printf(out, "%s\"%s\": ", c ? ", " : "", f->json);
			if (text && !strcmp(text, "-"))
				outbuf_str(out, "null");
			else if (text)
				json_string(out, text, strlen(text));
			else
				outbuf_u64(out, value_of(ls, &ls->row[i], f));
		}
		outbuf_str(out, " }");
	}
	outbuf_str(out, ls->nr_rows ? "\n  ]\n}\n" : "]\n}\n");
}

static int compare_rows(const void *va, const void *vb, void *ctx)
{
	const struct ls *ls = ctx;
	const struct row *a = va, *b = vb;
	const char *ta = text_of(a, ls->sort), *tb = text_of(b, ls->sort);
	uint64_t x = value_of(ls, a, ls->sort), y = value_of(ls, b, ls->sort);
	int r = ta && tb ? strcmp(ta, tb) : (x > y) - (x < y);

	if (r)
		return ls->descending ? -r : r;
	return (a->dev->info.dev_id > b->dev->info.dev_id) -
	       (a->dev->info.dev_id < b->dev->info.dev_id);
}

static const struct table_thin *thin_of(const struct table *t, uint32_t dev_id)
{
	for (size_t i = 0; t && i < t->nr_thins; i++)
		if (t->thin[i].dev_id == dev_id)
			return &t->thin[i];
	return NULL;
}

static void tell_problem(void *ctx, const char *text)
{
	cli_error(ctx, "%s", text);
}

/* Only the list of devices, for fields that it knows. */
static int list_devices(struct ls *ls, struct pool_source *src, struct metadata_devices *devices,
			struct err *err)
{
	int r = metadata_devices_read(&src->md, &src->stream, devices, err);

	ls->row = r ? NULL : calloc(devices->nr + 1, sizeof(*ls->row));
	if (!r && !ls->row)
		return err_nomem(err, "the list of devices");
	for (size_t i = 0; !r && i < devices->nr; i++)
		if (devices->dev[i].has_details && devices->dev[i].has_root)
			ls->row[ls->nr_rows++].dev = &devices->dev[i];
	for (size_t i = 0; i < devices->nr_kept; i++)
		tell_problem(&ls->cli, devices->problem[i]);
	if (!r && devices->nr_problems)
		r = err_set(err, -EUCLEAN, "metadata contains errors (run thin_check for details)");
	return r;
}

/*
 * Numbers out of the mappings too.  Where something cannot be read, none of them can be
 * relied upon (an unreadable leaf may share any block), so there are no rows.
 */
static int count_devices(struct ls *ls, struct pool_source *src, struct forest *f, struct err *err)
{
	CLEANUP(free_ptr) struct usage_row *usage = NULL;
	int r = forest_init(f, &src->md, &src->stream, tell_problem, &ls->cli, err);

	if (r)
		return r;
	usage = calloc(f->nr_devs + 1, sizeof(*usage));
	ls->row = calloc(f->nr_devs + 1, sizeof(*ls->row));
	if (!usage || !ls->row)
		return err_nomem(err, "the list of devices");
	r = usage_count(f, src->md.nr_data_blocks, wants(ls, EXCLUSIVE, SHARED), usage, err);
	if (!r)
		r = forest_verdict(f, err);
	if (r)
		return r;
	for (size_t i = 0; i < f->nr_devs; i++)
		ls->row[i] = (struct row){ .dev = f->dev[i], .usage = usage[i] };
	ls->nr_rows = f->nr_devs;
	return 0;
}

static int print_rows(struct ls *ls, const struct table *table, struct err *err)
{
	struct outbuf out;
	uint32_t id = 0;
	size_t nr = 0;
	int r;

	for (size_t i = 0; i < ls->nr_rows; i++) {
		ls->row[i].thin = thin_of(table, ls->row[i].dev->info.dev_id);
		if (table && !ls->row[i].thin && !nr++)
			id = ls->row[i].dev->info.dev_id;
	}
	if (nr && wants(ls, SIZE, ORIGIN))
		cli_note(&ls->cli, "note: %zu device%s no line in the table (the first is %" PRIu32
				   "), so SIZE and ORIGIN are not known",
			 nr, nr == 1 ? " has" : "s have", id);
	if (ls->sort)
		qsort_r(ls->row, ls->nr_rows, sizeof(*ls->row), compare_rows, ls);
	outbuf_init(&out);
	if (ls->json)
		add_json(ls, &out);
	else
		add_table(ls, &out);
	r = out.error ? err_nomem(err, "text") : 0;
	if (!r)
		r = cli_write(&ls->cli, out.data, out.len);
	outbuf_fini(&out);
	return r;
}

int main(int argc, char **argv)
{
	struct ls ls = { 0 };
	struct metadata_devices devices = { 0 };
	struct pool_source src = { 0 };
	struct forest forest = { 0 };
	struct err err = { 0 };
	bool counted, rows;
	int r;

	cli_init(&ls.cli, &command, argc, argv);
	parse_options(&ls);
	counted = wants(&ls, MAPPED, HIGHEST);
	ls.source.want = (struct pool_want){ .pool = ls.cli.pool, .tell = cli_tell, .ctx = &ls.cli };
	r = pool_source_open(ls.cli.args[0], &ls.source, &src, &err);
	if (!r) {
		ls.block_size = src.md.view.data_block_size;
		r = counted ? count_devices(&ls, &src, &forest, &err) :
			      list_devices(&ls, &src, &devices, &err);
	}
	rows = !r || (r == -EUCLEAN && !counted && ls.row);
	if (rows) {
		int printed = print_rows(&ls, src.arg.table, r ? NULL : &err);

		r = r ? r : printed;
	}
	free(ls.row);
	forest_fini(&forest);
	metadata_devices_fini(&devices);
	pool_source_close(&src);
	return cli_finish(&ls.cli, r ? cli_fail(&ls.cli, r, &err) : EXIT_DONE);
}
