/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include <errno.h>
#include <time.h>

#include "base/err.h"
#include "folder.h"
#include "pool/format/format.h"
#include "volume/table/table.h"

static struct table *read_ok(const char *text)
{
	struct table *t = NULL;
	struct err err = { 0 };

	put("table", text, strlen(text));
	if (table_read(file_name("table"), NULL, &t, &err) < 0)
		printf("# %s\n", err.text);
	check(t);
	return t;
}

/* The text is refused and the message ends with @tail, which is "line N: 'word': why". */
static void refused(const char *text, const char *tail)
{
	struct table *t = NULL;
	struct err err = { 0 };
	char want[400];

	put("table", text, strlen(text));
	check(table_read(file_name("table"), NULL, &t, &err) == -EINVAL);
	check(!t);
	snprintf(want, sizeof(want), "%s: %s", file_name("table"), tail);
	if (strncmp(err.text, want, strlen(want)))
		printf("# got:  %s\n# want: %s\n", err.text, want);
	check(!strncmp(err.text, want, strlen(want)));
}

#define POOL "pool: 0 2097152 thin-pool meta.img /dev/data 128 32768\n"

static void lines_are_read(void)
{
	struct table *t = read_ok("# a comment\n\n  \t\n"
				  "pool: 0 2097152 thin-pool meta.img /dev/data 256 32768 3 "
				  "skip_block_zeroing shiny read_only \r\n"
				  "0 2097152 thin pool 0 base.img\n"
				  "web1: 0 4194304 thin pool 7");

	check_str(t->pool->name, "pool");
	check_str(t->pool->metadata.path, file_name("meta.img"));
	check_str(t->pool->data.path, "/dev/data");
	check_eq(t->pool->length, 2097152);
	check_eq(t->pool->line, 4);
	check_eq(t->pool->data_block_size, 256);
	check_eq(t->pool->low_water, 32768);
	check(t->pool->skip_block_zeroing && t->pool->read_only && !t->pool->ignore_discard);
	check(!t->pool->no_discard_passdown && !t->pool->error_if_no_space);
	check_str(t->pool->features, "skip_block_zeroing shiny read_only");
	check_eq(t->nr_thins, 2);
	check(!t->thin[0].name);
	check_str(t->thin[0].origin.path, file_name("base.img"));
	check_eq(t->thin[0].length, 2097152);
	check_str(t->thin[1].name, "web1");
	check_eq(t->thin[1].dev_id, 7);
	check_eq(t->thin[1].line, 6);
	check(!t->thin[1].origin.path);
	table_free(t);
}

static void devices_are_found(void)
{
	struct table *t = read_ok(POOL "long: 0 200 thin pool 3\n"
				       "7: 0 300 thin pool 4\n"
				       "0 100 thin pool 3 base.img\n"
				       "short: 0 50 thin pool 7\n");

	check_eq(table_find(t, "long")->length, 200);
	check_eq(table_find(t, "3")->length, 100);
	check_eq(table_find(t, "7")->dev_id, 4);
	check_eq(table_find(t, "4")->length, 300);
	check(!table_find(t, "5"));
	check(!table_find(t, "none"));
	check(!table_find(t, ""));
	table_free(t);
}

static void dmsetup_table_is_a_table(void)
{
	struct table *t = read_ok("vg-ext: 0 22528 thin 253:2 5 4094:7\n"
				  "vg-root: 0 131072 linear 254:0 6144\n"
				  "vg-root: 131072 100 linear 254:0 6144\n"
				  "nothing: 0 100 error \n"
				  "vg-pool-tpool: 0 131072 thin-pool 4094:0 4094:1 128 0 0 \n");

	check_eq(t->nr_thins, 1);
	check_str(t->thin[0].origin.path, "/dev/block/4094:7");
	check_str(t->pool->metadata.path, "/dev/block/4094:0");
	table_free(t);
}

