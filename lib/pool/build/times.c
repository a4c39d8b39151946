/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * The rule that protects shared data: a mapping of a block that is mapped more than once, or that
 * lies in a leaf of several devices, is older than its device's snap_time.  Devices that
 * break it get a higher snap_time: then the kernel copies more than it must, which is harmless.
 *
 * Which blocks are shared is known only when all devices have come, and their leaves are written by
 * then.  A block whose time the rule would not protect has a bit set (forest/suspects.h; no bits
 * are needed as long as that holds for all blocks, as in a pool without snapshots).  Where none of
 * these bits is a shared block's, nothing more is done; else the leaves of the devices in question
 * are read back, to find how far their snap_times have to go.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "pool/build/impl.h"
#include "pool/forest/suspects.h"

#define CHUNK	      256u		     /* blocks read at once */
#define NOTED_DEVICES 10		     /* the rest is counted */
#define NR_TIMES      ((size_t)MAX_TIME + 2) /* a raised snap_time can be one above the limit */
#define NR_WORDS      (NR_TIMES / 64 + 1)

struct times {
	struct build *b;
	uint8_t *chunk;
	uint64_t first_own, end_own; /* nodes of the device that is looked at */
	uint32_t least;		     /* snap_time that protects what has been seen */
	uint32_t *leaf_least;	     /* the same for each leaf of the defs; NULL: not known yet */
	uint32_t *rank;		     /* of the first time of each word of build.used */
	struct err *err;
};

/* Returns whether the node was changed (1), or < 0. */
typedef int node_fn(struct times *t, mblock_t at, const struct node *n, uint8_t *block);

