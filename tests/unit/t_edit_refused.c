/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Changes that a pool, or its metadata, cannot have: each is refused in words, and changes nothing. */
#include <errno.h>

#include "failing.h"
#include "old_pool.h"
#include "pdata/block/csum.h"
#include "pool/edit/message.h"
#include "pool/format/format.h"

static void refused(int r, int code, const char *words)
{
	if (r != code || !strstr(err.text, words))
		printf("# %d, '%s'\n", r, err.text);
	check_eq(-r, -code);
	check(err.text[0] && strstr(err.text, words));
	err.text[0] = 0;
}

static struct pool_edit *open_pool(struct io *io)
{
	struct pool_edit *p;

	check_eq(edit_open(io, true, &p, &err), 0);
	err.text[0] = 0;
	return p;
}

static struct disk_superblock *sb_of(struct io *io)
{
	return io_mem_data(io);
}

static uint8_t *block_of(struct io *io, mblock_t b)
{
	return (uint8_t *)io_mem_data(io) + b * MBLOCK_SIZE;
}

static void numbers(void)
{
	struct io *io;
	struct pool_edit *p;

	make_old(1);
	io = old_pool();
	p = open_pool(io);
	refused(edit_create_thin(p, MAX_DEV_ID + 1, &err), -EINVAL,
		"device id 16777216 is too large");
	refused(edit_create_snap(p, MAX_DEV_ID + 1, 1, &err), -EINVAL, "is too large");
	refused(edit_create_snap(p, 50, 99, &err), -ENOENT, "origin device 99 does not exist");
	refused(edit_grow_data(p, NR_DATA - 1, &err), -EINVAL,
		"the data device has 2999 blocks, but the pool has 3000");
	refused(edit_grow_data(p, MAX_NR_DATA_BLOCKS + 1, &err), -EINVAL, "too many blocks");
	refused(edit_grow_data(p, MAX_NR_DATA_BLOCKS, &err), -EXFULL,
		"needs 67372036 metadata blocks more, but");
	refused(edit_grow_metadata(p, NR_META - 1, &err), -EINVAL,
		"the metadata device has 299 blocks, but the pool was made on 300");
	refused(edit_grow_metadata(p, NR_META + 1, &err), -EINVAL, "was made on 300");
	check_eq(edit_grow_metadata(p, NR_META, &err), 0);
	refused(edit_reserve_metadata_snap(p, &err), -EBUSY, "is held already");
	check(!edit_changed(p));
	edit_free(p);
	io_free(io);
}

static void small_devices(void)
{
	struct io *small = io_mem_new("stub", 512), *io = io_mem_new("disk", 300 * MBLOCK_SIZE);
	struct pool_edit *p;

	check(small && io);
	refused(edit_open(small, true, &p, &err), -EINVAL, "stub is too small for metadata");
	refused(edit_open(io, true, &p, &err), -ENODATA, "the superblock of disk");
	refused(edit_format(io, 127, &p, &err), -EINVAL, "");
	refused(edit_format(io, DATA_BLOCK_SECTORS_MAX + 128, &p, &err), -EINVAL, "");
	io_free(small);
	io_free(io);
}

/* A snapshot would need the time after the last one. */
static void end_of_the_clock(void)
{
	struct io *io;
	struct pool_edit *p;
	dblock_t b;

	make_old(1);
	io = old_pool();
	sb_of(io)->time = le32_make(MAX_TIME);
	csum_seal(sb_of(io), 0, SALT_SUPERBLOCK);
	p = open_pool(io);
	refused(edit_create_snap(p, 50, 1, &err), -EINVAL,
		"the pool's snapshot clock has reached its end (16777215)");
	check_eq(edit_alloc_data(p, &b, &err), 0);
	check_eq(edit_map(p, 1, 9000, b, &err), 0); /* the last time can still be given */
	edit_free(p);
	sb_of(io)->time = le32_make(MAX_TIME + 1);
	csum_seal(sb_of(io), 0, SALT_SUPERBLOCK);
	p = open_pool(io);
	check_eq(edit_alloc_data(p, &b, &err), 0);
	refused(edit_map(p, 1, 9000, b, &err), -EUCLEAN, "clock is past its end (16777216)");
	edit_free(p);
	io_free(io);
}

