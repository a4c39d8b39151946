/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* What the command tests cannot see: which blocks are read, failing devices. */
#include <errno.h>

#include "check_world.h"
#include "io_fault.h"

/* --- an io that counts how often each block is read --- */

struct counting {
	struct io io;
	struct io *lower;
	_Atomic unsigned reads[NR_BLOCKS];
	mblock_t bad; /* reading it fails; 0: none does */
};

static int counting_read(struct io *io, void *buf, size_t len, uint64_t at, struct err *e)
{
	struct counting *c = (struct counting *)io;

	for (uint64_t b = at / MBLOCK_SIZE; b < (at + len) / MBLOCK_SIZE; b++) {
		c->reads[b]++;
		if (c->bad && b == c->bad)
			return err_set(e, -EIO, "this block is bad");
	}
	return io_read(c->lower, buf, len, at, e);
}

static const struct io_ops counting_ops = { .read = counting_read };

static struct counting *counting_new(struct io *lower)
{
	struct counting *c = calloc(1, sizeof(*c));

	c->io = (struct io) {
		.ops = &counting_ops, .name = "counting", .size = lower->size, .align = 1, .fd = -1
	};
	c->lower = lower;
	return c;
}

static void every_block_once(void)
{
	for (unsigned jobs = 1; jobs <= 4; jobs += 3) {
		struct io *io = make_pool();
		struct counting *c = counting_new(io);
		uint64_t used = 0;

		check_eq(run(&c->io, jobs), 0);
		check_eq(result.findings.nr, 0);
		check(result.complete);
		check_eq(result.nr_mappings, 15000);
		for (mblock_t b = 0; b < NR_BLOCKS; b++) {
			check(c->reads[b] <= 1);
			used += c->reads[b];
		}
		check(used >= refmap_nr_allocated(result.metadata.counts));
		for (mblock_t b = 0; b < NR_BLOCKS; b++)
			check(c->reads[b] || !refmap_get(result.metadata.counts, b));
		free(c);
		io_free(io);
	}
}

/* Two devices begin with long runs; then come short ones, all in a small part of a large data device. */
static struct io *make_large_pool(void)
{
	struct io *io = io_mem_new("large", 8192 * MBLOCK_SIZE);
	struct pool_info p = {
		.time = 5, .transaction = 9, .data_block_size = 128, .nr_data_blocks = 60000000
	};
	struct events e = { 0 };

	check(io);
	check_eq(build_new(io, NULL, &e, &err), 0);
	check_eq(e.ops->begin_pool(e.ctx, &p, &err), 0);
	for (uint32_t dev = 1; dev <= 2; dev++) {
		struct device_info d = {
			.dev_id = dev, .transaction = 1, .creation_time = 1, .snap_time = 4
		};

		check_eq(e.ops->begin_device(e.ctx, &d, &err), 0);
		for (uint64_t i = 0; i < 10; i++)
			tell(&e, i * 20000, 100000 + (i * 3 + dev) % 10 * 20001, 20000, 1);
		for (uint64_t i = 0; i < 60000; i++)
			tell(&e, 1000000 + i * 10, i * 7919 % 500, 1 + i % 6, 1);
		check_eq(e.ops->end_device(e.ctx, &err), 0);
	}
	check_eq(e.ops->end_pool(e.ctx, &err), 0);
	build_free(&e);
	return io;
}

static void any_number_of_workers(void)
{
	struct io *io = make_large_pool();

	for (unsigned jobs = 1; jobs <= 4; jobs++) {
		check_eq(run(io, jobs), 0);
		check_eq(result.findings.nr, 0);
		check(result.complete);
		check_eq(result.nr_mappings, 2 * (200000 + 210000));
	}
	io_free(io);
}

static void gaps_of_used_blocks(void)
{
	struct io *io = make_pool();
	struct counting *c = counting_new(io);

	/* all blocks are marked as used, so none may be read in passing; all nodes are read nevertheless */
	for (mblock_t b = 0; b < NR_BLOCKS; b++)
		set_metadata_pair(io, b, 2);
	check_eq(run(&c->io, 1), 0);
	for (mblock_t b = 0; b < NR_BLOCKS; b++)
		check_eq(c->reads[b], refmap_get(result.metadata.counts, b) != 0);
	free(c);
	io_free(io);
}

