/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* The thin target, one behaviour at a time; t_target_model does everything in any order. */
#include "target_pool.h"

#define NR_META	  300u
#define NR_DATA	  100u
#define MANY_DATA 16000ull
#define DEV_BYTES (50ull * BS)

static uint8_t block[BS];

static void setup(void)
{
	new_pool(NR_META, NR_DATA, &(struct target_options){ 0 }, DEV_BYTES);
	memset(block, 0x5a, sizeof(block));
}

static void teardown(void)
{
	target_drop(w.t);
	free_pool();
}

static bool needs_check(void)
{
	struct pool_edit *pool;
	bool is;

	check_eq(edit_open(w.meta, false, &pool, &err), 0);
	is = edit_superblock(pool)->flags & 1;
	edit_free(pool);
	return is;
}

static uint64_t mapped(void)
{
	struct device_info d;

	check_eq(edit_device(target_pool(w.t), 0, &d, &err), 0);
	return d.mapped_blocks;
}

/* A device that lost writes fails one flush; its next flush succeeds. */
static void lost_data(void)
{
	setup();
	check_eq(target_write(w.dev, block, BS, 0, &err), 0);
	check_eq(target_flush(w.t, &err), 0);
	check_eq(target_write(w.dev, block, BS, BS, &err), 0);
	io_fault_fail_flush(w.data, io_fault_nr_flushes(w.data), -EIO);
	check_eq(target_flush(w.t, &err), -EIO);
	check_eq(target_flush(w.t, &err), -EIO);
	check_eq(target_tick(w.t, &err), 0);
	check_eq(mapped(), 1);
	check(needs_check());
	check_eq(target_write(w.dev, block, BS, BS, &err), -EROFS);
	check_eq(target_write(w.dev, block, BS, 0, &err), 0);
	check_eq(target_flush(w.t, &err), -EIO);
	teardown();
}

static void lost_in_place(void)
{
	setup();
	check_eq(target_write(w.dev, block, BS, 0, &err), 0);
	check_eq(target_flush(w.t, &err), 0);
	check_eq(target_write(w.dev, block, BS, 0, &err), 0);
	io_fault_fail_flush(w.data, io_fault_nr_flushes(w.data), -EIO);
	check_eq(target_flush(w.t, &err), -EIO);
	check_eq(target_flush(w.t, &err), -EIO);
	check_eq(target_close(w.t, &err), -EIO);
	free_pool();
}

/* Whose the data blocks are depends on which superblock is there. */
static void lost_superblock(void)
{
	uint64_t n;

	setup();
	check_eq(target_write(w.dev, block, BS, 0, &err), 0);
	check_eq(target_flush(w.t, &err), 0);
	check_eq(target_write(w.dev, block, BS, BS, &err), 0);
	n = io_fault_nr_flushes(w.meta);
	io_fault_fail_flush(w.meta, n + 1, -EIO); /* that of the superblock */
	io_fault_fail_read(w.meta, io_fault_nr_reads(w.meta), -EIO);
	check_eq(target_flush(w.t, &err), -EIO);
	check_eq(target_write(w.dev, block, BS, 0, &err), -EROFS);
	check_eq(target_read(w.dev, block, BS, 0, &err), 0);
	check_eq(target_close(w.t, &err), -EIO);
	free_pool();
}

static void zeros_over_nothing(void)
{
	setup();
	check_eq(target_zero(w.dev, BS, BS / 2, true, &err), 0); /* these ranges hold no whole block */
	check_eq(target_zero(w.dev, 4 * BS, BS / 2, true, &err), 0);
	check_eq(target_zero(w.dev, 100, 7, true, &err), 0);
	check_eq(mapped(), 0);
	check_eq(target_write(w.dev, block, BS, 0, &err), 0);
	check_eq(target_zero(w.dev, BS, BS / 2, true, &err), 0);
	check_eq(mapped(), 1);
	check_eq(target_read(w.dev, block, BS, 0, &err), 0);
	check_eq(block[BS / 2 - 1], 0x5a);
	for (unsigned i = BS / 2; i < BS; i++)
		check_eq(block[i], 0);
	check_eq(target_zero(w.dev, BS, 5 * BS, false, &err), 0);
	check_eq(mapped(), 2);
	teardown();
}

/* Writes apart from each other until there is no metadata left, as a fragmented disk does. */
static void discard_when_full(void)
{
	uint64_t n = 0;
	int r = 0;

	new_pool(80, MANY_DATA, &(struct target_options){ .skip_zeroing = true }, 1ull << 40);
	while (!r && n < MANY_DATA)
		r = target_write(w.dev, block, 512, n++ * BS, &err);
	check_eq(r, -EXFULL);
	check_eq(target_discard(w.dev, 1ull << 40, 0, &err), 0);
	check_eq(mapped(), 0);
	check_eq(target_write(w.dev, block, 512, 0, &err), 0);
	check_eq(target_flush(w.t, &err), 0);
	check(!needs_check());
	teardown();
}

