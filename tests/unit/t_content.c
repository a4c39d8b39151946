/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* What a file holds that somebody may want to keep. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "dev/dev.h"
#include "folder.h"
#include "pdata/block/csum.h"
#include "volume/guard/content.h"
#include "volume/guard/head.h"
#include "volume/guard/meta_out.h"
#include "volume/guard/occupied.h"
#include "volume/table/table.h"

static struct err err;
static unsigned char image[16 * MBLOCK_SIZE];

/* A file with @image, in which block @at has a checksum of @salt. */
static void put_block(const char *name, mblock_t at, uint32_t salt)
{
	memset(image, 0, sizeof(image));
	memset(image + at * MBLOCK_SIZE + 16, 0xc7, 999);
	csum_seal(image + at * MBLOCK_SIZE, at, (enum csum_salt)salt);
	put(name, image, sizeof(image));
}

static struct io *opened(const char *name)
{
	struct io *io = NULL;

	check(!dev_open(file_name(name), DEV_FORCE | DEV_BUFFERED, &io, &err));
	return io;
}

static void metadata_of_other_targets(void)
{
	static const uint32_t salts[] = { 9031977, 146538381, 595846735 }; /* of a cache, an era, their arrays */
	static const enum occupied_by what[] = { FOR_METADATA, FOR_IMAGE, FOR_PACK, FOR_UPDATE };
	enum content c;

	for (size_t i = 0; i < ARRAY_SIZE(salts); i++) {
		struct io *io;

		put_block("other", 0, salts[i]);
		check(!content_of(file_name("other"), &c, &err));
		check_eq(c, CONTENT_FOREIGN);
		io = opened("other");
		for (size_t k = 0; k < ARRAY_SIZE(what); k++) {
			check(occupied_check(file_name("other"), io, what[k], &err) == -EEXIST);
			check(strstr(err.text, "nothing was written"));
		}
		check(occupied_ask(file_name("other"), io, FOR_METADATA, NULL, &err) == -EEXIST);
		check(strstr(err.text, "the metadata of a pool, a cache or an era"));
		io_free(io);
	}
}

/* A pool whose first block is damaged has no signature that could be taken for something else. */
static void pools_without_a_superblock(void)
{
	char name[100];
	struct io *io;

	put_block("nodes", 2, SALT_NODE);
	memcpy(image, "QFI\xfb", 4);
	put("nodes", image, sizeof(image));
	io = opened("nodes");
	check(!content_signature(io, name, sizeof(name), &err));
	check_str(name, "");
	io_free(io);
	put_block("array", 2, 595846735); /* no block of a pool */
	memcpy(image, "QFI\xfb", 4);
	put("array", image, sizeof(image));
	io = opened("array");
	check(!content_signature(io, name, sizeof(name), &err));
	check(strstr(name, "qcow2"));
	io_free(io);
}

static void paths_that_cannot_be(void)
{
	const struct meta_out_options opt = { .size = MBLOCK_SIZE };
	char below[600];
	struct meta_out out;
	enum content c;

	put("file", "", 0);
	snprintf(below, sizeof(below), "%s/x", file_name("file"));
	check(content_of(below, &c, &err) == -ENOTDIR && strstr(err.text, "cannot look at"));
	check(occupied_ask(below, NULL, FOR_IMAGE, NULL, &err) == -ENOTDIR);
	check(meta_out_open(below, &opt, &out, &err) == -ENOENT && strstr(err.text, "it must exist; check the name"));
	check(!meta_out_is_missing(below) && meta_out_is_missing(file_name("none")));
	check(!meta_out_is_missing("4094:77") && !meta_out_is_missing("/dev/no_such_disk") && !meta_out_is_missing("-"));
	check(meta_out_open("4094:77", &opt, &out, &err) < 0);
	check(content_of("4094:77", &c, &err) < 0); /* no device of that number is here, and no file of that name is meant */
}

