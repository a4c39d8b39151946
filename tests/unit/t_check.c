/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* What the command tests cannot see: which blocks are read, failing devices, power cuts. */
#include <errno.h>

#include "pdata/block/csum.h"
#include "pool/build/build.h"
#include "pool/check/check.h"
#include "pool/check/fix.h"
#include "pool/format/format.h"
#include "io_fault.h"
#include "tap.h"

#define NR_BLOCKS 2048
#define NR_DATA	  50000

static struct err err;
static struct check_result result;

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

/* --- a pool --- */

static void tell(struct events *e, uint64_t v, uint64_t d, uint64_t len, uint32_t time)
{
	struct run r = { .vbegin = v, .dbegin = d, .len = len, .time = time };

	check_eq(e->ops->runs(e->ctx, &r, 1, &err), 0);
}

/* 3,000 mappings that devices 1 and 2 share, and single blocks all over the place for each of three. */
static struct io *make_pool(void)
{
	struct io *io = io_mem_new("pool", (uint64_t)NR_BLOCKS * MBLOCK_SIZE);
	struct pool_info p = {
		.time = 5, .transaction = 9, .data_block_size = 128, .nr_data_blocks = NR_DATA
	};
	struct events e = { 0 };

	check(io);
	check_eq(build_new(io, NULL, &e, &err), 0);
	check_eq(e.ops->begin_pool(e.ctx, &p, &err), 0);
	check_eq(e.ops->begin_def(e.ctx, 1, &err), 0);
	for (uint64_t i = 0; i < 3000; i++)
		tell(&e, i, 40000 + (i * 7) % 3000, 1, 1);
	check_eq(e.ops->end_def(e.ctx, &err), 0);
	for (uint32_t dev = 1; dev <= 3; dev++) {
		struct device_info d = {
			.dev_id = dev, .transaction = 1, .creation_time = 1, .snap_time = 4
		};

		check_eq(e.ops->begin_device(e.ctx, &d, &err), 0);
		if (dev < 3)
			check_eq(e.ops->ref(e.ctx, 1, &err), 0);
		for (uint64_t i = 0; i < 4000; i++)
			tell(&e, 10000 + i * 2, dev * 10000 + (i * 13) % 4000, 1, 5);
		check_eq(e.ops->end_device(e.ctx, &err), 0);
	}
	check_eq(e.ops->end_pool(e.ctx, &err), 0);
	build_free(&e);
	return io;
}

static uint8_t *block_of(struct io *io, mblock_t b)
{
	return (uint8_t *)io_mem_data(io) + b * MBLOCK_SIZE;
}

static struct disk_superblock *sb_of(struct io *io)
{
	return (struct disk_superblock *)block_of(io, 0);
}

static int run(struct io *io, unsigned nr_jobs)
{
	struct check_options opt = { 0 };
	struct jobs *jobs = jobs_new(nr_jobs);
	int r;

	check_result_fini(&result);
	r = check_run(io, jobs, &opt, &result, &err);
	jobs_free(jobs);
	return r;
}

static bool found(enum finding_kind kind)
{
	for (size_t i = 0; i < result.findings.nr; i++)
		if (result.findings.f[i].kind == kind)
			return true;
	return false;
}

/* The bitmap of a block of the metadata map */
static mblock_t metadata_bitmap(struct io *io)
{
	const struct disk_index *x =
		(struct disk_index *)block_of(io, le64_get(sb_of(io)->metadata_sm.bitmap_root));

	return le64_get(x->entry[0].blocknr);
}