static void held_that_is_none(void)
{
	struct io *io;
	struct pool_edit *p;
	mblock_t at;

	make_old(1);
	io = old_pool();
	at = le64_get(sb_of(io)->held_root);
	((struct disk_superblock *)block_of(io, at))->magic = le64_make(7);
	csum_seal(block_of(io, at), at, SALT_SUPERBLOCK);
	p = open_pool(io);
	refused(edit_release_metadata_snap(p, &err), -EUCLEAN, "does not hold a superblock");
	check_eq(edit_superblock(p)->held_root, at);
	edit_free(p);
	block_of(io, at)[3000] ^= 1;
	p = open_pool(io);
	refused(edit_release_metadata_snap(p, &err), -EBADMSG, "the held metadata snapshot");
	edit_free(p);
	io_free(io);
}

/* The last entry of the top level names another device. */
static void details_without_mappings(void)
{
	struct io *io;
	struct pool_edit *p;
	struct disk_node *top;
	struct mapping m;
	uint64_t nr;
	mblock_t at;

	make_old(1);
	io = old_pool();
	at = le64_get(sb_of(io)->mapping_root);
	top = (void *)block_of(io, at);
	top->keys[le32_get(top->h.nr_entries) - 1] = le64_make(14);
	csum_seal(top, at, SALT_NODE);
	p = open_pool(io);
	refused(edit_lookup(p, 13, 0, &m, &err), -EUCLEAN,
		"device 13 has details but no mapping tree");
	refused(edit_unmap(p, 13, 0, 10, &nr, &err), -EUCLEAN, "no mapping tree");
	check_eq(nr, 0);
	refused(edit_create_snap(p, 50, 13, &err), -EUCLEAN, "no mapping tree");
	refused(edit_delete(p, 13, &err), -EUCLEAN, "");
	edit_free(p);
	io_free(io);
}

/* --- trees that cannot be --- */

/* Its root names itself: a tree without an end. */
static void endless_tree(void)
{
	struct io *io;
	struct pool_edit *p;
	struct disk_node *n;
	struct device_info d;
	mblock_t at;
	le64 self;

	make_old(1);
	io = old_pool();
	at = le64_get(sb_of(io)->details_root);
	n = (void *)block_of(io, at);
	memset(n, 0, MBLOCK_SIZE);
	self = le64_make(at);
	n->h.flags = le32_make(NODE_INTERNAL);
	n->h.nr_entries = le32_make(1);
	n->h.max_entries = le32_make(INTERNAL_MAX);
	n->h.value_size = le32_make(8);
	memcpy(&n->keys[INTERNAL_MAX], &self, sizeof(self));
	csum_seal(n, at, SALT_NODE);
	p = open_pool(io);
	refused(edit_device(p, 1, &d, &err), -EUCLEAN, "");
	refused(edit_create_thin(p, 50, &err), -EUCLEAN, "");
	edit_free(p);
	io_free(io);
}

/* --- messages --- */

static int parse_some(void)
{
	static char words[] = "create_thin 1 delete 2 set_transaction_id 3 4 reserve_metadata_snap";
	char *args[40];
	struct message *m = NULL;
	size_t nr;
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(args); i++)
		args[i] = words;
	r = message_parse(args, ARRAY_SIZE(args), &m, &nr, &err);
	check(r || nr == 4 * ARRAY_SIZE(args));
	free(m);
	return r;
}

static void messages(void)
{
	check_each_request_failing(parse_some(), &err);
}

int main(int argc, char **argv)
{
	static const struct test tests[] = {
		{ "ids and sizes that the format does not have are refused, and nothing changes",
		  numbers },
		{ "a device that is too small, empty or has no such block size is refused",
		  small_devices },
		{ "the clock's last time is given to mappings, and a snapshot after it is refused",
		  end_of_the_clock },
		{ "a metadata snapshot that is none is not released", held_that_is_none },
		{ "details without mappings are told with their device", details_without_mappings },
		{ "a tree that goes round ends with an error", endless_tree },
		{ "messages without memory are refused in words", messages },
		{ 0 },
	};

	return tap_main(tests, argc, argv);
}