static void a_bad_sector(void)
{
	struct io *io = make_pool();
	struct counting *c = counting_new(io);
	uint64_t nr_unreadable = 0;

	for (mblock_t b = 1; b < 200; b++) {
		c->bad = b;
		check_eq(run(&c->io, 1 + b % 2), 0);
		if (!result.metadata.counts || !refmap_get(result.metadata.counts, b))
			continue;
		check(findings_any(&result.findings, FINDING_FATAL));
		nr_unreadable += found(FOUND_NODE_UNREADABLE);
	}
	check(nr_unreadable > 30);
	c->bad = 0;
	free(c);
	io_free(io);
}

static void a_bad_superblock_sector(void)
{
	struct io *io = io_fault_new(make_pool());

	io_fault_fail_read(io, 0, -EIO);
	check_eq(run(io, 1), -EIO);
	io_free(io);
}

/* A copy of the leaf @from at @to, which is free, with its last entry alone. */
static void last_entry(struct io *io, mblock_t from, mblock_t to, uint32_t value_size)
{
	struct disk_node *n = (struct disk_node *)block_of(io, to);
	uint32_t nr, most;
	uint8_t *values;

	memcpy(n, block_of(io, from), MBLOCK_SIZE);
	nr = le32_get(n->h.nr_entries);
	most = le32_get(n->h.max_entries);
	values = (uint8_t *)&n->keys[most];
	n->keys[0] = n->keys[nr - 1];
	memmove(values, values + (size_t)(nr - 1) * value_size, value_size);
	n->h.nr_entries = le32_make(1);
	csum_seal(n, to, SALT_NODE);
	set_metadata_pair(io, to, 2);
}

/* A metadata snapshot is held with devices 1 to 3, of which 1 and 2 have been deleted since. */
static void hold(struct io *io)
{
	struct disk_superblock *sb = sb_of(io);
	mblock_t top = le64_get(sb->mapping_root), details = le64_get(sb->details_root);
	struct node n;

	memcpy(block_of(io, 1900), sb, MBLOCK_SIZE);
	csum_seal(block_of(io, 1900), 1900, SALT_SUPERBLOCK);
	set_metadata_pair(io, 1900, 2);
	check_eq(node_open(&n, block_of(io, top), top, 8), NODE_OK);
	set_metadata_pair(io, node_value64(&n, 2), 1);
	last_entry(io, top, 1901, 8);
	last_entry(io, details, 1902, sizeof(struct disk_details));
	sb->mapping_root = le64_make(1901);
	sb->details_root = le64_make(1902);
	sb->held_root = le64_make(1900);
	sb->metadata_sm.nr_allocated = le64_make(le64_get(sb->metadata_sm.nr_allocated) + 3);
	csum_seal(sb, 0, SALT_SUPERBLOCK);
}

/* The kernel never writes through a held metadata snapshot, so its times protect nothing. */
static void held_times(void)
{
	struct io *io = make_pool();

	unprotect(io);
	sb_of(io)->time = le32_make(5);
	csum_seal(sb_of(io), 0, SALT_SUPERBLOCK);
	check_eq(run(io, 1), 0);
	check(found(FOUND_SHARED_TIME));
	hold(io);
	check_eq(run(io, 1), 0);
	check(result.complete && !found(FOUND_SHARED_TIME));
	no_damage();
	io_free(io);
}

/* Block 0 begins with its checksum, whose bytes may be any. */
static void looks_like_text(void)
{
	static const char *const begins[] = { "<", "\n <", "\xef\xbb\xbf<?xml" };

	for (size_t i = 0; i < ARRAY_SIZE(begins); i++) {
		struct io *io = make_pool();

		memcpy(block_of(io, 0), begins[i], strlen(begins[i]));
		check_eq(run(io, 1), 0);
		check(found(FOUND_SB_CSUM));
		io_free(io);
	}
}

static void tiny_device(void)
{
	struct io *io = io_mem_new("tiny", MBLOCK_SIZE - 1);

	check_eq(run(io, 1), -EINVAL);
	check(strstr(err.text, "too small"));
	io_free(io);
}

static const struct test tests[] = {
	{ "a damaged superblock whose checksum begins as XML does is still a superblock", looks_like_text },
	{ "a device that holds no block is refused", tiny_device },
	{ "times of devices that only a held metadata snapshot has are not judged", held_times },
	{ "a check reads each used block exactly once, with one worker and with four",
	  every_block_once },
	{ "blocks of long and of short runs are counted right by any number of workers", any_number_of_workers },
	{ "blocks marked as used are not read to bridge a gap", gaps_of_used_blocks },
	{ "a bad sector under any block becomes a finding, not a failure", a_bad_sector },
	{ "a bad sector under the superblock is an I/O error", a_bad_superblock_sector },
	{ 0 }
};

int main(int argc, char **argv)
{
	int r = tap_main(tests, argc, argv);

	check_result_fini(&result);
	return r;
}
