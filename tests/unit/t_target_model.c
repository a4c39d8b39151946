/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * The thin target under random operations, against an array of sectors: writes, discards, zeroing,
 * flushes, messages, clean restarts, failing devices, and power cuts after which any
 * subset of what was not flushed is there.  After each restart the check finds nothing at
 * all, and each sector holds what was flushed, or something written there since.
 *
 * The data device begins full of old bytes.  Under skip_block_zeroing a write to a part of an
 * unmapped block may show them in the rest of the block, and nowhere else: not where something,
 * zeros included, was written before.  The pool's features change with each restart.
 *
 * SEED=n ROUNDS=n in the environment replay and lengthen; each seed is printed.
 */
#include "target_world.h"

/* --- starting and stopping --- */

static void open_devices(void)
{
	for (int i = 0; i < NR_DEVS; i++) {
		struct dev *d = &w.dev[i];

		if (!d->there)
			continue;
		check_eq(target_device(w.t, (uint32_t)i, sizeof(buf), d->origin, &d->dev, &err), 0);
		for (uint32_t v = 0; v < NR_BLOCKS; v++)
			d->mapped[v] = is_mapped(d, v);
	}
}

static void start(bool format)
{
	struct pool_edit *pool;

	w.opt = (struct target_options){ .skip_zeroing = rng() % 2,
					 .ignore_discard = rng() % 4 == 0,
					 .no_passdown = rng() % 2 };
	if (format) {
		check_eq(edit_format(w.meta, BLOCK_SECTORS, &pool, &err), 0);
		check_eq(edit_grow_data(pool, NR_DATA, &err), 0);
	} else {
		check_eq(edit_open(w.meta, true, &pool, &err), 0);
		if (edit_superblock(pool)->transaction_id != w.transaction) {
			check(pending.any); /* its commit reached the disk after all */
			apply_pending();
		}
		check_eq(edit_superblock(pool)->transaction_id, w.transaction);
	}
	check_eq(target_new(pool, w.data, &w.opt, &w.t, &err), 0);
	if (format)
		check_eq(target_flush(w.t, &err), 0);
	open_devices();
}

static struct io *faulty(struct io *lower)
{
	struct io *io = io_fault_new(lower);

	check(io);
	io_fault_record(io);
	return io;
}

/* The device as a power cut leaves it, in a new one. */
static struct io *what_remains(struct io *old, const void *base, uint64_t size)
{
	struct io *io = io_mem_new(old->name, size);
	uint64_t whole = io_fault_nr_flushed_groups(old);
	static const uint64_t masks[] = { 0, ~0ull };
	uint64_t dice = rng() % 4, mask = dice < 2 ? masks[dice] : rng() ^ rng() << 30;

	check(io);
	memcpy(io_mem_data(io), base, size);
	check_eq(io_fault_replay(old, whole, mask, io, &err), 0);
	io_free(old);
	return faulty(io);
}

static uint8_t *base_meta, *base_data;

static void *image_of(struct io *io, void *to, uint64_t size)
{
	if (!to)
		to = malloc(size);
	check(to);
	check_eq(io_read(io, to, size, 0, &err), 0);
	return to;
}

static void remember_base(void)
{
	base_meta = image_of(w.meta, base_meta, (uint64_t)NR_META * 4096);
	base_data = image_of(w.data, base_data, (uint64_t)NR_DATA * BS);
}

static void clear_needs_check(void)
{
	uint8_t *block = io_alloc(4096);
	struct superblock sb;

	check_eq(io_read(w.meta, block, 4096, 0, &err), 0);
	check_eq(superblock_open(&sb, block, 0), SB_OK);
	sb.flags = 0;
	superblock_seal(&sb, block, 0);
	check_eq(io_write(w.meta, block, 4096, 0, &err), 0);
	check_eq(io_flush(w.meta, &err), 0);
	free(block);
}

static void after_crash(void)
{
	start(false);
	pending.any = false;
	for (int i = 0; i < NR_DEVS; i++)
		if (w.dev[i].there)
			check_contents(&w.dev[i], true);
	check_metadata(w.meta);
	remember_base();
}

static void crash(void)
{
	w.nr_crashes++;
	target_drop(w.t);
	w.meta = what_remains(w.meta, base_meta, (uint64_t)NR_META * 4096);
	w.data = what_remains(w.data, base_data, (uint64_t)NR_DATA * BS);
	/* a torn write of needs_check is not part of this story: cleared, as thin_check would */
	clear_needs_check();
	after_crash();
}

/* --- operations --- */

/* What an operation that failed half-way has left: each sector old or new. */
static void look_again(struct dev *d, uint32_t begin, uint32_t end, uint32_t tag)
{
	check_eq(target_read(d->dev, buf, (end - begin) * 512, (uint64_t)begin * 512, &err), 0);
	for (uint32_t k = begin; k < end; k++) {
		uint32_t is = tag_of(buf + (k - begin) * 512);

		check(is == tag || is == d->s[k].now);
		if (is != d->s[k].now)
			becomes(&d->s[k], is);
	}
}

