/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Damaged metadata with good checksums, opened for changes: every operation ends, with or without an
 * error, and a refused message has written nothing.  What matters most here is what the
 * sanitizers see.  SEED=n ROUNDS=n replay and lengthen.
 */
#include <errno.h>

#include "tap.h"
#include "random.h"
#include "pdata/block/csum.h"
#include "volume/target/target.h"

#define BS (128u * 512)
#define NR_META 250u
#define NR_DATA 300u
#define DEV_BYTES (150ull * BS)

static struct err err;

static int give(struct target *t, enum message_kind kind, uint64_t a, uint64_t b)
{
	struct message m = { kind, { a, b } };

	return target_message(t, &m, 1, &err);
}

/* A pool with snapshots of snapshots, counts above two, and a held snapshot. */
static void *make_pool(struct io *data)
{
	struct target_options opt = { .skip_zeroing = true };
	struct io *meta = io_mem_new("metadata", NR_META * 4096);
	static uint8_t sector[512];
	struct pool_edit *pool;
	struct target_dev *dev;
	struct target *t;
	void *image = malloc(NR_META * 4096);

	check(image);
	check_eq(edit_format(meta, 128, &pool, &err), 0);
	check_eq(edit_grow_data(pool, NR_DATA, &err), 0);
	check_eq(target_new(pool, data, &opt, &t, &err), 0);
	check_eq(give(t, MSG_CREATE_THIN, 0, 0), 0);
	for (uint64_t id = 1; id < 6; id++) {
		check_eq(target_device(t, (uint32_t)id - 1, DEV_BYTES, NULL, &dev, &err), 0);
		for (unsigned i = 0; i < 40; i++)
			check_eq(target_write(dev, sector, 512, rng() % 150 * BS, &err), 0);
		check_eq(give(t, MSG_CREATE_SNAP, id, id - 1), 0);
		if (id == 3)
			check_eq(give(t, MSG_RESERVE_METADATA_SNAP, 0, 0), 0);
	}
	check_eq(target_close(t, &err), 0);
	memcpy(image, io_mem_data(meta), NR_META * 4096);
	io_free(meta);
	return image;
}

/* A plausible wrong number for a field of @len bytes. */
static uint64_t wrong_number(void)
{
	switch (rng() % 6) {
	case 0:
		return rng() % NR_META;
	case 1:
		return rng() % 4;
	case 2:
		return UINT64_MAX;
	case 3:
		return rng();
	case 4:
		return UINT64_C(1) << rng() % 64;
	default:
		return 253 + rng() % 90;
	}
}

static void damage(uint8_t *image)
{
	static const enum csum_salt salts[] = { [CSUM_IS_SUPERBLOCK] = SALT_SUPERBLOCK,
						[CSUM_IS_NODE] = SALT_NODE,
						[CSUM_IS_BITMAP] = SALT_BITMAP,
						[CSUM_IS_INDEX] = SALT_INDEX };
	uint8_t *block;
	enum csum_kind kind;
	uint64_t v = wrong_number(), at;
	mblock_t b, place;

	do {
		b = rng() % 4 ? rng() % NR_META : 0;
		block = image + b * 4096;
		kind = csum_classify(block, NULL);
	} while (kind == CSUM_NONE || kind == CSUM_FOREIGN);
	place = block_own_nr(block);
	at = rng() % 3 ? rng() % 60 : rng() % 511;
	if (kind == CSUM_IS_NODE && rng() % 2)
		at = 256 + rng() % 30; /* the first values of mapping trees */
	at = at * 8 + (rng() % 2 ? 4 : 0);
	if (at < 4)
		at = 4;
	memcpy(block + at, &v, MIN(8, 4096 - at));
	csum_seal(block, rng() % 30 ? place : rng() % NR_META, salts[kind]);
}

