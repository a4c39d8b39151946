/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* thin_metadata_size: how large the metadata device of a pool should be. */
#include <stdio.h>
#include <string.h>

#include "base/text/unit.h"
#include "cli/cli.h"
#include "pool/build/size.h"
#include "pool/format/format.h"

static const struct opt opts[] = {
	{ 'b', "block-size", ARG_REQUIRED, "SIZE", "data block size: a multiple of 64 KiB", 'b' },
	{ 's', "pool-size", ARG_REQUIRED, "SIZE", "size of the data device", 's' },
	{ 'm', "max-thins", ARG_REQUIRED, "N", "greatest number of thin devices and snapshots", 'm' },
	{ 'u', "unit", ARG_REQUIRED, "UNIT", "unit of the result (default: sectors)", 'u' },
	{ 'n', "numeric-only", ARG_OPTIONAL, "FORM",
	  "print only the number; short: followed by the unit's letter, long: by its name", 'n' },
	{ 0 },
};

static const struct command command = {
	.name = "thin_metadata_size",
	.usage = "-b SIZE -s SIZE -m N [options]",
	.summary = "Estimates how large the metadata device of a thin pool should be.",
	.notes = "Sizes are whole numbers of sectors (512 bytes) or have a unit: b, s, k m g t p e\n"
		 "(powers of 1024), K M G T P E (powers of 1000), KiB, kB, kibibytes, ...",
	.opts = opts,
};

struct size {
	uint64_t number, bytes;
	const struct unit *unit; /* NULL: not given */
};

enum form { FORM_SENTENCE, FORM_NUMBER, FORM_SHORT, FORM_LONG };

struct request {
	struct size block, pool;
	uint64_t nr_thins;
	bool has_thins;
	const struct unit *unit;
	enum form form;
};

static void parse_size_option(struct cli *c, const char *option, struct size *s)
{
	struct err err = { 0 };
	int e = unit_parse(c->arg, unit_find("s"), &s->number, &s->unit, &err);

	if (!e)
		e = unit_to_bytes(s->number, s->unit, &s->bytes, &err);
	if (e < 0)
		cli_usage_error(c, "%s: %s", option, err.text);
}

/* A count.  It may end with a unit's letter, which multiplies it: 1k devices are 1024. */
static void parse_thins(struct cli *c, struct request *r)
{
	const struct unit *unit;
	struct err err = { 0 };
	int e = unit_parse(c->arg, unit_find("b"), &r->nr_thins, &unit, &err);

	if (!e)
		e = unit_to_bytes(r->nr_thins, unit, &r->nr_thins, &err);
	if (e < 0)
		cli_usage_error(c, "--max-thins: %s", err.text);
	r->has_thins = true;
}

static enum form parse_form(struct cli *c)
{
	if (!c->arg)
		return FORM_NUMBER;
	if (!strcmp(c->arg, "short"))
		return FORM_SHORT;
	if (!strcmp(c->arg, "long"))
		return FORM_LONG;
	cli_usage_error(c, "-n invalid option argument '%s': it must be short or long", c->arg);
}

static void parse_options(struct cli *c, struct request *r)
{
	int id;

	r->unit = unit_find("s");
	while ((id = cli_next(c))) {
		switch (id) {
		case 'b':
			parse_size_option(c, "--block-size", &r->block);
			break;
		case 's':
			parse_size_option(c, "--pool-size", &r->pool);
			break;
		case 'm':
			parse_thins(c, r);
			break;
		case 'u':
			r->unit = unit_find(c->arg);
			if (!r->unit)
				cli_usage_error(c, "--unit: Invalid unit specifier '%s'", c->arg);
			break;
		case 'n':
			r->form = parse_form(c);
			break;
		}
	}
}

static void check_request(struct cli *c, const struct request *r)
{
	if (!r->block.unit)
		cli_usage_error(c, "block size required!");
	if (!r->pool.unit)
		cli_usage_error(c, "pool size required!");
	if (!r->has_thins)
		cli_usage_error(c, "max thins required!");
	if (!r->block.bytes || r->block.bytes % (DATA_BLOCK_SECTORS_MIN << SECTOR_SHIFT))
		cli_usage_error(c, "block size must be a multiple of 64 KiB");
	if (r->block.bytes > (uint64_t)DATA_BLOCK_SECTORS_MAX << SECTOR_SHIFT)
		cli_usage_error(c, "maximum block size is 1 GiB");
	if (r->pool.bytes < r->block.bytes)
		cli_usage_error(c, "pool size must be larger than block size");
}

/* The size printed never exceeds the kernel's limit.  Says so when the pool could need more. */
static void note_limit(struct cli *c, const struct request *r)
{
	uint64_t wanted = size_blocks_wanted(r->pool.bytes / r->block.bytes, r->nr_thins);

	if (wanted > MAX_METADATA_BLOCKS)
		cli_note(c,
			 "note: this is the largest metadata device that the format allows; the "
			 "pool may need %.1f GiB, and becomes read-only when its metadata is "
			 "full: use larger blocks or fewer devices",
			 (double)wanted * MBLOCK_SIZE / (1 << 30));
}

static void print_answer(const struct request *r)
{
	uint64_t blocks = size_metadata_blocks(r->pool.bytes / r->block.bytes, r->nr_thins);
	char number[64];

	unit_format(blocks * MBLOCK_SIZE, r->unit, number);
	switch (r->form) {
	case FORM_NUMBER:
		puts(number);
		break;
	case FORM_SHORT:
		printf("%s%s\n", number, r->unit->letter);
		break;
	case FORM_LONG:
		printf("%s%s\n", number, r->unit->name);
		break;
	case FORM_SENTENCE:
		printf("thin_metadata_size - %s %s estimated metadata area size for "
		       "\"--block-size=%llu%s --pool-size=%llu%s --max-thins=%llu\"\n",
		       number, r->unit->name, (unsigned long long)r->block.number,
		       r->block.unit->name, (unsigned long long)r->pool.number, r->pool.unit->name,
		       (unsigned long long)r->nr_thins);
		break;
	}
}

int main(int argc, char **argv)
{
	struct request r = { .form = FORM_SENTENCE };
	struct cli cli;

	cli_init(&cli, &command, argc, argv);
	parse_options(&cli, &r);
	check_request(&cli, &r);
	print_answer(&r);
	note_limit(&cli, &r);
	return cli_finish(&cli, EXIT_DONE);
}