/* A write to [begin, end) failed, and its blocks may be mapped or not. */
static void may_shine(struct dev *d, uint32_t begin, uint32_t end)
{
	uint32_t first = begin - begin % BLOCK_SECTORS;

	for (uint32_t k = first; k < MIN(round_up(end, BLOCK_SECTORS), DEV_SECTORS); k++)
		if (!d->mapped[k / BLOCK_SECTORS] && (!d->origin || k >= d->origin->size / 512))
			d->s[k].wild = true;
}

/* An operation failed with @r: it must have a known reason.  Sectors from @begin on may hold @tag now. */
static void failed(int r, struct dev *d, uint32_t begin, uint32_t end, uint32_t tag)
{
	if (r == -EXFULL) {
		w.nr_enospc++;
		w.crowded = true;
		look_again(d, begin, end, tag);
		written(d, begin, end, false);
		return;
	}
	if (r != -EIO && r != -EROFS)
		printf("# %s\n", err.text);
	check(r == -EIO || r == -EROFS);
	w.nr_failed++;
	for (uint32_t k = begin; k < end; k++)
		if (d && d->s[k].nr_maybe < MAYBE_MAX)
			d->s[k].maybe[d->s[k].nr_maybe++] = tag;
	if (d && w.opt.skip_zeroing)
		may_shine(d, begin, end);
	crash();
}

static void random_range(uint32_t *begin, uint32_t *end)
{
	uint64_t dice = rng() % 8;
	uint32_t len;

	*begin = (uint32_t)(rng() % DEV_SECTORS);
	if (dice < 3) { /* whole blocks */
		*begin -= *begin % BLOCK_SECTORS;
		len = BLOCK_SECTORS * (uint32_t)(1 + rng() % 3);
	} else {
		len = 1 + (uint32_t)(rng() % (dice < 6 ? 40 : 400));
	}
	*end = MIN(*begin + len, DEV_SECTORS);
}

static void do_write(struct dev *d)
{
	uint32_t begin, end, tag = ++w.tag;
	int r;

	random_range(&begin, &end);
	for (uint32_t k = begin; k < end; k++)
		fill_sector(buf + (k - begin) * 512, tag);
	r = target_write(d->dev, buf, (end - begin) * 512, (uint64_t)begin * 512, &err);
	if (r) {
		failed(r, d, begin, end, tag);
		return;
	}
	for (uint32_t k = begin; k < end; k++)
		becomes(&d->s[k], tag);
	written(d, begin, end, true);
}

static void do_zero(struct dev *d)
{
	uint32_t begin, end;
	int r;

	random_range(&begin, &end);
	r = target_zero(d->dev, (end - begin) * 512, (uint64_t)begin * 512, rng() % 2, &err);
	if (r) {
		failed(r, d, begin, end, 0);
		return;
	}
	for (uint32_t k = begin; k < end; k++)
		becomes(&d->s[k], 0);
	if (w.opt.skip_zeroing)
		written(d, begin, end, true);
}

static void do_discard(struct dev *d)
{
	uint32_t begin, end;
	int r;

	random_range(&begin, &end);
	r = target_discard(d->dev, (end - begin) * 512, (uint64_t)begin * 512, &err);
	begin = (uint32_t)round_up(begin, BLOCK_SECTORS);
	end -= end % BLOCK_SECTORS;
	if (r && r != -EXFULL) {
		check(r == -EIO || r == -EROFS);
		for (uint32_t k = begin; k < end; k++)
			if (d->s[k].nr_maybe < MAYBE_MAX)
				d->s[k].maybe[d->s[k].nr_maybe++] = origin_tag(d->origin, k);
		crash();
		return;
	}
	for (uint32_t k = begin; !r && !w.opt.ignore_discard && k < end; k++) {
		becomes(&d->s[k], origin_tag(d->origin, k));
		d->mapped[k / BLOCK_SECTORS] = false;
	}
}

static void do_read(struct dev *d)
{
	uint32_t begin, end;

	random_range(&begin, &end);
	check_eq(target_read(d->dev, buf, (end - begin) * 512, (uint64_t)begin * 512, &err), 0);
	for (uint32_t k = begin; k < end; k++)
		check_eq(tag_of(buf + (k - begin) * 512), d->s[k].now);
}

static void do_message(void)
{
	struct message m[2] = { { .kind = MSG_CREATE_THIN } };
	int id = (int)(rng() % NR_DEVS), from = (int)(rng() % NR_DEVS), r;
	struct dev *d = &w.dev[id];

	pending = (struct pending){ .any = true, .id = id, .origin = from };
	if (rng() % 8 == 0) {
		pending.kind = 3;
		m[0].kind = w.held ? MSG_RELEASE_METADATA_SNAP : MSG_RESERVE_METADATA_SNAP;
	} else if (d->there) {
		pending.kind = 2;
		m[0].kind = MSG_DELETE;
	} else if (w.dev[from].there) {
		pending.kind = 1;
		m[0].kind = MSG_CREATE_SNAP;
		m[0].arg[1] = (uint64_t)from;
	} else {
		pending.kind = 0;
	}
	m[0].arg[0] = (uint64_t)id;
	m[1] = (struct message){ MSG_SET_TRANSACTION_ID, { w.transaction, w.transaction + 1 } };
	r = target_message(w.t, m, 2, &err);
	if (r == -EXFULL) {
		pending.any = false;
		settle_all(); /* what came before is committed */
		return;
	}
	if (r) {
		failed(r, NULL, 0, 0, 0);
		return;
	}
	pending.any = false;
	settle_all();
	apply_pending();
	w.crowded = false;
	if (d->there && !d->dev)
		check_eq(target_device(w.t, (uint32_t)id, sizeof(buf), d->origin, &d->dev, &err), 0);
}

