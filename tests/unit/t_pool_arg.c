/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "folder.h"
#include "pdata/block/csum.h"
#include "pool/format/format.h"
#include "volume/open/pool_arg.h"

static enum pool_kind kind_of_file(const char *name)
{
	struct pool_arg p;
	struct err err = { 0 };
	enum pool_kind kind;

	check(pool_arg_open(file_name(name), NULL, &p, &err) == 0);
	kind = p.kind;
	check_str(p.metadata, file_name(name));
	pool_arg_fini(&p);
	return kind;
}

static void put_metadata(const char *name)
{
	char block[2 * MBLOCK_SIZE] = "";
	struct disk_superblock *sb = (void *)block;

	sb->magic = le64_make(THIN_MAGIC);
	put(name, block, sizeof(block));
}

static void kinds_are_told_apart(void)
{
	char block[MBLOCK_SIZE] = "";
	struct pool_arg p;

	put_metadata("meta");
	check(kind_of_file("meta") == POOL_METADATA);
	put("zero", block, sizeof(block));
	check(kind_of_file("zero") == POOL_UNFORMATTED);
	block[77] = 1;
	put("garbage", block, sizeof(block));
	put("xml", "\n<superblock/>", 14);
	check(kind_of_file("xml") == POOL_XML);

	put("table", "0 10 thin-pool meta data 128 0\n", 31);
	check(pool_arg_open(file_name("table"), NULL, &p, NULL) == 0);
	check(p.kind == POOL_METADATA && p.table);
	check_str(p.metadata, file_name("meta"));
	pool_arg_fini(&p);
	put("table", "0 10 thin-pool zero data 128 0\n", 31);
	check(pool_arg_open(file_name("table"), NULL, &p, NULL) == 0);
	check(p.kind == POOL_UNFORMATTED && p.table);
	pool_arg_fini(&p);
}

static void arg_refused(const char *path, int code, const char *text)
{
	struct err err = { 0 };
	struct pool_arg p;
	int r = pool_arg_open(path, NULL, &p, &err);

	if (r != code || !strstr(err.text, text))
		printf("# %d: %s\n", r, err.text);
	check(r == code);
	check(strstr(err.text, text));
}

static void wrong_inputs_are_explained(void)
{
	char text[300];

	arg_refused(file_name("missing"), -ENOENT, "Couldn't find input file '/tmp");
	arg_refused(folder, -ENODEV, "Not a block device or regular file '/tmp");
	arg_refused("/dev/null", -ENODEV, "Not a block device or regular file '/dev/null'.");
	check(!mkfifo(file_name("fifo"), 0600));
	arg_refused(file_name("fifo"), -ENODEV, "Not a block device or regular file '/tmp");
	put("empty", "", 0);
	arg_refused(file_name("empty"), -EUCLEAN, "too small.  Is this binary metadata?");
	put("short", "\1\2\3\0\0\0", 6);
	arg_refused(file_name("short"), -EUCLEAN, "too small.  Is this binary metadata?");
	put("note", "hello world\n", 12);
	arg_refused(file_name("note"), -EUCLEAN, "too small.  Is this binary metadata?");
	put("table", "0 10 thin-pool gone data 128 0\n", 31);
	snprintf(text, sizeof(text), "table: line 1: Couldn't find input file '%s/gone'", folder);
	arg_refused(file_name("table"), -ENOENT, text);
	put("table", "0 10 thin-pool table data 128 0\n", 32);
	arg_refused(file_name("table"), -EINVAL, "table: line 1: '");
}

static void readers_refuse_what_they_cannot_read(void)
{
	struct pool_arg p = { .metadata = (char[]){ "x" } };
	struct err err = { 0 };

	check(pool_arg_readable(&p, false, &err) == 0);
	p.kind = POOL_XML;
	check(pool_arg_readable(&p, true, &err) == 0);
	check(pool_arg_readable(&p, false, &err) == -EINVAL);
	check(strstr(err.text, "This looks like XML."));
	p.kind = POOL_UNFORMATTED;
	check(pool_arg_readable(&p, true, &err) == -ENODATA);
	check(strstr(err.text, "never formatted"));
}