static int each_node(struct times *t, mblock_t begin, mblock_t end, node_fn *fn)
{
	struct io *io = t->b->out;
	struct node n;

	for (mblock_t at = begin, nr; at < end; at += nr) {
		bool changed = false;
		int r;

		nr = MIN(end - at, (mblock_t)CHUNK);
		r = io_read(io, t->chunk, nr * MBLOCK_SIZE, at * MBLOCK_SIZE, t->err);
		for (mblock_t i = 0; r >= 0 && i < nr; i++) {
			uint8_t *block = t->chunk + i * MBLOCK_SIZE;

			if (csum_verify(block, at + i, SALT_NODE) ||
			    node_open(&n, block, at + i, 8) != NODE_OK)
				return err_set(t->err, -EIO,
					       "block %llu, just written, reads back differently",
					       (unsigned long long)(at + i));
			r = fn(t, at + i, &n, block);
			if (r > 0)
				csum_seal(block, at + i, SALT_NODE);
			changed |= r > 0;
		}
		if (r >= 0 && changed)
			r = io_write(io, t->chunk, nr * MBLOCK_SIZE, at * MBLOCK_SIZE, t->err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The least snap_time under which the shared mappings of a leaf are safe. */
static uint32_t leaf_needs(const struct build *b, const struct node *n, bool leaf_shared)
{
	uint32_t least = 0;

	for (uint32_t i = 0; i < n->nr; i++) {
		uint64_t v = node_value64(n, i);

		if (mapping_time(v) < least)
			continue;
		if (leaf_shared || refmap_get(b->data_counts, mapping_block(v)) > 1)
			least = mapping_time(v) + 1;
	}
	return least;
}

static int look_at_def_leaf(struct times *t, mblock_t at, const struct node *n, uint8_t *block)
{
	bool shared = refmap_get(t->b->metadata_counts, at) > 1;

	(void)block;
	t->leaf_least[build_defs_leaf_at(&t->b->defs, at)] = leaf_needs(t->b, n, shared);
	return 0;
}

static int look_at_defs(struct times *t)
{
	const struct build_defs *d = &t->b->defs;
	int r = 0;

	if (t->leaf_least)
		return 0;
	t->leaf_least = calloc(d->nr_leaves + (size_t)1, sizeof(*t->leaf_least));
	if (!t->leaf_least)
		return err_nomem(t->err, "times of shared leaves");
	for (size_t i = 0; !r && i < d->nr_spans; i++) {
		uint32_t next = i + 1 < d->nr_spans ? d->span[i + 1].first_leaf : d->nr_leaves;

		r = each_node(t, d->span[i].at, d->span[i].at + (next - d->span[i].first_leaf),
			      look_at_def_leaf);
	}
	return r;
}

static void take_def_leaf(struct times *t, mblock_t at)
{
	t->least = MAX(t->least, t->leaf_least[build_defs_leaf_at(&t->b->defs, at)]);
}

static int look_at_node(struct times *t, mblock_t at, const struct node *n, uint8_t *block)
{
	(void)at;
	(void)block;
	if (n->leaf) {
		t->least = MAX(t->least, leaf_needs(t->b, n, false));
		return 0;
	}
	for (uint32_t i = 0; i < n->nr; i++) {
		mblock_t child = node_value64(n, i);

		if (child < t->first_own || child >= t->end_own)
			take_def_leaf(t, child);
	}
	return 0;
}

static int look_at_device(struct times *t, const struct built_device *d)
{
	int r = look_at_defs(t);

	t->least = 0;
	t->first_own = d->first_node;
	t->end_own = (uint64_t)d->root + 1;
	if (r)
		return r;
	if (d->root >= d->first_node)
		return each_node(t, t->first_own, t->end_own, look_at_node);
	take_def_leaf(t, d->root);
	return 0;
}

static void note(struct build *b, const char *text)
{
	if (b->opt.note)
		b->opt.note(b->opt.ctx, text);
}

static int raise_all(struct times *t)
{
	struct build *b = t->b;
	uint64_t nr = 0;
	char text[256];
	int r = 0;

	for (size_t i = 0; !r && i < b->nr_devices; i++) {
		struct built_device *d = &b->device[i];

		if (!d->mapped_blocks || d->newest < d->snap_time)
			continue;
		r = look_at_device(t, d);
		if (r || t->least <= d->snap_time)
			continue;
		snprintf(text, sizeof(text),
			 "device %u: snap_time %u is raised to %u: the device has data blocks "
			 "that are mapped more than once, which the kernel would overwrite in "
			 "place",
			 d->dev_id, d->snap_time, t->least);
		if (nr++ < NOTED_DEVICES)
			note(b, text);
		d->snap_time = t->least;
		b->pool.time = MAX(b->pool.time, d->snap_time);
		build_use_time(b, d->snap_time);
	}
	snprintf(text, sizeof(text), "snap_time is raised for %llu more devices",
		 (unsigned long long)(nr - MIN(nr, (uint64_t)NOTED_DEVICES)));
	if (!r && nr > NOTED_DEVICES)
		note(b, text);
	return r;
}

/* --- the end of the clock --- */

static uint32_t rank_of(const struct times *t, uint32_t time)
{
	uint64_t below = t->b->used[time / 64] & ((1ull << time % 64) - 1);

	return t->rank[time / 64] + (uint32_t)__builtin_popcountll(below);
}

static int renumber_node(struct times *t, mblock_t at, const struct node *n, uint8_t *block)
{
	(void)at;
	if (!n->leaf || !n->nr)
		return 0;
	for (uint32_t i = 0; i < n->nr; i++) {
		uint64_t v = node_value64(n, i);
		le64 to = le64_make(mapping_pack(mapping_block(v), rank_of(t, mapping_time(v))));

		memcpy(block + ((const uint8_t *)node_value(n, i) - block), &to, sizeof(to));
	}
	return 1;
}

static int renumber(struct times *t)
{
	struct build *b = t->b;
	const uint32_t before = b->pool.time;
	uint32_t nr = 0;
	char text[256];
	int r;

	build_use_time(b, 0);
	build_use_time(b, before);
	t->rank = malloc(NR_WORDS * sizeof(*t->rank));
	if (!t->rank)
		return err_nomem(t->err, "times");
	for (size_t i = 0; i < NR_WORDS; i++) {
		t->rank[i] = nr;
		nr += (uint32_t)__builtin_popcountll(b->used[i]);
	}
	if (nr > MAX_TIME + 1)
		return err_set(
			t->err, -EINVAL,
			"the pool uses all %u times of the format: snap_time cannot be raised",
			nr - 1);
	r = each_node(t, 1, b->w.next, renumber_node);
	for (size_t i = 0; !r && i < b->nr_devices; i++) {
		b->device[i].creation_time = rank_of(t, b->device[i].creation_time);
		b->device[i].snap_time = rank_of(t, b->device[i].snap_time);
	}
	b->pool.time = rank_of(t, before);
	snprintf(text, sizeof(text),
		 "the pool's snapshot clock was at %u, near its end (%u): all times are "
		 "renumbered in order, and the clock is at %u now",
		 MIN(before, MAX_TIME), MAX_TIME, b->pool.time);
	if (!r)
		note(b, text);
	return r;
}

int build_times_begin(struct build *b, struct err *err)
{
	if (b->pool.time < MAX_TIME - TIME_MARGIN)
		return 0;
	b->used = calloc(NR_WORDS, sizeof(*b->used));
	return b->used ? 0 : err_nomem(err, "times");
}

int build_times_mark(struct build *b, struct err *err)
{
	b->suspects = suspects_of_counted(b->data_counts);
	return b->suspects ? 0 : err_nomem(err, "times");
}

int build_times_end(struct build *b, struct err *err)
{
	CLEANUP(free_ptr) void *chunk = NULL;
	struct times t = { .b = b, .err = err };
	bool broken = b->suspect_ref || suspects_any_shared(b->suspects, b->data_counts);
	int r;

	if (block_writer_full(&b->w) || (!broken && !b->used))
		return 0; /* a pool that does not fit fails soon, and cannot be read back */
	t.chunk = chunk = io_alloc((size_t)CHUNK * MBLOCK_SIZE);
	if (!chunk)
		return err_nomem(err, "times");
	r = block_writer_finish(&b->w, err);
	if (!r && broken)
		r = raise_all(&t);
	if (!r && b->pool.time > MAX_TIME - TIME_MARGIN)
		r = renumber(&t);
	free(t.leaf_least);
	free(t.rank);
	return r;
}
