/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Every power cut of a recorded run: all that was flushed, and of the writes since then each
 * prefix and many subsets.  The metadata device then holds the state of the last commit or of
 * the next one, whole, and the check finds nothing.
 */
#include <errno.h>

#include "base/overflow.h"
#include "pool/check/check.h"
#include "io_fault.h"
#include "tap.h"
#include "random.h"
#include "volume/target/target.h"

#define BS (128u * 512)
#define NR_META 220u /* little, so that places are used again soon */
#define NR_DATA 700u
#define MAX_COMMITS 200
#define SUBSETS 10

struct outcome {
	struct io *meta, *data;
	struct target *t;
	struct target_dev *dev[3];
	uint64_t signature[MAX_COMMITS];
	uint64_t groups[MAX_COMMITS]; /* flushed when the commit was complete */
	unsigned nr;
};

static struct outcome run;
static struct err err;

static void mix(uint64_t *h, uint64_t v)
{
	*h = (*h ^ v) * 0x100000001B3ull;
	*h ^= *h >> 29;
}

struct signing {
	struct pool_edit *pool;
	uint64_t hash;
};

static int sign_mapping(void *ctx, vblock_t v, const struct mapping *m)
{
	mix(ctx, v);
	mix(ctx, m->block << 24 | m->time);
	return 0;
}

static int sign_device(void *ctx, const struct device_info *d)
{
	struct signing *s = ctx;

	mix(&s->hash, d->dev_id);
	mix(&s->hash, d->mapped_blocks);
	mix(&s->hash, (uint64_t)d->creation_time << 32 | d->snap_time);
	mix(&s->hash, d->transaction);
	return 0;
}

/* A number for everything that a pool says of devices and mappings. */
static uint64_t signature(struct pool_edit *p)
{
	const struct superblock *sb = edit_superblock(p);
	struct signing s = { .pool = p, .hash = 14695981039346656037ull };
	struct device_info d;

	check_eq(edit_each_device(p, sign_device, &s, &err), 0);
	for (uint32_t id = 0; id < 40; id++)
		if (!edit_device(p, id, &d, &err))
			check_eq(edit_each_mapping(p, id, 0, UINT64_MAX, sign_mapping, &s.hash, &err), 0);
	mix(&s.hash, sb->time);
	mix(&s.hash, sb->transaction_id);
	mix(&s.hash, sb->held_root != 0);
	mix(&s.hash, sb->data_sm.nr_blocks);
	mix(&s.hash, sb->metadata_sm.nr_blocks);
	return s.hash;
}

static void note_commit(void)
{
	check(run.nr < MAX_COMMITS);
	run.signature[run.nr] = signature(target_pool(run.t));
	run.groups[run.nr++] = io_fault_nr_groups(run.meta);
}

static void message(enum message_kind kind, uint64_t a, uint64_t b)
{
	struct message m = { kind, { a, b } };

	check_eq(target_message(run.t, &m, 1, &err), 0);
	note_commit();
}

static void open_device(uint32_t id)
{
	check_eq(target_device(run.t, id, 200 * BS, NULL, &run.dev[id], &err), 0);
}

static void io(unsigned nr)
{
	static uint8_t block[BS];
	uint64_t commits = io_fault_nr_groups(run.meta);

	while (nr--) {
		struct target_dev *d = run.dev[rng() % 3];
		uint64_t v = rng() % 200;

		if (rng() % 4)
			check_eq(target_write(d, block, 512, v * BS, &err), 0);
		else
			check_eq(target_discard(d, (1 + rng() % 10) * BS, MIN(v, 190) * BS, &err), 0);
	}
	check_eq(io_fault_nr_groups(run.meta), commits); /* there was no flush but those of the commits */
	check_eq(target_flush(run.t, &err), 0);
	note_commit();
}

static void record(void)
{
	struct target_options opt = { .skip_zeroing = true };
	struct pool_edit *pool;

	run.meta = io_fault_new(io_mem_new("metadata", (uint64_t)NR_META * 4096));
	run.data = io_mem_new("data", (uint64_t)NR_DATA * BS);
	io_fault_record(run.meta);
	check_eq(edit_format(run.meta, 128, &pool, &err), 0);
	check_eq(edit_grow_data(pool, NR_DATA, &err), 0);
	check_eq(target_new(pool, run.data, &opt, &run.t, &err), 0);
	for (uint32_t id = 0; id < 3; id++) {
		message(MSG_CREATE_THIN, id, 0);
		open_device(id);
	}
	io(20);
	for (unsigned i = 0; i < 7; i++) {
		message(MSG_CREATE_SNAP, 10 + i, i % 3);
		io(40);
		message(MSG_SET_TRANSACTION_ID, i, i + 1);
		message(i % 2 ? MSG_RELEASE_METADATA_SNAP : MSG_RESERVE_METADATA_SNAP, 0, 0);
		io(60);
		if (i % 3 == 2)
			message(MSG_DELETE, 10 + i - 1, 0);
	}
}

static void check_sound(struct io *image)
{
	struct check_options opt = { 0 };
	struct jobs *jobs = jobs_new(1);
	struct check_result result;

	check_eq(check_run(image, jobs, &opt, &result, &err), 0);
	check_eq(result.findings.nr, 0);
	check_result_fini(&result);
	jobs_free(jobs);
}