/* A thin target's name is a word of its own, behind others. */
static void texts_that_are_no_tables(void)
{
	put("table", "hello thin", 10);
	arg_refused(file_name("table"), -EINVAL, "table: line 1: ");
	put("table", "x thin-pool", 11);
	arg_refused(file_name("table"), -EINVAL, "table: line 1: ");
	put("table", "thin ice\n", 9);
	arg_refused(file_name("table"), -EUCLEAN, "too small.  Is this binary metadata?");
	put("table", "a thing, athin b\n", 17);
	arg_refused(file_name("table"), -EUCLEAN, "too small.  Is this binary metadata?");
}

/* Where block 0 is something else, any block of a pool behind it tells what this was. */
static void blocks_behind_a_foreign_one(void)
{
	static const enum csum_salt salts[] = { SALT_NODE, SALT_BITMAP, SALT_INDEX };

	for (size_t i = 0; i < ARRAY_SIZE(salts); i++) {
		char blocks[4 * MBLOCK_SIZE] = "QFI\xfb";

		csum_seal(blocks + 2 * MBLOCK_SIZE, 2, salts[i]);
		put("meta", blocks, sizeof(blocks));
		check(kind_of_file("meta") == POOL_METADATA);
		csum_seal(blocks + 2 * MBLOCK_SIZE, 3, salts[i]); /* a copy of another place's */
		put("meta", blocks, sizeof(blocks));
		arg_refused(file_name("meta"), -EUCLEAN, "qcow2");
	}
}

/* A table with numbers is trusted where the pool found there fits it. */
static void numbers_are_trusted(void)
{
	static const char text[] = "0 1280 thin-pool 4094:5 data 128 0\n";
	const struct pool_found fits = { 128, 10, 1280 * 512 }, unknown = { 128, 10, 0 }, longer = { 128, 10, 9999 * 512 };
	const struct pool_found other = { 256, 5, 0 }, larger = { 128, 11, 0 }, smaller = { 128, 10, 1279 * 512 };
	struct pool_arg p = { 0 };
	struct err err = { 0 };

	put("table", text, strlen(text));
	check(!table_read(file_name("table"), NULL, &p.table, &err));
	check(!pool_arg_trust_numbers(&p, &fits, false, &err) && !pool_arg_trust_numbers(&p, &unknown, false, &err));
	check(!pool_arg_trust_numbers(&p, &longer, false, &err) && !pool_arg_trust_numbers(&p, &smaller, true, &err));
	check(pool_arg_trust_numbers(&p, &other, false, &err) == -EINVAL && strstr(err.text, "another block size"));
	check(pool_arg_trust_numbers(&p, &larger, false, &err) == -EINVAL && strstr(err.text, "larger than the table says"));
	check(pool_arg_trust_numbers(&p, &smaller, false, &err) == -EINVAL);
	check(strstr(err.text, "line 1: '4094:5' is a number") && strstr(err.text, "data device there is smaller"));
	check(pool_arg_trust_numbers(&p, NULL, false, &err) == -EINVAL && strstr(err.text, "no pool on the metadata device"));
	table_free(p.table);
	/* the same below lines */
	put("table", "m: 0 8 linear 4094:5 0\n0 1280 thin-pool m data 128 0\n", 53);
	check(!table_read(file_name("table"), NULL, &p.table, &err));
	check(pool_arg_trust_numbers(&p, NULL, false, &err) == -EINVAL && strstr(err.text, "'m' stands on a number"));
	table_free(p.table);
}

static const struct test tests[] = {
	{ "metadata, XML, tables and unformatted pools are told apart by content", kinds_are_told_apart },
	{ "an input that cannot be a pool is explained", wrong_inputs_are_explained },
	{ "readers refuse XML and unformatted pools with the reason", readers_refuse_what_they_cannot_read },
	{ "a text without a thin target's name as a word is no table", texts_that_are_no_tables },
	{ "each kind of block tells a pool behind a block that is something else", blocks_behind_a_foreign_one },
	{ "numbers of a table are trusted where the pool there fits", numbers_are_trusted },
	{ 0 }
};

int main(int argc, char **argv)
{
	return folder_main(tests, argc, argv);
}
