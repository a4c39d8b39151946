/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Blocks are allocated in the order in which they are made: a def's or a device's leaves
 * and the nodes above them, then the two trees that name the devices, then the space maps.  So all
 * writes ascend, and what has been allocated is known exactly when the space maps are made.
 *
 * Counts follow the edges that are written.  A private node has the count one when it is made.  A
 * def's leaf has zero then, and one more for each tree that takes it; its entries are counted when
 * it is made, and subtracted at the end in the rare case that no tree took it.
 */
#include "pool/build/build.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "pool/build/impl.h"
#include "pool/forest/suspects.h"

static int check_pool(const struct build *b, const struct pool_info *p, struct err *err)
{
	uint64_t needs;

	if (!data_block_size_ok(p->data_block_size))
		return err_set(err, -EINVAL,
			       "invalid data block size: %u sectors, must be a multiple of %u from %u to %u",
			       p->data_block_size, DATA_BLOCK_SECTORS_MIN, DATA_BLOCK_SECTORS_MIN,
			       DATA_BLOCK_SECTORS_MAX);
	if (p->nr_data_blocks > MAX_NR_DATA_BLOCKS)
		return err_set(err, -EINVAL, "%llu data blocks are too many: the format's limit "
					     "is %llu",
			       (unsigned long long)p->nr_data_blocks,
			       (unsigned long long)MAX_NR_DATA_BLOCKS);
	if (p->time > MAX_TIME)
		return err_set(err, -EINVAL,
			       "the pool's time %u is too large: the format's limit is %u; "
			       "'thin_repair -i POOL -o FILE' renumbers all times",
			       p->time, MAX_TIME);
	needs = build_min_blocks(0, 0, p->nr_data_blocks, 0);
	return b->nr_blocks < needs ? build_too_small(err, needs, b->nr_blocks) : 0;
}

static int def_leaf(void *ctx, uint64_t first_key, uint32_t nr, mblock_t at, struct err *err)
{
	struct build *b = ctx;
	int r = build_defs_add_leaf(&b->defs, first_key, nr, at);

	return r < 0 ? err_nomem(err, "shared leaves") : 0;
}

static int do_begin_pool(struct build *b, const struct pool_info *p, struct err *err)
{
	int r = check_pool(b, p, err);

	if (r < 0)
		return r;
	b->pool = *p;
	b->data_counts = refmap_new(p->nr_data_blocks, false);
	b->metadata_counts = refmap_new(b->nr_blocks, false);
	if (!b->data_counts || !b->metadata_counts)
		return err_nomem(err, "reference counts");
	refmap_inc(b->metadata_counts, 0);
	r = block_writer_init(&b->w, b->out, b->nr_blocks, b->metadata_counts, err);
	if (!r)
		r = btree_build_init(&b->def_tree, &b->w, 8, err);
	if (!r)
		r = build_device_init(&b->dev_tree, &b->w, b->data_counts, err);
	if (!r)
		r = build_times_begin(b, err);
	b->def_tree.on_leaf = def_leaf;
	b->def_tree.ctx = b;
	if (!r)
		r = superblock_invalidate(b->out, &b->opt.mark, err);
	return r;
}

static int do_begin_def(struct build *b, uint64_t name, struct err *err)
{
	int r = build_defs_begin(&b->defs, name);

	if (r == -EEXIST)
		return err_set(err, -EINVAL, "def %llu is defined twice", (unsigned long long)name);
	if (r < 0)
		return err_nomem(err, "shared parts");
	b->def_name = name;
	b->has_key = false;
	b->newest = 0;
	return 0;
}

static int do_end_def(struct build *b, struct err *err)
{
	int r = btree_build_flush(&b->def_tree, err);

	build_defs_end(&b->defs, b->last_key, b->newest);
	return r;
}

static int do_begin_device(struct build *b, const struct device_info *d, struct err *err)
{

	if (d->dev_id > MAX_DEV_ID)
		return err_set(err, -EINVAL, "device id %u is too large: ids go up to %u", d->dev_id, MAX_DEV_ID);
	if (d->creation_time > b->pool.time || d->snap_time > b->pool.time)
		return err_set(err, -EINVAL, "device %u: its %s time %u is above the pool's time %u",
			       d->dev_id, d->snap_time > b->pool.time ? "snapshot" : "creation",
			       MAX(d->snap_time, d->creation_time), b->pool.time);
	b->dev = *d;
	b->claimed = d->mapped_blocks;
	b->dev.mapped_blocks = 0;
	b->has_key = false;
	b->newest = 0;
	b->first_node = b->w.next;
	build_use_time(b, d->creation_time);
	build_use_time(b, d->snap_time);
	return 0;
}

