/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* thin_rmap: which devices own which part of the data device. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/text/json.h"
#include "base/text/parse.h"
#include "cli/cli.h"
#include "pool/rmap/rmap.h"
#include "volume/open/pool_live.h"
#include "volume/open/pool_lvm.h"
#include "volume/open/pool_source.h"

enum { OPT_REGION = 256, OPT_MAX_KEPT };

static const struct opt opts[] = {
	{ 0, "region", ARG_REQUIRED, "A..B",
	  "data blocks from A up to but not including B; a B of -1 is the end of the device; can "
	  "be repeated", OPT_REGION },
	{ 'f', "format", ARG_REQUIRED, "text|json", "how to print the ranges", 'f' },
	{ 0, "max-kept", ARG_REQUIRED, "N", NULL, OPT_MAX_KEPT },
	{ 0 },
};

static const struct command command = {
	.name = "thin_rmap",
	.usage = "--region A..B [--region C..D]... [options] POOL",
	.summary = "Prints which devices of a thin pool map which blocks of the data device. POOL "
		   "is a metadata device or file, a table file, or a disk with LVM.",
	.opts = opts,
	CLI_ONE_POOL,
	.reads_pool = cli_reads_pool,
};

struct map_args {
	struct cli cli;
	struct runs regions;
	bool json, any;
	uint64_t max_kept;
};

#define LINE_LEN 160 /* bytes of the longest line, all numbers of 20 digits, and spare */
#define ADD(p, lit) (memcpy((p), "" lit, sizeof(lit) - 1), (p) + (sizeof(lit) - 1))

#define PART_LEN    64 /* the data blocks of a line, or the blocks of the device, are no longer */

/* The text of @len bytes at @from once more; as many as PART_LEN may be touched. */
static char *again(char *p, const char *from, size_t len)
{
	char part[PART_LEN];

	memcpy(part, from, sizeof(part));
	memcpy(p, part, sizeof(part));
	return p + len;
}

static char *render_data(char *p, const struct rmap_line *line)
{
	p = ADD(p, "data ");
	p = fmt_u64(p, line->begin);
	p = ADD(p, "..");
	p = fmt_u64(p, line->end);
	return ADD(p, " -> thin(");
}

static char *render_blocks(char *p, const struct rmap_line *line)
{
	p = ADD(p, ") ");
	p = fmt_u64(p, line->vbegin);
	p = ADD(p, "..");
	p = fmt_u64(p, line->vbegin + (line->end - line->begin));
	*p++ = '\n';
	return p;
}

/* Devices that share blocks have them in lines that differ in the device alone. */
static void render_text(const struct rmap_line *line, size_t nr, struct outbuf *out)
{
	char *p = outbuf_reserve(out, nr * LINE_LEN), *begin = p, *data = p, *blocks = p, *from;
	size_t data_len = 0, blocks_len = 0;

	if (!p)
		return;
	for (size_t i = 0; i < nr; i++) {
		const bool same =
			i && line[i].begin == line[i - 1].begin && line[i].end == line[i - 1].end;

		from = p;
		p = same ? again(p, data, data_len) : render_data(p, &line[i]);
		data = from;
		data_len = (size_t)(p - from);
		p = fmt_u64(p, line[i].dev_id);
		from = p;
		p = same && line[i].vbegin == line[i - 1].vbegin ? again(p, blocks, blocks_len)
								 : render_blocks(p, &line[i]);
		blocks = from;
		blocks_len = (size_t)(p - from);
	}
	out->len += (size_t)(p - begin);
}

/* Each line begins with a comma; the first comma is dropped. */
static void render_json(const struct rmap_line *line, size_t nr, struct outbuf *out)
{
	struct json j;

	json_piece(&j, out, 2);
	for (size_t i = 0; i < nr; i++) {
		json_object(&j, NULL, 0);
		json_u64(&j, "data_begin", line[i].begin);
		json_u64(&j, "dev_id", line[i].dev_id);
		json_u64(&j, "begin", line[i].vbegin);
		json_u64(&j, "length", line[i].end - line[i].begin);
		json_close(&j);
	}
}

static int write_text(void *ctx, const struct outbuf *text, struct err *err)
{
	struct map_args *a = ctx;
	size_t skip = a->json && !a->any && text->len ? 1 : 0;

	a->any |= text->len > 0;
	(void)err; /* cli_finish() reports it */
	return cli_write(&a->cli, text->data + skip, text->len - skip);
}

static int map_pool(struct map_args *a, struct err *err)
{
	struct rmap_sink sink = {
		.render = a->json ? render_json : render_text,
		.write = write_text,
		.ctx = a,
	};
	const struct cli *c = &a->cli;
	const struct pool_source_options opt = {
		CLI_READER(&a->cli),
		.want = { CLI_WANT(&a->cli), .disk = pool_lvm_table, .live = pool_live_table },
	};
	struct pool_source src;
	struct forest forest = { 0 };
	int r = pool_source_open(c->args[0], &opt, &src, err);

	if (r)
		return r;
	r = forest_list(&forest, &src.md, &src.stream, NULL, 0, cli_tell, &a->cli, err);
	if (!r)
		r = forest_walk(&forest, false, err);
	if (!r && a->json)
		printf("{\n  \"format\": %d,\n  \"mappings\": [", JSON_FORMAT);
	if (!r)
		r = rmap_tell(&forest, &src.md, &a->regions, a->max_kept, &sink, err);
	if (!r && a->json)
		fputs(a->any ? "\n  ]\n}\n" : "]\n}\n", stdout);
	if (!r)
		r = forest_verdict(&forest, err);
	forest_fini(&forest);
	pool_source_tell_snap(&src, r, cli_tell, &a->cli);
	pool_source_close(&src);
	return r;
}

static void add_region(struct map_args *a)
{
	struct err err = { 0 };
	uint64_t begin, end;

	if (parse_range(a->cli.arg, &begin, &end, &err))
		cli_usage_error(&a->cli, "--region: %s", err.text);
	if (runs_add(&a->regions, begin, end))
		cli_no_memory(&a->cli, "--region");
}

static void parse_option(struct map_args *a, int id)
{
	struct cli *c = &a->cli;

	switch (id) {
	case OPT_REGION:
		add_region(a);
		break;
	case 'f':
		a->json = cli_choice(c, "--format");
		break;
	case OPT_MAX_KEPT:
		a->max_kept = cli_u64(c, "--max-kept");
		break;
	}
}

int main(int argc, char **argv)
{
	struct map_args a = { 0 };
	struct err err = { 0 };
	int id, r;

	cli_init(&a.cli, &command, argc, argv);
	runs_init(&a.regions);
	while ((id = cli_next(&a.cli)))
		parse_option(&a, id);
	if (!a.regions.nr)
		cli_usage_error(&a.cli, "No regions provided.");
	r = map_pool(&a, &err);
	runs_fini(&a.regions);
	return cli_finish(&a.cli, r ? cli_fail(&a.cli, r, &err) : EXIT_DONE);
}