/* One mix of features, state of the blocks, origin, and range. */
struct zero_mix {
	unsigned features; /* 1 skip_block_zeroing, 2 ignore_discard, 4 no_discard_passdown */
	unsigned state;	   /* 0 unmapped, 1 mapped, 2 shared with a snapshot */
	unsigned origin;   /* bytes; 0: none */
	uint32_t at, len;
	bool may_unmap, trim_first;
};

static void zero_pool(const struct zero_mix *m, struct io *origin)
{
	struct target_options opt = { .skip_zeroing = m->features & 1,
				      .ignore_discard = m->features & 2,
				      .no_passdown = m->features & 4 };
	static uint8_t whole[4 * BS];

	w.meta = io_mem_new("metadata", NR_META * 4096ull);
	w.data = io_mem_new("data", (uint64_t)NR_DATA * BS);
	memset(io_mem_data(w.data), 'o', (size_t)NR_DATA * BS);
	format_pool(BS, NR_DATA, &opt);
	w.dev = open_dev(0, sizeof(whole), origin);
	memset(whole, 'w', sizeof(whole));
	if (m->state)
		check_eq(target_write(w.dev, whole, sizeof(whole), 0, &err), 0);
	if (m->state == 2)
		message(MSG_CREATE_SNAP, 1, 0);
	if (m->trim_first)
		check_eq(target_discard(w.dev, m->len, m->at, &err), 0);
}

/* Zeros are written, then a sector of each block that they touch: the other zeros stay. */
static void zero_and_write(const struct zero_mix *m)
{
	struct io *origin = m->origin ? io_mem_new("origin", m->origin) : NULL;
	static uint8_t got[4 * BS];
	uint32_t sector[4], end = m->at + m->len;

	if (origin)
		memset(io_mem_data(origin), 'g', m->origin);
	zero_pool(m, origin);
	memset(block, 'n', 512);
	check_eq(target_zero(w.dev, m->len, m->at, m->may_unmap, &err), 0);
	check_eq(target_flush(w.t, &err), 0);
	for (uint32_t v = 0; v < 4; v++) { /* the block's last sector, or its first */
		sector[v] = v * BS + (v % 2 ? 0 : BS - 512);
		if (v * BS < end && (v + 1) * BS > m->at)
			check_eq(target_write(w.dev, block, 512, sector[v], &err), 0);
	}
	check_eq(target_read(w.dev, got, sizeof(got), 0, &err), 0);
	for (uint32_t i = m->at; i < end; i++) {
		uint8_t want = i - sector[i / BS] < 512 ? 'n' : 0;

		if (got[i] != want)
			printf("# features %u state %u origin %u at %u+%u unmap %d trim %d: byte %u is %02x\n",
			       m->features, m->state, m->origin, m->at, m->len, m->may_unmap,
			       m->trim_first, i, got[i]);
		check_eq(got[i], want);
	}
	teardown();
	io_free(origin);
}

static void zeros_last(void)
{
	static const uint32_t range[][2] = { { 0, 4096 }, { 5000, 700 }, { BS, BS }, { BS, 2 * BS },
					     { BS - 4096, 2 * BS + 8192 }, { BS / 2, BS }, { 0, 4 * BS } };
	static const unsigned origins[] = { 0, BS + BS / 2 + 512, 6 * BS };

	for (unsigned i = 0; i < 8 * 3 * 3 * ARRAY_SIZE(range) * 4; i++) {
		unsigned n = i;
		struct zero_mix m = { .features = n % 8 };

		m.state = (n /= 8) % 3;
		m.origin = origins[(n /= 3) % 3];
		m.at = range[(n /= 3) % ARRAY_SIZE(range)][0];
		m.len = range[n % ARRAY_SIZE(range)][1];
		m.may_unmap = (n /= ARRAY_SIZE(range)) % 2;
		m.trim_first = n / 2;
		zero_and_write(&m);
	}
}

/* A device without a size ends behind its last mapping, which damage can have put anywhere. */
static void no_end(void)
{
	static const vblock_t far[] = { UINT64_MAX / BS + 1, UINT64_MAX };
	struct target_dev *dev;
	uint64_t end;
	dblock_t b;

	for (size_t i = 0; i < ARRAY_SIZE(far); i++) {
		setup();
		check_eq(edit_alloc_data(target_pool(w.t), &b, &err), 0);
		check_eq(edit_map(target_pool(w.t), 0, far[i], b, &err), 0);
		check_eq(-target_mapped_end(w.t, 0, &end, &err), EUCLEAN);
		check(strstr(err.text, "device 0 has mappings at impossible offsets"));
		check_eq(-target_device(w.t, 0, 0, NULL, &dev, &err), EUCLEAN);
		check_eq(-target_device(w.t, 0, UINT64_MAX, NULL, &dev, &err), EINVAL);
		check(strstr(err.text, "is too large"));
		teardown();
	}
}