/* Nothing, zeros and pieces of a table. */
static void what_is_no_file(void)
{
	static const char text[] = "pool: 0 10 thin-pool m d 128 0\nz: 0 64 zero\np: 0 64 linear x 0\n";
	struct table *t;
	enum content c;
	struct io *io;

	put("empty", "", 0);
	check(!content_of(file_name("empty"), &c, &err) && c == CONTENT_NOTHING);
	check(!content_of(file_name("none"), &c, &err) && c == CONTENT_NOTHING);
	check(!content_of(folder, &c, &err) && c == CONTENT_NOTHING);
	put("table", text, strlen(text));
	put_block("x", 0, 9031977);
	check(!table_read(file_name("table"), NULL, &t, &err));
	check(!content_of(table_device_path(t, "z"), &c, &err) && c == CONTENT_NOTHING);
	check(!content_of(table_device_path(t, "p"), &c, &err) && c == CONTENT_FOREIGN);
	check(!dev_open(table_device_path(t, "p"), DEV_FORCE | DEV_BUFFERED, &io, &err));
	check(content_is_device(io));
	io_free(io);
	table_free(t);
}

static const char *not_xml(const char *bytes, size_t len)
{
	const char *said;
	int fd;

	put("text", bytes, len);
	fd = open(file_name("text"), O_RDONLY);
	check(fd >= 0);
	said = content_not_xml(fd);
	close(fd);
	return said ?: "may be XML";
}

static void damaged_xml_is_no_other_file(void)
{
	char blanks[MBLOCK_SIZE];

	memset(blanks, ' ', sizeof(blanks));
	check_str(not_xml("", 0), "may be XML");
	check_str(not_xml("\n<superblock", 12), "may be XML");
	check_str(not_xml("\xef\xbb\xbf<\1", 5), "may be XML");
	check_str(not_xml("\0<\x01", 3), "may be XML");
	check_str(not_xml(" \n\t", 3), content_name(CONTENT_TEXT));
	check_str(not_xml(blanks, sizeof(blanks)), content_name(CONTENT_TEXT));
	check_str(not_xml("\xef\xbb\xbf", 3), content_name(CONTENT_TEXT));
	check_str(not_xml("hello", 5), content_name(CONTENT_TEXT));
	check_str(not_xml("\0\0", 2), "zeros");
	check_str(not_xml("0 9 thin p 1", 12), content_name(CONTENT_TABLE));
}

static bool is_table(const char *text)
{
	const struct head h = { (unsigned char *)(uintptr_t)text, strlen(text) };

	return head_is_table(&h);
}

static bool is_text(const char *text)
{
	const struct head h = { (unsigned char *)(uintptr_t)text, strlen(text) };

	return head_is_text(&h);
}

static void first_bytes(void)
{
	const struct head nothing = { NULL, 0 };

	check(!head_is_zero(&nothing) && !head_is_text(&nothing) && !head_is_xml(&nothing) && !head_is_table(&nothing));
	check(!is_text("\xff\xff\xff") && !is_text("UUU") && is_text("  ") && is_text("caf\xc3\xa9\n"));
	check(is_table("0 9 thin-pool m d 128 0") && is_table("x: 0 9 thin pool 1\n"));
	check(!is_table("0 9 thinn pool 1") && !is_table("<a> thin </a>") && !is_table("\1 thin pool") && !is_table("thin pool"));
}

static const struct test tests[] = {
	{ "metadata of a cache or an era is kept by each writer", metadata_of_other_targets },
	{ "a pool whose first block is damaged has no other signature", pools_without_a_superblock },
	{ "a path below a file is an error, and no missing file", paths_that_cannot_be },
	{ "what is no file is looked at as a device", what_is_no_file },
	{ "damaged XML is not taken for something else, and blanks are text", damaged_xml_is_no_other_file },
	{ "the first bytes tell a table", first_bytes },
	{ 0 }
};

int main(int argc, char **argv)
{
	return folder_main(tests, argc, argv);
}