/* Says why run_ok() refused the run, and where. */
static int bad_run(const struct build *b, const struct run *r, struct err *err)
{
	unsigned long long v = r->vbegin, d = r->dbegin, n = r->len;

	if (b->has_key && r->vbegin <= b->last_key)
		err_set(err, -EINVAL, "keys out of order: block %llu follows block %llu", v,
			(unsigned long long)b->last_key);
	else if (r->vbegin + (r->len - 1) < r->vbegin)
		err_set(err, -EINVAL, "block %llu: a range of %llu blocks runs past the highest number",
			v, n);
	else if (r->time > b->pool.time)
		err_set(err, -EINVAL, "block %llu: mapping time %u is above the pool's time %u", v,
			r->time, b->pool.time);
	else
		err_set(err, -EINVAL,
			"block %llu: data block out of bounds: %llu, %llu of them, the pool has %llu", v,
			d, n, (unsigned long long)b->pool.nr_data_blocks);
	if (b->state == IN_DEF)
		return err_prefix(err, -EINVAL, "def %llu", (unsigned long long)b->def_name);
	return err_prefix(err, -EINVAL, "device %u", b->dev.dev_id);
}

/* Ascending, inside of the data device, and not later than the pool's time. */
static inline bool run_ok(const struct build *b, const struct run *r)
{
	return (!b->has_key || r->vbegin > b->last_key) && r->vbegin + (r->len - 1) >= r->vbegin &&
	       r->len <= b->pool.nr_data_blocks &&
	       r->dbegin <= b->pool.nr_data_blocks - r->len && r->time <= b->pool.time;
}

/* Scattered data blocks are counted in lists, which hides what the memory costs. */
#define COUNT_LIST 512

/* Blocks that lie anywhere: counted, or marked as suspects, together, so that the cache is asked early. */
struct scattered {
	uint64_t block[COUNT_LIST];
	size_t nr;
};

static void count_scattered(struct build *b, struct scattered *s)
{
	refmap_inc_list(b->data_counts, s->block, s->nr);
	s->nr = 0;
}

static void suspect_scattered(struct build *b, struct scattered *s)
{
	bits_set_list(b->suspects, s->block, s->nr);
	s->nr = 0;
}

/* Counts the references of a run. */
static inline void count_run(struct build *b, const struct run *u, bool suspect, struct scattered *all,
			     struct scattered *suspects)
{
	if (u->len == 1) {
		all->block[all->nr++] = u->dbegin;
		if (all->nr == COUNT_LIST)
			count_scattered(b, all);
	} else {
		refmap_inc_run(b->data_counts, u->dbegin, u->len);
	}
	if (suspect && u->len == 1) {
		suspects->block[suspects->nr++] = u->dbegin;
		if (suspects->nr == COUNT_LIST)
			suspect_scattered(b, suspects);
	} else if (suspect) {
		bits_set_run(b->suspects, u->dbegin, u->len);
	}
}

static int do_runs(struct build *b, const struct run *run, size_t nr, struct err *err)
{
	/* a def has no snap_time: each device that takes it checks it */
	const uint64_t suspect = b->state == IN_DEVICE ? b->dev.snap_time : UINT64_MAX;
	struct scattered all, suspects;
	uint64_t total = 0;
	bool is_suspect;
	int r = 0;

	all.nr = suspects.nr = 0;
	for (const struct run *u = run; !r && u < run + nr; u++) {
		if (!u->len)
			continue;
		if (unlikely(!run_ok(b, u)))
			return bad_run(b, u, err);
		b->last_key = u->vbegin + (u->len - 1);
		b->has_key = true;
		total += u->len;
		b->newest = MAX(b->newest, u->time);
		build_use_time(b, u->time);
		is_suspect = u->time >= suspect;
		if (unlikely(!is_suspect && !b->suspects)) {
			count_scattered(b, &all);
			r = build_times_mark(b, err);
			if (r)
				break;
		}
		count_run(b, u, is_suspect && b->suspects, &all, &suspects);
		if (b->state == IN_DEF)
			r = btree_build_add_run(&b->def_tree, u->vbegin, u->len,
						mapping_pack(u->dbegin, u->time), mapping_pack(1, 0),
						err);
		else
			r = build_device_run(&b->dev_tree, u->vbegin, u->len,
					     mapping_pack(u->dbegin, u->time), mapping_pack(1, 0),
					     err);
	}
	count_scattered(b, &all);
	suspect_scattered(b, &suspects);
	if (b->state == IN_DEVICE)
		b->dev.mapped_blocks += total;
	return r;
}

static int do_ref(struct build *b, uint64_t name, struct err *err)
{
	uint32_t begin = 0, end = 0;
	const struct build_def *def = build_defs_find(&b->defs, name, &begin, &end);
	struct shared_leaf l;
	int r = 0;

	if (!def)
		return err_set(err, -EINVAL, "device %u: ref to undefined def %llu",
			       b->dev.dev_id, (unsigned long long)name);
	for (uint32_t i = begin; !r && i < end; i++) {
		l = build_defs_leaf(&b->defs, i);
		if (i == begin && b->has_key && l.first_key <= b->last_key)
			return err_set(err, -EINVAL,
				       "device %u: keys out of order: def %llu begins with block %llu, after block %llu",
				       b->dev.dev_id, (unsigned long long)name,
				       (unsigned long long)l.first_key,
				       (unsigned long long)b->last_key);
		b->dev.mapped_blocks += l.nr;
		r = build_device_leaf(&b->dev_tree, &l, err);
	}
	if (begin < end) {
		b->newest = MAX(b->newest, def->newest);
		b->suspect_ref |= def->newest >= b->dev.snap_time;
		b->last_key = def->last_key;
		b->has_key = true;
	}
	return r;
}

