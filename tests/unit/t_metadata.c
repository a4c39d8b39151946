/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Opening metadata to read it, and its list of devices. */
#include <errno.h>

#include "failing.h"
#include "old_pool.h"
#include "pdata/block/csum.h"
#include "pool/format/format.h"
#include "pool/format/metadata.h"

static struct io *io;

static struct disk_superblock *sb_of(mblock_t at)
{
	return (void *)((uint8_t *)io_mem_data(io) + at * MBLOCK_SIZE);
}

static void fresh(void)
{
	io_free(io);
	io = old_pool();
}

static void seal(mblock_t at)
{
	csum_seal(sb_of(at), at, SALT_SUPERBLOCK);
}

static void begin(void)
{
	io = NULL;
	make_old(1);
	io = old_pool();
}

static void refused_by(const struct metadata_options *opt, int code, const char *words)
{
	struct metadata md;
	int r;

	err.text[0] = 0;
	r = metadata_open(io, opt, &md, &err);
	if (r != code || !strstr(err.text, words))
		printf("# %d, '%s'\n", r, err.text);
	check_eq(-r, -code);
	check(err.text[0] && strstr(err.text, words));
	fresh();
}

static void refused(int code, const char *words)
{
	const struct metadata_options opt = { 0 };

	refused_by(&opt, code, words);
}

static void superblocks(void)
{
	const struct metadata_options any = { .any_block_size = true };
	struct metadata md;

	begin();
	sb_of(0)->uuid[0] ^= 1;
	refused(-EBADMSG, "bad checksum in superblock");
	sb_of(0)->magic = le64_make(1);
	seal(0);
	refused(-EUCLEAN, "superblock");
	memset(sb_of(0), 0, MBLOCK_SIZE);
	refused(-EUCLEAN, "superblock");
	sb_of(0)->incompat_flags = le32_make(0x10);
	seal(0);
	refused(-EUCLEAN, "unknown incompatible features 0x10");
	sb_of(0)->data_block_size = le32_make(100);
	seal(0);
	check_eq(metadata_open(io, &any, &md, &err), 0);
	refused(-EUCLEAN, "100 sectors is not a valid data block size");
	for (unsigned far = 0; far < 2; far++) {
		sb_of(0)->mapping_root = le64_make(far ? NR_META : 0);
		seal(0);
		refused(-EUCLEAN, far ? "mapping root 300 is not on" : "mapping root 0 is not on");
		sb_of(0)->details_root = le64_make(far ? NR_META : 0);
		seal(0);
		refused(-EUCLEAN, far ? "details root 300 is not on" : "details root 0 is not on");
	}
	io_free(io);
}

static void held(void)
{
	struct metadata_options opt = { .snap = true };
	struct metadata md;
	mblock_t at;

	begin();
	at = le64_get(sb_of(0)->held_root);
	check_eq(metadata_open(io, &opt, &md, &err), 0);
	check_eq(md.snap, at);
	check_eq(md.nr_data_blocks, NR_DATA); /* of the pool: the copy has no map */
	opt.snap_block = at;
	check_eq(metadata_open(io, &opt, &md, &err), 0);
	opt.snap_block = at + 1;
	refused_by(&opt, -ENODATA, "does not match that in superblock");
	opt.snap_block = 0;
	sb_of(at)->uuid[0] ^= 1;
	refused_by(&opt, -EBADMSG, "metadata snap: ");
	sb_of(0)->held_root = le64_make(NR_META);
	seal(0);
	refused_by(&opt, -EUCLEAN, "metadata snap: block 300 lies beyond the end");
	sb_of(0)->held_root = le64_make(0);
	seal(0);
	refused_by(&opt, -ENODATA, "no current metadata snap");
	io_free(io);
}

/* --- the list of devices --- */

static int list(struct metadata_devices *d)
{
	const struct metadata_options opt = { 0 };
	struct stream stream;
	struct metadata md;
	int r = metadata_open(io, &opt, &md, &err);

	*d = (struct metadata_devices) { 0 };
	stream_init(&stream, io, NULL);
	return r ? r : metadata_devices_read(&md, &stream, d, &err);
}

static struct disk_node *node_at(mblock_t at)
{
	return (void *)sb_of(at);
}

/* The last key of a tree's only node. */
static void rename_last(mblock_t at, uint64_t id)
{
	struct disk_node *n = node_at(at);

	n->keys[le32_get(n->h.nr_entries) - 1] = le64_make(id);
	csum_seal(n, at, SALT_NODE);
}

static int list_and_free(void)
{
	struct metadata_devices d;
	int r = list(&d);

	metadata_devices_fini(&d);
	return r;
}

static void devices(void)
{
	struct metadata_devices d;

	begin();
	check_eq(list(&d), 0);
	check_eq(d.nr, 8);
	check_eq(d.nr_problems, 0);
	check(!metadata_devices_find(&d, 6));
	check_eq(metadata_devices_find(&d, 13)->info.dev_id, 13);
	metadata_devices_fini(&d);
	/* 13 in the details alone, 14 in the top level alone */
	rename_last(le64_get(sb_of(0)->mapping_root), 14);
	check_eq(list(&d), 0);
	check_eq(d.nr, 9);
	check_eq(d.nr_problems, 2);
	check_eq(d.nr_tree_problems, 0);
	check(d.damage);
	check(!metadata_devices_find(&d, 13)->has_root &&
	      metadata_devices_find(&d, 13)->has_details);
	check(metadata_devices_find(&d, 14)->has_root &&
	      !metadata_devices_find(&d, 14)->has_details);
	check(strstr(d.problem[0], "13") && strstr(d.problem[1], "14"));
	metadata_devices_fini(&d);
	check_each_request_failing(list_and_free(), &err);
	rename_last(le64_get(sb_of(0)->mapping_root), MAX_DEV_ID + 1);
	check_eq(list(&d), 0);
	check_eq(d.nr, 8); /* the large id is left out */
	check(d.damage);
	check_eq(d.nr_problems, 2);
	metadata_devices_fini(&d);
	check_each_request_failing(list_and_free(), &err);
	io_free(io);
}

int main(int argc, char **argv)
{
	static const struct test tests[] = {
		{ "a superblock that would misread all else is refused with its fault",
		  superblocks },
		{ "the held snapshot is read where it is, and refused where it is not", held },
		{ "devices of one tree alone and ids beyond the format are told", devices },
		{ 0 },
	};

	return tap_main(tests, argc, argv);
}