static uint64_t nr_extents;

static int count_extent(void *ctx, uint64_t at, uint64_t len, enum extent_kind kind)
{
	(void)ctx;
	(void)at;
	(void)len;
	(void)kind;
	nr_extents++;
	return 0;
}

static void no_bytes(void)
{
	static const uint64_t beyond[][2] = { { DEV_BYTES, 1 }, { 0, DEV_BYTES + 1 }, { UINT64_MAX - 5, 10 }, { 10, UINT64_MAX - 5 } };

	setup();
	check_eq(target_write(w.dev, block, 0, 100, &err), 0);
	check_eq(target_read(w.dev, block, 0, DEV_BYTES, &err), 0);
	check_eq(target_extents(w.dev, 0, 100, count_extent, NULL, &err), 0);
	check_eq(nr_extents, 0);
	check_eq(mapped(), 0);
	for (size_t i = 0; i < ARRAY_SIZE(beyond); i++) {
		check_eq(-target_extents(w.dev, beyond[i][1], beyond[i][0], count_extent, NULL, &err), EINVAL);
		check_eq(-target_discard(w.dev, beyond[i][1], beyond[i][0], &err), EINVAL);
		check_eq(-target_zero(w.dev, beyond[i][1], beyond[i][0], true, &err), EINVAL);
		check_eq(-target_read(w.dev, block, beyond[i][1], beyond[i][0], &err), EINVAL);
		check_eq(-target_write(w.dev, block, beyond[i][1], beyond[i][0], &err), EINVAL);
	}
	check_eq(mapped(), 0);
	teardown();
}

/* Blocks that share a place in the memory of where blocks are, and one too far for it, keep their own bytes. */
static void far_blocks(void)
{
	static const vblock_t v[] = { 0, 1ull << 12, 1ull << 16, 1ull << 20, 3ull << 20, 1ull << 40, (1ull << 40) + 1, 5ull << 40 };
	struct target_dev *dev;

	setup();
	check_eq(target_device(w.t, 0, 1ull << 60, NULL, &dev, &err), 0);
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
			memset(block, (int)(i + 1 + 16 * (size_t)round), BS);
			check_eq(target_write(dev, block, BS, v[i] * BS, &err), 0);
		}
		for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
			check_eq(target_read(dev, block, BS, v[i] * BS, &err), 0);
			check_eq(block[0], i + 1 + 16 * (size_t)round);
			check_eq(block[BS - 1], i + 1 + 16 * (size_t)round);
		}
	}
	check_eq(mapped(), ARRAY_SIZE(v));
	teardown();
}

/* All blocks but the last two have been committed; these two are written, freed and, the first, taken again. */
static void freed_and_taken_again(void)
{
	zero_pool(&(struct zero_mix) { 0 }, NULL);
	check_eq(target_device(w.t, 0, 200ull * BS, NULL, &w.dev, &err), 0);
	memset(block, 'a', BS);
	for (uint64_t i = 0; i < NR_DATA - 2; i++)
		check_eq(target_write(w.dev, block, BS, i * BS, &err), 0);
	check_eq(target_flush(w.t, &err), 0);
	for (uint64_t i = 0; i < 2; i++)
		check_eq(target_write(w.dev, block, BS, (150 + i) * BS, &err), 0);
	check_eq(target_discard(w.dev, 2 * BS, 150 * BS, &err), 0);
	memset(block, 'b', BS);
	check_eq(target_write(w.dev, block, BS, 160 * BS, &err), 0);
	check_eq(target_flush(w.t, &err), 0);
	check_eq(target_read(w.dev, block, BS, 160 * BS, &err), 0);
	for (unsigned i = 0; i < BS; i++)
		check_eq(block[i], 'b');
	teardown();
}

/* A data device that cannot discard is asked once in a commit. */
struct plain {
	struct io io;
	struct io *lower;
	unsigned nr_discards;
};

static int plain_read(struct io *io, void *buf, size_t len, uint64_t at, struct err *e)
{
	return io_read(((struct plain *)io)->lower, buf, len, at, e);
}

static int plain_write(struct io *io, const void *buf, size_t len, uint64_t at, struct err *e)
{
	return io_write(((struct plain *)io)->lower, buf, len, at, e);
}

static int plain_flush(struct io *io, struct err *e)
{
	return io_flush(((struct plain *)io)->lower, e);
}