static void set_metadata_pair(struct io *io, mblock_t b, unsigned pair)
{
	mblock_t at = metadata_bitmap(io);
	struct disk_bitmap *bm = (struct disk_bitmap *)block_of(io, at);

	bm->bits[b / 4] = (uint8_t)((bm->bits[b / 4] & ~(3u << 2 * (b % 4))) | pair << 2 * (b % 4));
	csum_seal(bm, at, SALT_BITMAP);
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

/* --- fixing --- */

static void leak_and_miscount(struct io *io)
{
	struct disk_superblock *sb = sb_of(io);

	for (mblock_t b = 1500; b < 1510; b++)
		set_metadata_pair(io, b, b % 2 ? 2 : 1);
	sb->data_sm.nr_allocated = le64_make(3);
	sb->flags = le32_make(THIN_NEEDS_CHECK);
	csum_seal(sb, 0, SALT_SUPERBLOCK);
}

static int fix(struct io *io, struct fix_report *rep)
{
	struct jobs *jobs = jobs_new(2);
	int r = fix_run(io, jobs, &result, rep, &err);

	jobs_free(jobs);
	return r;
}

static void fix_what_is_wrong(void)
{
	struct io *io = make_pool();
	struct fix_report rep;

	leak_and_miscount(io);
	check_eq(run(io, 2), 0);
	check(found(FOUND_LEAK) && found(FOUND_NR_ALLOCATED));
	check_eq(fix(io, &rep), 0);
	check_eq(rep.metadata_leaks, 10);
	check_eq(rep.data_leaks, 0);
	check(rep.totals && rep.flag);
	check_eq(run(io, 2), 0);
	check_eq(result.findings.nr, 0);
	check_eq(le32_get(sb_of(io)->flags), 0);
	io_free(io);
}

static void fix_nothing(void)
{
	struct io *io = io_fault_new(make_pool());
	struct fix_report rep;

	check_eq(run(io, 1), 0);
	check_eq(fix(io, &rep), 0);
	check_eq(io_fault_nr_writes(io), 0);
	check_eq(io_fault_nr_flushes(io), 0);
	io_free(io);
}

static void copy_mem(struct io *to, struct io *from)
{
	memcpy(io_mem_data(to), io_mem_data(from), to->size);
}

/*
 * Cuts the power at any write of the fix that @io has recorded, which began with @before.  What is left must be as
 * @judge says, and another fix leaves no finding.
 */
static void cut_at_each_write(const struct io *io, struct io *before, void (*judge)(void))
{
	struct io *after = io_mem_new("after", before->size);
	struct fix_report rep;

	check_eq(io_fault_nr_groups(io), 2);
	for (uint64_t g = 0; g < 2; g++) {
		uint64_t len = io_fault_group_len(io, g);

		check(len < 10);
		for (uint64_t mask = 0; mask < 1ull << len; mask++) {
			copy_mem(after, before);
			check_eq(io_fault_replay(io, g, mask, after, &err), 0);
			check_eq(run(after, 1), 0);
			judge();
			check_eq(fix(after, &rep), 0);
			check_eq(run(after, 1), 0);
			check_eq(result.findings.nr, 0);
		}
	}
	io_free(after);
}

static void no_damage(void)
{
	check(!findings_any(&result.findings, FINDING_FATAL));
}

/* After a power cut at any write there are only leaks and wrong counters, never damage. */
static void cut_everywhere(void)
{
	struct io *before = make_pool(), *work = io_mem_new("work", before->size);
	struct io *io = io_fault_new(work);
	struct fix_report rep;

	leak_and_miscount(before);
	copy_mem(work, before);
	check_eq(run(io, 1), 0);
	io_fault_record(io);
	check_eq(fix(io, &rep), 0);
	check_eq(io_fault_group_len(io, 1), 1); /* space maps; superblock */
	cut_at_each_write(io, before, no_damage);
	io_free(before);
	io_free(io);
}

/* Devices 1 and 2 share blocks of time 1: snapshot times below 2 do not protect them. */
static void unprotect(struct io *io)
{
	mblock_t at = le64_get(sb_of(io)->details_root);
	struct node n;

	check_eq(node_open(&n, block_of(io, at), at, sizeof(struct disk_details)), NODE_OK);
	for (uint32_t i = 0; i < n.nr; i++) {
		size_t off = (size_t)((const uint8_t *)node_value(&n, i) - block_of(io, at));

		((struct disk_details *)(block_of(io, at) + off))->snapshotted_time = le32_make(i);
	}
	csum_seal(block_of(io, at), at, SALT_NODE);
	sb_of(io)->time = le32_make(1);
	csum_seal(sb_of(io), 0, SALT_SUPERBLOCK);
}

static void can_be_mended(void)
{
	check(fix_mends(&result));
}

/* After a power cut at any write times are what they were or better, and can be raised again. */
static void cut_while_times_are_raised(void)
{
	struct io *before = make_pool(), *work = io_mem_new("work", before->size);
	struct io *io = io_fault_new(work);
	struct fix_report rep;

	unprotect(before);
	copy_mem(work, before);
	check_eq(run(io, 1), 0);
	check(found(FOUND_SHARED_TIME) && found(FOUND_MAPPING_TIME));
	io_fault_record(io);
	check_eq(fix(io, &rep), 0);
	check_eq(rep.nr_raised, 2);
	check_eq(rep.time, 5);
	for (uint64_t g = 0; g < 2; g++)
		check_eq(io_fault_group_len(io, g), 1); /* the clock; the details */
	cut_at_each_write(io, before, can_be_mended);
	io_free(before);
	io_free(io);
}

static void failing_writes(void)
{
	for (uint64_t n = 0; n < 4; n++) {
		struct io *io = io_fault_new(make_pool());
		struct fix_report rep;
		int r;

		/* the memory below the faults */
		struct io *pool = make_pool();

		leak_and_miscount(pool);
		check_eq(io_write(io, io_mem_data(pool), pool->size, 0, &err), 0);
		check_eq(run(io, 1), 0);
		io_fault_fail_write(io, io_fault_nr_writes(io) + n, -ENOSPC);
		r = fix(io, &rep);
		check(r == -ENOSPC || n >= 2);
		check_eq(run(io, 1), 0);
		check(!findings_any(&result.findings, FINDING_FATAL));
		io_free(io);
		io_free(pool);
	}
}

static void large_leaks_are_refused(void)
{
	struct io *io = make_pool(), *before = io_mem_new("before", io->size);
	mblock_t at = le64_get(sb_of(io)->metadata_sm.ref_count_root);
	struct disk_node *n = (struct disk_node *)block_of(io, at);
	le32 count = le32_make(7);
	struct fix_report rep;

	check_eq(le32_get(n->h.nr_entries), 0);
	n->h.nr_entries = le32_make(1);
	n->keys[0] = le64_make(1600);
	memcpy(&n->keys[336], &count, 4);
	csum_seal(n, at, SALT_NODE);
	set_metadata_pair(io, 1600, 3);
	copy_mem(before, io);
	check_eq(run(io, 1), 0);
	check(found(FOUND_LEAK) && !findings_any(&result.findings, FINDING_FATAL));
	check_eq(fix(io, &rep), -EUCLEAN);
	check(strstr(err.text, "thin_repair"));
	check(!memcmp(io_mem_data(io), io_mem_data(before), io->size));
	io_free(io);
	io_free(before);
}

static const struct test tests[] = {
	{ "a check reads each used block exactly once, with one worker and with four",
	  every_block_once },
	{ "blocks marked as used are not read to bridge a gap", gaps_of_used_blocks },
	{ "a bad sector under any block becomes a finding, not a failure", a_bad_sector },
	{ "a bad sector under the superblock is an I/O error", a_bad_superblock_sector },
	{ "leaks, totals and the flag are put right", fix_what_is_wrong },
	{ "a sound pool is neither written nor flushed", fix_nothing },
	{ "a power cut at any write of a fix leaves at worst leaks", cut_everywhere },
	{ "power cuts while times are raised leave what can be raised again", cut_while_times_are_raised },
	{ "a failed write is an error and no damage", failing_writes },
	{ "a leak with an entry in the tree of large counts is refused untouched",
	  large_leaks_are_refused },
	{ 0 }
};

int main(int argc, char **argv)
{
	int r = tap_main(tests, argc, argv);

	check_result_fini(&result);
	return r;
}