static void mistakes_are_named(void)
{
	refused("", "no thin-pool line");
	refused(POOL "0 10 thin pool\n", "line 2: 'pool': the line ends here");
	refused(POOL "0 10 thin\n", "line 2: 'thin': the line ends here");
	refused(POOL "hello\n", "line 2: 'hello': the line ends here");
	refused(POOL "x: 0 10 thin pool x\n", "line 2: 'x': the device id is not a decimal");
	refused(POOL "x: 0 10 thin pool 16777216\n", "line 2: '16777216': the device id is above");
	refused(POOL "x: 0 10 thin pool -1\n", "line 2: '-1': the device id is not");
	refused(POOL "x: 8 10 thin pool 1\n", "line 2: '8': START must be 0");
	refused(POOL "x: 0 0 thin pool 1\n", "line 2: '0': LENGTH must not be 0");
	refused(POOL "x: 0 ten thin pool 1\n", "line 2: 'ten': LENGTH is not");
	refused(POOL "x: 0 36028797018963968 thin pool 1\n", "line 2: '36028797018963968': LENGTH");
	refused(POOL "x: 0 10 thinn pool 1\n", "line 2: 'thinn': unknown target; the targets are thin-pool, thin, linear, striped, zero and error");
	refused(POOL "0 10 linear pool 1\n", "line 2: 'linear': the line needs NAME: in front");
	refused(POOL "x: 0 10 thin pool 1 base more\n", "line 2: 'more': there is an extra word");
	refused(POOL "x: 0 10 thin pool 1 pool\n", "line 2: 'pool': the pool itself");
	refused(POOL ": 0 10 thin pool 1\n", "line 2: ':': a name is missing");
	refused(POOL "a: 0 10 thin pool 1\n\na: 0 10 thin pool 2\n", "line 4: 'a': the name is used in line 2");
	refused(POOL "pool: 0 10 thin pool 1\n", "line 2: 'pool': the name of the pool");
	refused(POOL POOL, "line 2: 'pool': the name of the pool, used in line 1 already");
	refused("0 10 thin-pool meta data 128\n", "line 1: '128': the line ends here");
	refused("0 10 thin-pool meta meta 128 0\n", "line 1: 'meta': metadata and data are the same");
	refused("0 10 thin-pool meta data 100 0\n", "line 1: '100': the block size must be");
	refused("0 10 thin-pool meta data 2097280 0\n", "line 1: '2097280': the block size must be");
	refused("0 10 thin-pool meta data 128 low\n", "line 1: 'low': the low water mark");
	refused("0 10 thin-pool meta data 128 0 x\n", "line 1: 'x': the number of features");
	refused("0 10 thin-pool meta data 128 0 2 read_only\n", "line 1: '2': the line has fewer feature words than this number");
	refused("0 10 thin-pool meta data 128 0 1 read_only x\n", "line 1: 'x': there is an extra word");
}

static void long_lines_are_refused(void)
{
	char text[1000] = "";
	int i;

	for (i = 0; i < 400; i++)
		strcat(text, "9 ");
	refused(text, "line 1: '9': too many words");
}

static void zero_bytes_are_refused(void)
{
	struct table *t = NULL;
	struct err err = { 0 };

	put("table", "0 10\0thin", 9);
	check(table_read(file_name("table"), NULL, &t, &err) == -EINVAL);
	check(strstr(err.text, "zero bytes"));
}

/* A word as it is written in a table: blanks and some others as octal numbers. */
static void put_word(FILE *f, const char *word)
{
	for (; *word; word++) {
		if (*word == ' ' || *word == '\\' || (*word == 'q' && rand() % 2))
			fprintf(f, "\\%03o", *word);
		else
			putc(*word, f);
	}
}

static void random_word(char *buf, const char *prefix, unsigned i)
{
	static const char letters[] = "abq \\.-_#";
	size_t n = (size_t)snprintf(buf, 30, "%s%u", prefix, i), more = (size_t)rand() % 5;

	while (more--)
		buf[n++] = letters[(size_t)rand() % (sizeof(letters) - 1)];
	buf[n] = 0;
}

enum { MAX_RANDOM_POOLS = 5, MAX_RANDOM_THINS = 40 };

struct random_table {
	unsigned nr_pools, nr_thins;
	char pool[MAX_RANDOM_POOLS][40], meta[MAX_RANDOM_POOLS][40];
	struct {
		char name[40], origin[40];
		unsigned pool, id, length;
		bool has_origin;
	} thin[MAX_RANDOM_THINS];
};

