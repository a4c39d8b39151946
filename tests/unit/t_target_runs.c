/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* The thin target: writes of several blocks at once, and what a device remembers of where its blocks are. */
#include "target_pool.h"

#define NR_META 300u
#define NR_DATA 100u
#define NR_V	120u

static uint8_t many[NR_V * BS], got[NR_V * BS];

static void setup(void)
{
	new_pool(NR_META, NR_DATA, &(struct target_options){ 0 }, (uint64_t)NR_V * BS);
}

/* Closes the pool, which must be sound. */
static void teardown(void)
{
	check_eq(target_close(w.t, &err), 0);
	check_metadata(w.meta);
	free_pool();
}

/* Blocks [v, v+nr) get bytes of their own: of @seed and the block. */
static int write_blocks(struct target_dev *dev, unsigned v, unsigned nr, unsigned seed)
{
	for (unsigned k = 0; k < nr; k++)
		memset(many + (size_t)k * BS, (int)(seed + v + k), BS);
	return target_write(dev, many, (size_t)nr * BS, (uint64_t)v * BS, &err);
}

static void check_blocks(struct target_dev *dev, unsigned v, unsigned nr, unsigned seed)
{
	check_eq(target_read(dev, got, (size_t)nr * BS, (uint64_t)v * BS, &err), 0);
	for (unsigned k = 0; k < nr; k++) {
		check_eq(got[(size_t)k * BS], (uint8_t)(seed + v + k));
		check(!memcmp(got + (size_t)k * BS, got + (size_t)k * BS + 1, BS - 1));
	}
}

static void check_zeros(struct target_dev *dev, unsigned v)
{
	memset(got, 1, BS);
	check_eq(target_read(dev, got, BS, (uint64_t)v * BS, &err), 0);
	check(!got[0] && !memcmp(got, got + 1, BS - 1));
}

static struct edit_space space(void)
{
	struct edit_space s;

	edit_space(target_pool(w.t), &s);
	return s;
}

/* Of blocks 0 to 7, 2 has a data block, 4 and 5 share theirs with a snapshot. */
static void mixed(void)
{
	struct target_dev *snap;

	setup();
	check_eq(write_blocks(w.dev, 4, 2, 100), 0);
	message(MSG_CREATE_SNAP, 1, 0);
	snap = open_dev(1, (uint64_t)NR_V * BS, NULL);
	check_eq(write_blocks(w.dev, 2, 1, 100), 0);
	check_blocks(snap, 4, 2, 100);
	check_eq(write_blocks(w.dev, 0, 8, 0), 0);
	check_eq(space().data_total - space().data_free, 10);
	check_blocks(w.dev, 0, 8, 0);
	check_blocks(snap, 4, 2, 100);
	check_zeros(snap, 2);
	teardown();
}

static void full(void)
{
	setup();
	check_eq(write_blocks(w.dev, 0, NR_DATA - 3, 0), 0);
	check_eq(write_blocks(w.dev, 105, 5, 0), -EXFULL);
	check_eq(space().data_free, 0);
	check_blocks(w.dev, 105, 3, 0);
	check_zeros(w.dev, 108);
	check_blocks(w.dev, 0, NR_DATA - 3, 0);
	teardown();
}

static void failed_write(void)
{
	setup();
	io_fault_fail_write(w.data, io_fault_nr_writes(w.data), -EIO);
	check_eq(write_blocks(w.dev, 0, 5, 0), -EIO);
	check_eq(space().data_free, NR_DATA);
	check_zeros(w.dev, 0);
	check_eq(write_blocks(w.dev, 0, 5, 0), 0);
	check_blocks(w.dev, 0, 5, 0);
	teardown();
}

static void two_names(void)
{
	struct target_dev *other, *snap;

	setup();
	other = open_dev(0, (uint64_t)NR_V * BS, NULL);
	check_zeros(other, 1);
	check_eq(write_blocks(w.dev, 0, 3, 0), 0);
	check_blocks(other, 0, 3, 0);
	message(MSG_CREATE_SNAP, 1, 0);
	snap = open_dev(1, (uint64_t)NR_V * BS, NULL);
	check_blocks(other, 0, 3, 0);
	check_blocks(snap, 0, 3, 0);
	check_eq(write_blocks(w.dev, 1, 2, 60), 0);
	check_blocks(other, 0, 1, 0);
	check_blocks(other, 1, 2, 60);
	check_blocks(snap, 0, 3, 0);
	check_eq(target_discard(other, 2 * BS, BS, &err), 0);
	check_zeros(w.dev, 2);
	teardown();
}

static void bad_neighbour(void)
{
	setup();
	check_eq(write_blocks(w.dev, 3, 1, 0), 0);
	check_eq(edit_map(target_pool(w.t), 0, 4, NR_DATA + 5, &err), 0);
	check_eq(target_flush(w.t, &err), 0);
	target_drop(w.t);
	for (int round = 0; round < 2; round++) {
		struct target_options opt = { 0 };
		struct pool_edit *pool;

		check_eq(edit_open(w.meta, true, &pool, &err), 0);
		check_eq(target_new(pool, w.data, &opt, &w.t, &err), 0);
		w.dev = open_dev(0, (uint64_t)NR_V * BS, NULL);
		check_blocks(w.dev, 3, 1, 0);
		check_zeros(w.dev, 5);
		check_eq(target_read(w.dev, got, BS, 4 * BS, &err), -EUCLEAN);
		check_eq(write_blocks(w.dev, 4, 1, 0), -EUCLEAN);
		check_eq(write_blocks(w.dev, 3, 1, 0), 0);
		target_drop(w.t);
	}
	io_free(w.meta);
	io_free(w.data);
}

int main(int argc, char **argv)
{
	static const struct test tests[] = {
		{ "one write over blocks that are mapped, shared and unmapped leaves the snapshot as it was", mixed },
		{ "of a write that does not fit, the blocks that fit are written", full },
		{ "after a failed write of several blocks their data blocks are free again", failed_write },
		{ "what is written under one name of a device is read under its other name", two_names },
		{ "a block beside one whose mapping is damaged is read and written", bad_neighbour },
		{ 0 },
	};

	return tap_main(tests, argc, argv);
}
