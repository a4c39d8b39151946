/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Finds blocks, and remembers where they are: who looks for one learns about its neighbours, too. */
#include <errno.h>

#include "volume/target/impl.h"

#define GROUP 32 /* neighbours, which lie in one leaf of the tree as a rule */
#define BLOCK_BITS 40
#define BLOCK_MASK ((UINT64_C(1) << BLOCK_BITS) - 1)
#define KIND_SHIFT 61
#define TAG_BITS (KIND_SHIFT - BLOCK_BITS)
#define VALID (UINT64_C(1) << 63)

static bool can_remember(vblock_t v)
{
	return !(v >> CACHE_BITS >> TAG_BITS);
}

static uint64_t tag(vblock_t v)
{
	return v >> CACHE_BITS << BLOCK_BITS;
}

static _Atomic uint64_t *slot(struct target_dev *d, vblock_t v)
{
	return &d->cache[v & ((1 << CACHE_BITS) - 1)];
}

static void remember(struct target_dev *d, vblock_t v, const struct spot *s)
{
	if (can_remember(v))
		atomic_store_explicit(slot(d, v), VALID | (uint64_t)s->kind << KIND_SHIFT | tag(v) | s->block,
				      memory_order_release);
}

void target_moved(struct target *t, uint32_t id, vblock_t v, dblock_t block)
{
	const struct spot s = { SPOT_OWN, block };

	for (struct target_dev *d = t->devs; d; d = d->next)
		if (d->id == id)
			remember(d, v, &s);
}

static bool recall(struct target_dev *d, vblock_t v, struct spot *s)
{
	uint64_t known = atomic_load_explicit(slot(d, v), memory_order_acquire);
	const uint64_t tag_mask = (UINT64_C(1) << KIND_SHIFT) - 1 - BLOCK_MASK;

	if (!known || !can_remember(v) || (known & tag_mask) != tag(v))
		return false;
	*s = (struct spot){ (known & ~VALID) >> KIND_SHIFT, known & BLOCK_MASK };
	return true;
}

static void forget(struct target_dev *d, vblock_t begin, vblock_t end)
{
	if (end - begin >= 1 << CACHE_BITS) {
		begin = 0;
		end = 1 << CACHE_BITS;
	}
	for (; begin < end; begin++)
		atomic_store_explicit(slot(d, begin), 0, memory_order_relaxed);
}

void target_forget(struct target *t, uint32_t id, vblock_t begin, vblock_t end)
{
	for (struct target_dev *d = t->devs; d; d = d->next)
		if (d->id == id)
			forget(d, begin, end);
}

void target_forget_all(struct target *t)
{
	for (struct target_dev *d = t->devs; d; d = d->next)
		forget(d, 0, 1 << CACHE_BITS);
}

struct group {
	uint64_t nr_data; /* blocks of the data device */
	struct spot spot[GROUP];
};

static struct spot spot_of(const struct mapping *m)
{
	return (struct spot){ m->shared ? SPOT_SHARED : SPOT_OWN, m->block };
}

static int into_group(void *ctx, vblock_t v, const struct mapping *m)
{
	struct group *g = ctx;

	g->spot[v % GROUP] = spot_of(m);
	return m->block < g->nr_data ? 0 : -EUCLEAN;
}

/* Where @v and its neighbours are, with one descent.  False: one of them cannot be found; @v perhaps can. */
static bool learn(struct target_dev *d, vblock_t v, struct spot *s)
{
	struct pool_edit *pool = d->t->pool;
	struct group g = { .nr_data = edit_superblock(pool)->data_sm.nr_blocks };
	vblock_t begin = v - v % GROUP;

	if (!can_remember(v) || edit_each_mapping(pool, d->id, begin, begin + GROUP, into_group, &g, NULL))
		return false;
	for (unsigned k = 0; k < GROUP; k++)
		remember(d, begin + k, &g.spot[k]);
	*s = g.spot[v % GROUP];
	return true;
}

/* meta is held. */
static int look_up(struct target_dev *d, vblock_t v, struct spot *s, struct err *err)
{
	struct mapping m;
	int r;

	/* another request may have learned it meanwhile */
	if (recall(d, v, s) || learn(d, v, s))
		return 0;
	*s = (struct spot){ SPOT_NONE, 0 };
	r = edit_lookup(d->t->pool, d->id, v, &m, err);
	if (!r)
		*s = spot_of(&m);
	return r && r != -ENOENT ? err_prefix(err, r, "device %u", d->id) : 0;
}

int target_lookup(struct target_dev *d, vblock_t v, struct spot *s, struct err *err)
{
	int r;

	if (recall(d, v, s))
		return 0;
	pthread_mutex_lock(&d->t->meta);
	r = look_up(d, v, s, err);
	pthread_mutex_unlock(&d->t->meta);
	return r;
}
