/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Metadata that is built while power fails or the device does. */
#include <errno.h>

#include "io_fault.h"
#include "pool/format/superblock.h"
#include "story.h"
#include "tap.h"

#define CUT_BLOCKS 700

struct cut {
	struct io *base, *rec;
	struct model was, is;
};

/* An old pool on a device, then a new one written over it, and recorded. */
static void record_rebuild(struct cut *c, bool direct)
{
	struct io *io = io_mem_new("mem", CUT_BLOCKS * 4096);
	struct events e;

	io->direct = direct;
	c->was = new_model();
	c->is = new_model();
	c->base = io_mem_new("base", CUT_BLOCKS * 4096);
	e = sink(c->base);
	check_eq(tell(&e, 8, &c->was), 0);
	build_free(&e);
	memcpy(io_mem_data(io), io_mem_data(c->base), c->base->size);
	c->rec = io_fault_new(io);
	io_fault_record(c->rec);
	e = sink(c->rec);
	transaction = 78;
	check_eq(tell(&e, 9, &c->is), 0);
	transaction = 77;
	build_free(&e);
}

static void end_cut(struct cut *c)
{
	free(c->was.map);
	free(c->is.map);
	io_free(c->rec);
	io_free(c->base);
}

/* Power fails when @group's writes were on their way and those of @mask had arrived. */
static void cut(const struct cut *c, uint64_t group, uint64_t mask)
{
	struct io *io = io_mem_new("mem", CUT_BLOCKS * 4096);
	struct superblock sb;
	enum sb_fault f;

	memcpy(io_mem_data(io), io_mem_data(c->base), c->base->size);
	check_eq(io_fault_replay(c->rec, group, mask, io, &err), 0);
	f = superblock_open(&sb, io_mem_data(io), 0);
	check(f != SB_ALL_ZERO);
	if (f == SB_OK && sb.transaction_id == 77) {
		check(group == 0 && !(mask & 1));
		check_good(io, &c->was);
	} else if (f == SB_OK) {
		check(group >= 2);
		check_good(io, &c->is);
	} else {
		check(group < 3);
	}
	io_free(io);
}

static void cut_everywhere(bool direct)
{
	struct cut c;

	record_rebuild(&c, direct);
	check_eq(io_fault_nr_groups(c.rec), 3);
	check_eq(io_fault_group_len(c.rec, 0), 1);
	check_eq(io_fault_group_len(c.rec, 2), 1);
	for (uint64_t group = 0; group <= 3; group++) {
		for (unsigned i = 0; i <= io_fault_group_len(c.rec, group); i++)
			cut(&c, group, (1ull << i) - 1);
		for (unsigned i = 0; i < 10; i++)
			cut(&c, group, rnd(UINT64_MAX));
	}
	end_cut(&c);
}

static void power_cuts(void)
{
	cut_everywhere(false);
	cut_everywhere(true);
}

static void failing_device(void)
{
	struct model m = new_model();
	struct superblock sb;
	struct events e;
	struct io *io;
	uint64_t i = 0, nr;
	int r;

	do {
		io = io_fault_new(io_mem_new("mem", CUT_BLOCKS * 4096));
		if (i % 2)
			io_fault_fail_flush(io, i / 2, -EIO);
		else
			io_fault_fail_write(io, i / 2, -ENOSPC);
		e = sink(io);
		r = tell(&e, 9, &m);
		check(r == 0 || r == (i % 2 ? -EIO : -ENOSPC));
		if (r) { /* nothing goes on, and the pool is not there */
			char block[4096];

			check(e.ops->end_pool(e.ctx, &err) < 0);
			check_eq(io_read(io, block, sizeof(block), 0, &err), 0);
			check(superblock_open(&sb, block, 0) != SB_OK || (i % 2 && i / 2 == 2));
		}
		build_free(&e);
		nr = io_fault_nr_writes(io);
		io_free(io);
		i++;
	} while (i < 2 * nr + 2);
	free(m.map);
}

static const struct test tests[] = {
	{ "a power cut at any write, in any order, leaves the old pool, the new one, or neither", power_cuts },
	{ "a failing write or flush leaves no pool", failing_device },
	{ 0 }
};

int main(int argc, char **argv)
{
	return tap_main(tests, argc, argv);
}
