/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Repairs in place: failing writes, power cuts, pools that have changed meanwhile. */
#include <errno.h>

#include "check_world.h"
#include "io_fault.h"
#include "pool/check/fix.h"

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

/* --- what changes between a check and its repair --- */

/* Checks @io, lets @change change it, and repairs: that ends before block 0 is written. */
static void fix_refuses(struct io *io, void (*change)(struct io *io))
{
	uint8_t before[MBLOCK_SIZE];
	struct fix_report rep;

	check_eq(run(io, 1), 0);
	check(fix_mends(&result));
	change(io);
	memcpy(before, block_of(io, 0), MBLOCK_SIZE);
	check_eq(fix(io, &rep), -EUCLEAN);
	check(strstr(err.text, "has changed since it was checked"));
	check(!memcmp(block_of(io, 0), before, MBLOCK_SIZE));
	io_free(io);
}

static void change_bitmap(struct io *io)
{
	block_of(io, metadata_bitmap(io))[100] ^= 1;
}

static void change_data_index(struct io *io)
{
	mblock_t at = le64_get(sb_of(io)->data_sm.bitmap_root);
	struct disk_node *n = (struct disk_node *)block_of(io, at);

	n->h.max_entries = le32_make(7); /* no node any more */
	csum_seal(n, at, SALT_NODE);
}

static void change_details(struct io *io)
{
	mblock_t at = le64_get(sb_of(io)->details_root);
	struct disk_node *n = (struct disk_node *)block_of(io, at);

	n->h.max_entries = le32_make(7);
	csum_seal(n, at, SALT_NODE);
}

static void leak_data(struct io *io)
{
	mblock_t root = le64_get(sb_of(io)->data_sm.bitmap_root), at;
	const struct disk_index_entry *x;
	struct disk_bitmap *bm;
	struct node n;

	check_eq(node_open(&n, block_of(io, root), root, sizeof(*x)), NODE_OK);
	x = node_value(&n, 0);
	at = le64_get(x->blocknr);
	bm = (struct disk_bitmap *)block_of(io, at);
	bm->bits[5 / 4] = (uint8_t)(bm->bits[5 / 4] | 2u << 2 * (5 % 4)); /* no device has block 5 */
	csum_seal(bm, at, SALT_BITMAP);
}

static void changes_are_seen(void)
{
	struct io *io = make_pool();

	leak_and_miscount(io);
	fix_refuses(io, change_bitmap);
	io = make_pool();
	leak_data(io);
	fix_refuses(io, change_data_index);
	io = make_pool();
	unprotect(io);
	sb_of(io)->time = le32_make(5);
	csum_seal(sb_of(io), 0, SALT_SUPERBLOCK);
	fix_refuses(io, change_details);
}

/* The flag alone is cleared only where a check has found nothing that the kernel would trip over. */
static void flag_stays(void)
{
	struct io *io = make_pool();
	struct fix_report rep;
	mblock_t root = le64_get(sb_of(io)->mapping_root);

	leak_and_miscount(io);
	block_of(io, root)[100] ^= 1;
	check_eq(run(io, 1), 0);
	check_eq(fix_clear_flag(io, &result, &rep, &err), -EUCLEAN);
	check_eq(le32_get(sb_of(io)->flags), THIN_NEEDS_CHECK);
	io_free(io);
}

static const struct test tests[] = {
	{ "what has changed since the check is not repaired", changes_are_seen },
	{ "needs_check stays set on a damaged pool", flag_stays },
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