/* Lines of all pools in any order, with noise between them. */
static void put_random_table(struct random_table *r)
{
	unsigned order[MAX_RANDOM_POOLS + MAX_RANDOM_THINS], i, nr;
	FILE *f = fopen(file_name("table"), "w");

	check(f != NULL);
	r->nr_pools = 1 + (unsigned)rand() % MAX_RANDOM_POOLS;
	r->nr_thins = (unsigned)rand() % MAX_RANDOM_THINS;
	nr = r->nr_pools + r->nr_thins;
	for (i = 0; i < nr; i++) {
		unsigned k = (unsigned)rand() % (i + 1);

		order[i] = order[k];
		order[k] = i;
	}
	for (i = 0; i < nr; i++) {
		unsigned k = order[i];

		if (!(rand() % 3))
			fputs(rand() % 2 ? "# noise\n" : "vg-x: 0 100 raid raid1 3 0 region_size 1024\n\n", f);
		if (k < r->nr_pools) {
			random_word(r->pool[k], "p", k);
			random_word(r->meta[k], "m", k);
		}
	}
	for (i = 0; i < nr; i++) {
		unsigned k = order[i], t = k - r->nr_pools;

		if (k < r->nr_pools) {
			put_word(f, r->pool[k]);
			fprintf(f, ": 0 %u thin-pool ", 128 * (k + 1));
			put_word(f, r->meta[k]);
			fprintf(f, " data%u 128 0\n", k);
			continue;
		}
		random_word(r->thin[t].name, "t", t);
		random_word(r->thin[t].origin, "o", t);
		r->thin[t].pool = (unsigned)rand() % r->nr_pools;
		r->thin[t].id = (unsigned)rand() % (MAX_DEV_ID + 1);
		r->thin[t].length = 1 + (unsigned)rand() % 100000;
		r->thin[t].has_origin = rand() % 2;
		put_word(f, r->thin[t].name);
		fprintf(f, ": 0 %u thin %s", r->thin[t].length, rand() % 2 ? "" : "/dev/mapper/");
		put_word(f, r->pool[r->thin[t].pool]);
		fprintf(f, " %u ", r->thin[t].id);
		if (r->thin[t].has_origin)
			put_word(f, r->thin[t].origin);
		putc('\n', f);
	}
	fclose(f);
}

static void check_random_pool(const struct random_table *r, const struct table *t, unsigned pool)
{
	const struct table_thin *d;
	size_t nr = 0;

	check_str(t->pool->name, r->pool[pool]);
	check_str(t->pool->metadata.path, file_name(r->meta[pool]));
	check_eq(t->pool->length, 128 * (pool + 1));
	for (unsigned i = 0; i < r->nr_thins; i++) {
		d = table_find(t, r->thin[i].name);
		check(!d == (r->thin[i].pool != pool));
		if (!d)
			continue;
		nr++;
		check_eq(d->dev_id, r->thin[i].id);
		check_eq(d->length, r->thin[i].length);
		check(!d->origin.path == !r->thin[i].has_origin);
		if (d->origin.path)
			check_str(d->origin.path, file_name(r->thin[i].origin));
	}
	check_eq(t->nr_thins, nr);
	check_eq(t->nr_all_thins, r->nr_thins);
}

static void random_tables_are_taken_apart(void)
{
	const char *given = getenv("SEED");
	unsigned seed = given ? (unsigned)atoi(given) : (unsigned)time(NULL), round, pool, i;
	struct random_table r;
	struct err err = { 0 };
	struct table *t = NULL;

	printf("# SEED=%u\n", seed);
	srand(seed);
	for (round = 0; round < 200; round++) {
		put_random_table(&r);
		for (pool = 0; pool < r.nr_pools; pool++) {
			const struct table_want want = { .pool = r.pool[pool] };

			if (table_read(file_name("table"), &want, &t, &err))
				printf("# %s\n", err.text);
			check_random_pool(&r, t, pool);
			table_free(t);
		}
		for (i = 0; i < r.nr_thins; i++) {
			const struct table_want want = { .device = { r.thin[i].name } };

			check(!table_read(file_name("table"), &want, &t, &err));
			check_str(t->pool->name, r.pool[r.thin[i].pool]);
			table_free(t);
		}
		t = NULL;
		check(table_read(file_name("table"), NULL, &t, &err) == (r.nr_pools > 1 ? -EDOM : 0));
		table_free(t);
		t = NULL;
	}
}

static const struct test tests[] = {
	{ "the lines of a table are read, relative paths count from its folder", lines_are_read },
	{ "a device is found by name first, then by its id", devices_are_found },
	{ "the output of dmsetup table is a table file", dmsetup_table_is_a_table },
	{ "a mistake names file, line and word", mistakes_are_named },
	{ "random tables of several pools are taken apart", random_tables_are_taken_apart },
	{ "a line of too many words is refused", long_lines_are_refused },
	{ "a table with zero bytes is refused", zero_bytes_are_refused },
	{ 0 }
};

int main(int argc, char **argv)
{
	return folder_main(tests, argc, argv);
}