static int do_end_device(struct build *b, struct err *err)
{
	struct built_device *d;
	mblock_t root = 0;
	int r = build_device_finish(&b->dev_tree, &root, err);

	if (r < 0)
		return r;
	d = vec_add(b->device, b->nr_devices, b->cap_devices);
	if (!d)
		return err_nomem(err, "devices");
	*d = (struct built_device){
		.dev_id = b->dev.dev_id,
		.creation_time = b->dev.creation_time,
		.snap_time = b->dev.snap_time,
		.root = (uint32_t)root, /* past the device's end it is never written */
		.mapped_blocks = b->dev.mapped_blocks,
		.transaction = b->dev.transaction,
		.first_node = (uint32_t)MIN(b->first_node, (mblock_t)UINT32_MAX),
		.newest = b->newest,
	};
	if (b->claimed != b->dev.mapped_blocks && b->opt.count_differs)
		b->opt.count_differs(b->opt.ctx, b->dev.dev_id, b->claimed, b->dev.mapped_blocks);
	return 0;
}

/* The grammar of events.h; after a failure no more events are taken. */
static int enter(struct build *b, enum build_state from, struct err *err)
{
	if (b->state == from)
		return 0;
	b->state = BROKEN;
	return err_set(err, -EINVAL, "metadata events out of order");
}

static int leave(struct build *b, enum build_state to, int r)
{
	b->state = r < 0 ? BROKEN : to;
	return r;
}

static int on_begin_pool(void *ctx, const struct pool_info *p, struct err *err)
{
	return enter(ctx, AT_START, err) ?: leave(ctx, IN_POOL, do_begin_pool(ctx, p, err));
}

static int on_begin_def(void *ctx, uint64_t name, struct err *err)
{
	return enter(ctx, IN_POOL, err) ?: leave(ctx, IN_DEF, do_begin_def(ctx, name, err));
}

static int on_end_def(void *ctx, struct err *err)
{
	return enter(ctx, IN_DEF, err) ?: leave(ctx, IN_POOL, do_end_def(ctx, err));
}

static int on_begin_device(void *ctx, const struct device_info *d, struct err *err)
{
	return enter(ctx, IN_POOL, err) ?: leave(ctx, IN_DEVICE, do_begin_device(ctx, d, err));
}

static int on_runs(void *ctx, const struct run *run, size_t nr, struct err *err)
{
	struct build *b = ctx;

	if (b->state == IN_DEF)
		return leave(b, IN_DEF, do_runs(b, run, nr, err));
	return enter(b, IN_DEVICE, err) ?: leave(b, IN_DEVICE, do_runs(b, run, nr, err));
}

static int on_ref(void *ctx, uint64_t name, struct err *err)
{
	return enter(ctx, IN_DEVICE, err) ?: leave(ctx, IN_DEVICE, do_ref(ctx, name, err));
}

static int on_end_device(void *ctx, struct err *err)
{
	return enter(ctx, IN_DEVICE, err) ?: leave(ctx, IN_POOL, do_end_device(ctx, err));
}

static int on_end_pool(void *ctx, struct err *err)
{
	return enter(ctx, IN_POOL, err) ?: leave(ctx, AT_END, build_end(ctx, err));
}

static const struct events_ops build_ops = {
	.begin_pool = on_begin_pool,
	.begin_def = on_begin_def,
	.end_def = on_end_def,
	.begin_device = on_begin_device,
	.runs = on_runs,
	.ref = on_ref,
	.end_device = on_end_device,
	.end_pool = on_end_pool,
};

int build_new(struct io *out, const struct build_options *opt, struct events *e, struct err *err)
{
	struct build *b = calloc(1, sizeof(*b));

	if (!b)
		return err_nomem(err, "metadata writer");
	b->out = out;
	if (opt)
		b->opt = *opt;
	b->nr_blocks = MIN(out->size / MBLOCK_SIZE, MAX_METADATA_BLOCKS);
	*e = (struct events){ .ops = &build_ops, .ctx = b };
	return 0;
}

void build_free(struct events *e)
{
	struct build *b = e->ctx;

	if (!b)
		return;
	btree_build_fini(&b->def_tree);
	build_device_fini(&b->dev_tree);
	build_defs_fini(&b->defs);
	block_writer_fini(&b->w);
	refmap_free(b->data_counts);
	refmap_free(b->metadata_counts);
	free(b->device);
	free(b->suspects);
	free(b->used);
	free(b);
	e->ctx = NULL;
}