static void do_flush(void)
{
	int r = target_flush(w.t, &err);

	if (r)
		failed(r, NULL, 0, 0, 0);
	else
		settle_all();
}

static void do_tick(void)
{
	int r = target_tick(w.t, &err);

	if (r)
		failed(r, NULL, 0, 0, 0);
}

static void do_restart(void)
{
	int r = target_close(w.t, &err);

	if (r) {
		check(r == -EIO || r == -EROFS);
		w.t = NULL;
		crash();
		return;
	}
	settle_all();
	check_metadata(w.meta);
	for (int i = 0; i < NR_DEVS; i++)
		w.dev[i].dev = NULL;
	start(false);
	for (int i = 0; i < NR_DEVS; i++)
		if (w.dev[i].there)
			check_contents(&w.dev[i], false);
}

/* The power goes, or a device fails, some writes from now. */
static void do_trouble(void)
{
	struct io *io = rng() % 3 ? w.meta : w.data;
	uint64_t n = io_fault_nr_writes(io) + rng() % 12;

	if (rng() % 2)
		io_fault_cut_at(io, n);
	else if (rng() % 2)
		io_fault_fail_write(io, n, -EIO);
	else
		io_fault_fail_flush(io, io_fault_nr_flushes(io) + rng() % 3, -EIO);
}

static void one_step(void)
{
	struct dev *d = &w.dev[rng() % NR_DEVS];
	uint64_t dice = rng() % 1000;

	w.nr_ops++;
	if (dice < 12)
		do_restart();
	else if (dice < 24)
		crash();
	else if (dice < 32)
		do_trouble();
	else if (dice < 60 || !d->there || w.crowded)
		do_message();
	else if (dice < 90)
		do_flush();
	else if (dice < 200)
		do_discard(d);
	else if (dice < 330)
		do_zero(d);
	else if (dice < 500)
		do_read(d);
	else if (dice < 510)
		check_contents(d, false);
	else if (dice < 520)
		do_tick();
	else
		do_write(d);
}

static struct io *make_data(void)
{
	struct io *io = io_mem_new("data", (uint64_t)NR_DATA * BS);

	check(io);
	for (uint32_t i = 0; i < NR_DATA * BLOCK_SECTORS; i++)
		fill_sector((uint8_t *)io_mem_data(io) + (size_t)i * 512, OLD | i);
	return faulty(io);
}

static void random_story(uint64_t seed, uint64_t rounds)
{
	printf("# SEED=%llu ROUNDS=%llu\n", (unsigned long long)seed, (unsigned long long)rounds);
	memset(&w, 0, sizeof(w));
	memset(&pending, 0, sizeof(pending));
	rnd_state = seed * 0x9E3779B97F4A7C15ull + 12345;
	w.meta = faulty(io_mem_new("metadata", (uint64_t)NR_META * 4096));
	w.data = make_data();
	w.origin[1] = make_origin(ORIGIN_SECTORS);
	w.origin[2] = make_origin(LONGER_ORIGIN_SECTORS);
	remember_base();
	start(true);
	for (uint64_t i = 0; i < rounds; i++)
		one_step();
	do_restart();
	printf("# %llu operations, %llu crashes, %llu times no space, %llu failures, %llu sectors of old bytes\n",
	       (unsigned long long)w.nr_ops, (unsigned long long)w.nr_crashes,
	       (unsigned long long)w.nr_enospc, (unsigned long long)w.nr_failed,
	       (unsigned long long)w.nr_shone);
	target_drop(w.t);
	io_free(w.meta);
	io_free(w.data);
	io_free(w.origin[1]);
	io_free(w.origin[2]);
	check(w.nr_crashes > 0);
	check(w.nr_shone > 0);
}

static void stories(void)
{
	uint64_t seed = env("SEED", 0), rounds = env("ROUNDS", 2000);

	if (seed) {
		random_story(seed, rounds);
		return;
	}
	for (seed = 1; seed <= env("SEEDS", 6); seed++)
		random_story(seed, rounds);
}

int main(int argc, char **argv)
{
	static const struct test tests[] = {
		{ "random operations, features, restarts, failures and power cuts over old bytes: the pool is sound and what was flushed is there",
		  stories },
		{ 0 },
	};
	int r = tap_main(tests, argc, argv);

	free(base_meta);
	free(base_data);
	return r;
}
