/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "folder.h"
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

static const struct test tests[] = {
	{ "metadata, XML, tables and unformatted pools are told apart by content", kinds_are_told_apart },
	{ "an input that cannot be a pool is explained", wrong_inputs_are_explained },
	{ "readers refuse XML and unformatted pools with the reason", readers_refuse_what_they_cannot_read },
	{ 0 }
};

int main(int argc, char **argv)
{
	return folder_main(tests, argc, argv);
}