static void use(struct target *t)
{
	static uint8_t buf[2 * BS];
	struct target_dev *dev[6] = { NULL };
	uint64_t total;

	for (uint32_t id = 0; id < 6; id++)
		target_device(t, id, rng() % 4 ? DEV_BYTES : 0, NULL, &dev[id], &err);
	for (unsigned i = 0; i < 60; i++) {
		struct target_dev *d = dev[rng() % 6];
		uint64_t at = d && target_size(d) >= sizeof(buf) ?
				      rng() % (target_size(d) - sizeof(buf) + 1) : 0;
		uint64_t dice = rng() % 20;

		if (dice == 0)
			give(t, MSG_CREATE_SNAP, 10 + rng() % 5, rng() % 6);
		else if (dice == 1)
			give(t, MSG_DELETE, rng() % 15, 0);
		else if (dice == 2)
			give(t, rng() % 2 ? MSG_RELEASE_METADATA_SNAP : MSG_RESERVE_METADATA_SNAP, 0, 0);
		else if (dice == 3)
			target_flush(t, &err);
		else if (!d || target_size(d) < sizeof(buf))
			continue;
		else if (dice < 9)
			target_write(d, buf, 1 + rng() % sizeof(buf), at, &err);
		else if (dice < 13)
			target_read(d, buf, sizeof(buf), at, &err);
		else if (dice < 18)
			target_discard(d, rng() % 40 * BS, at, &err);
		else
			edit_mapped_end(target_pool(t), (uint32_t)(rng() % 6), &total, &err);
	}
}

static void any_damage(void)
{
	uint64_t seed = env("SEED", 1), rounds = env("ROUNDS", 800), opened = 0;
	struct target_options opt = { 0 };
	struct io *data = io_mem_new("data", (uint64_t)NR_DATA * BS);
	struct io *meta = io_mem_new("metadata", NR_META * 4096);
	struct pool_edit *pool;
	struct target *t;
	void *good;

	rnd_state = 88172645463325252ull;
	good = make_pool(data);
	for (uint64_t i = 0; i < rounds; i++) {
		rnd_state = (seed * 1000003 + i) * 0x9E3779B97F4A7C15ull + 1;
		memcpy(io_mem_data(meta), good, NR_META * 4096);
		for (uint64_t k = 1 + rng() % 4; k; k--)
			damage(io_mem_data(meta));
		if (edit_open(meta, rng() % 4, &pool, &err))
			continue;
		if (target_new(pool, data, &opt, &t, &err)) {
			edit_free(pool);
			continue;
		}
		opened++;
		use(t);
		target_close(t, &err);
	}
	printf("# SEED=%llu ROUNDS=%llu: %llu could be opened\n", (unsigned long long)seed,
	       (unsigned long long)rounds, (unsigned long long)opened);
	check(opened > rounds / 4);
	free(good);
	io_free(meta);
	io_free(data);
}

static void refusals_write_nothing(void)
{
	struct io *data = io_mem_new("data", (uint64_t)NR_DATA * BS);
	struct io *meta = io_mem_new("metadata", NR_META * 4096);
	struct message bad[] = { { MSG_CREATE_THIN, { 3, 0 } },
				 { MSG_CREATE_SNAP, { 9, 8 } },
				 { MSG_CREATE_SNAP, { 3, 0 } },
				 { MSG_DELETE, { 77, 0 } },
				 { MSG_SET_TRANSACTION_ID, { 5, 6 } },
				 { MSG_RESERVE_METADATA_SNAP, { 0, 0 } } };
	int code[] = { EEXIST, ENOENT, EEXIST, ENOENT, EINVAL, EBUSY };
	struct pool_edit *pool;
	void *good;

	rnd_state = 88172645463325252ull;
	good = make_pool(data);
	memcpy(io_mem_data(meta), good, NR_META * 4096);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		check_eq(edit_open(meta, true, &pool, &err), 0);
		check_eq(-message_apply(pool, &bad[i], &err), code[i]);
		check(!edit_changed(pool) || bad[i].kind == MSG_DELETE);
		edit_free(pool);
		check(!memcmp(io_mem_data(meta), good, NR_META * 4096));
	}
	free(good);
	io_free(meta);
	io_free(data);
}

int main(int argc, char **argv)
{
	static const struct test tests[] = {
		{ "damaged metadata ends in errors, never in a crash or a loop", any_damage },
		{ "a refused message has its errno and writes nothing", refusals_write_nothing },
		{ 0 },
	};

	return tap_main(tests, argc, argv);
}