static int plain_discard(struct io *io, uint64_t at, uint64_t len, struct err *e)
{
	(void)at;
	(void)len;
	((struct plain *)io)->nr_discards++;
	return err_set(e, -EOPNOTSUPP, "no discards");
}

static void plain_free(struct io *io)
{
	io_free(((struct plain *)io)->lower);
}

static void data_that_cannot_be_discarded(void)
{
	static const struct io_ops ops = { .read = plain_read, .write = plain_write, .flush = plain_flush,
					   .discard = plain_discard, .free = plain_free };
	struct plain data;

	data = (struct plain) { .lower = io_mem_new("data", (uint64_t)NR_DATA * BS) };
	data.io = (struct io){ .ops = &ops, .name = "data", .size = (uint64_t)NR_DATA * BS, .align = 1, .fd = -1 };
	w.meta = io_mem_new("metadata", NR_META * 4096ull);
	w.data = &data.io;
	format_pool(BS, NR_DATA, &(struct target_options){ 0 });
	w.dev = open_dev(0, DEV_BYTES, NULL);
	for (uint64_t i = 0; i < 9; i++)
		check_eq(target_write(w.dev, block, BS, i * BS, &err), 0);
	check_eq(target_flush(w.t, &err), 0);
	for (uint64_t i = 0; i < 9; i += 2) /* five ranges */
		check_eq(target_discard(w.dev, BS, i * BS, &err), 0);
	check_eq(target_flush(w.t, &err), 0);
	check_eq(data.nr_discards, 1);
	check_eq(mapped(), 4);
	teardown();
}

/* The table may let nobody write: then the data device is not open for writing. */
static void data_that_is_read_only(void)
{
	struct message m = { MSG_CREATE_THIN, { 1, 0 } };

	new_pool(NR_META, NR_DATA, &(struct target_options){ .data_read_only = true }, DEV_BYTES);
	check_eq(-target_write(w.dev, block, BS, 0, &err), EROFS);
	check_eq(-target_discard(w.dev, DEV_BYTES, 0, &err), EROFS);
	check_eq(-target_message(w.t, &m, 1, &err), EROFS);
	check_eq(target_read(w.dev, block, BS, 0, &err), 0);
	teardown();
}

#define LARGE (4u << 20)

/* A write into a part of a large block, new or shared, leaves the rest of the block as it was. */
static void large_blocks(void)
{
	uint8_t *want = calloc(1, LARGE), *got = malloc(LARGE), *bytes = malloc(LARGE);
	uint32_t at, len;

	check(want && got && bytes);
	w.meta = io_mem_new("metadata", NR_META * 4096ull);
	w.data = io_mem_new("data", 8ull * LARGE);
	memset(io_mem_data(w.data), 'o', 8ull * LARGE);
	format_pool(LARGE, 8, &(struct target_options){ 0 });
	w.dev = open_dev(0, LARGE, NULL);
	for (uint32_t round = 0; round < 4; round++) {
		at = (512 << 10) - 4096 * round;
		len = (2560 << 10) + 8192 * round; /* two whole MiB and parts of the others */
		memset(bytes, (int)('a' + round), LARGE);
		memcpy(want + at, bytes, len);
		check_eq(target_write(w.dev, bytes, len, at, &err), 0);
		check_eq(target_read(w.dev, got, LARGE, 0, &err), 0);
		check(!memcmp(got, want, LARGE));
		message(MSG_CREATE_SNAP, 1 + round, 0);
	}
	check_eq(target_flush(w.t, &err), 0);
	teardown();
	free(want);
	free(got);
	free(bytes);
}

int main(int argc, char **argv)
{
	static const struct test tests[] = {
		{ "after a failed flush of new blocks none succeeds, and nothing names them",
		  lost_data },
		{ "after a failed flush of blocks written in place none succeeds", lost_in_place },
		{ "when nobody knows what the superblock says, no data block is written",
		  lost_superblock },
		{ "zeros over unmapped blocks take no space, wherever they begin and end",
		  zeros_over_nothing },
		{ "zeros that were written stay, whatever the features, the origin and the blocks' state",
		  zeros_last },
		{ "a device whose last mapping lies beyond all sizes has none", no_end },
		{ "a request of no bytes does nothing, and one beyond the end is refused", no_bytes },
		{ "blocks that are far from each other keep their own bytes", far_blocks },
		{ "a data block that was freed and taken again before a commit is not discarded", freed_and_taken_again },
		{ "a data device that cannot discard is asked once", data_that_cannot_be_discarded },
		{ "a pool whose data device is read-only takes no writes, discards and messages", data_that_is_read_only },
		{ "a write into a part of a large block leaves the rest of it", large_blocks },
		{ "a discard makes room when metadata space is used up", discard_when_full },
		{ 0 },
	};

	return tap_main(tests, argc, argv);
}