static void check_image(uint64_t whole, uint64_t mask, unsigned last)
{
	struct io *image = io_mem_new("image", (uint64_t)NR_META * 4096);
	struct pool_edit *pool;
	uint64_t got;

	check_eq(io_fault_replay(run.meta, whole, mask, image, &err), 0);
	check_eq(edit_open(image, false, &pool, &err), 0);
	got = signature(pool);
	edit_free(pool);
	if (got != run.signature[last] && (last + 1 == run.nr || got != run.signature[last + 1]))
		printf("# group %llu mask %llx: a state between commits %u and %u\n",
		       (unsigned long long)whole, (unsigned long long)mask, last, last + 1);
	check(got == run.signature[last] || (last + 1 < run.nr && got == run.signature[last + 1]));
	check_sound(image);
	io_free(image);
}

static void cut_everywhere(void)
{
	uint64_t nr_images = 0, len;
	unsigned last = 0;

	record();
	for (uint64_t g = run.groups[0]; g < io_fault_nr_groups(run.meta); g++) {
		while (last + 1 < run.nr && run.groups[last + 1] <= g)
			last++;
		len = io_fault_group_len(run.meta, g);
		for (uint64_t k = 0; k <= MIN(len, 63); k++, nr_images++)
			check_image(g, (UINT64_C(1) << k) - 1, last);
		for (int k = 0; k < SUBSETS; k++, nr_images++)
			check_image(g, rng() ^ rng() << 20, last);
	}
	printf("# %u commits, %llu cuts\n", run.nr, (unsigned long long)nr_images);
	check(nr_images > 500);
	target_drop(run.t);
	io_free(run.meta);
	io_free(run.data);
}

/* What is on @io: a pool's signature, or 0 when it is unformatted. */
static uint64_t state_of(struct io *io)
{
	struct pool_edit *pool;
	uint64_t got;
	int r = edit_open(io, false, &pool, &err);

	if (r == -ENODATA)
		return 0;
	check_eq(r, 0);
	got = signature(pool);
	edit_free(pool);
	return got;
}

/* Every cut of the one commit recorded on @meta, which held @old (NULL: zeros) before. */
static void cut_commit(struct io *meta, struct io *old)
{
	uint64_t before = old ? state_of(old) : 0, after = state_of(meta), seen[2] = { 0 };

	check(before != after);
	for (uint64_t g = 0; g < io_fault_nr_groups(meta); g++) {
		uint64_t len = MIN(io_fault_group_len(meta, g), 63);

		for (uint64_t k = 0; k <= len + SUBSETS; k++) {
			uint64_t mask = k <= len ? (UINT64_C(1) << k) - 1 : rng() ^ rng() << 20;
			struct io *image = io_mem_new("image", meta->size);
			uint64_t got;

			if (old)
				memcpy(io_mem_data(image), io_mem_data(old), old->size);
			check_eq(io_fault_replay(meta, g, mask, image, &err), 0);
			got = state_of(image);
			check(got == before || got == after);
			seen[got == after]++;
			if (got)
				check_sound(image);
			io_free(image);
		}
	}
	check(seen[0] > 1 && seen[1] > 0);
}

static void cut_format(void)
{
	struct io *meta = io_fault_new(io_mem_new("metadata", (uint64_t)NR_META * 4096));
	struct pool_edit *pool;
	bool unsure;

	io_fault_record(meta);
	check_eq(edit_format(meta, 128, &pool, &err), 0);
	check_eq(edit_grow_data(pool, NR_DATA, &err), 0);
	check_eq(edit_create_thin(pool, 5, &err), 0);
	check_eq(edit_commit(pool, &unsure, &err), 0);
	edit_free(pool);
	cut_commit(meta, NULL);
	io_free(meta);
}

/* Both maps grow over the ends of bitmaps, after places have been used and freed. */
static void cut_growth(void)
{
	struct io *old = io_mem_new("metadata", (uint64_t)NR_META * 4096);
	struct io *meta = io_mem_new("metadata", (ENTRIES_PER_BITMAP + 100) * 4096ull);
	struct pool_edit *pool;
	bool unsure;

	check_eq(edit_format(old, 128, &pool, &err), 0);
	check_eq(edit_grow_data(pool, NR_DATA, &err), 0);
	for (uint32_t id = 0; id < 30; id++) {
		check_eq(edit_create_thin(pool, id, &err), 0);
		check_eq(edit_commit(pool, &unsure, &err), 0);
	}
	edit_free(pool);
	memcpy(io_mem_data(meta), io_mem_data(old), old->size);
	meta = io_fault_new(meta);
	io_fault_record(meta);
	check_eq(edit_open(meta, true, &pool, &err), 0);
	check_eq(edit_grow_metadata(pool, meta->size / 4096, &err), 0);
	check_eq(edit_grow_data(pool, 2 * ENTRIES_PER_BITMAP + 1, &err), 0);
	check_eq(edit_commit(pool, &unsure, &err), 0);
	edit_free(pool);
	cut_commit(meta, old);
	io_free(meta);
	io_free(old);
}

int main(int argc, char **argv)
{
	static const struct test tests[] = {
		{ "a power cut at any write leaves the old pool or the new one, and both are sound",
		  cut_everywhere },
		{ "a power cut while a pool is formatted leaves nothing or a pool", cut_format },
		{ "a power cut while both space maps grow leaves the old sizes or the new", cut_growth },
		{ 0 },
	};

	return tap_main(tests, argc, argv);
}
