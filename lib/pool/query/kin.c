/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "pool/query/kin.h"

#include <errno.h>
#include <stdlib.h>

#include "base/umap.h"
#include "base/vec.h"
#include "pool/forest/owners.h"
#include "pool/format/format.h"

/* A mapping, and its leaf. */
struct seen {
	uint64_t hash; /* of the virtual block, which it stands for */
	dblock_t block;
	mblock_t leaf;
	uint32_t time;
};

struct kin_worker {
	struct seen *seen;
	size_t nr, cap;
} __attribute__((aligned(128)));

struct kin {
	const struct forest *f;
	unsigned nr_workers;
	struct kin_worker *worker;
	uint64_t limit; /* hashes above it are left out */
};

/* The greatest number of compared pairs of devices; the counts up to then decide. */
#define MAX_PAIRS ((uint64_t)200 << 20)

/* One device's mapping of the virtual block that is being looked at. */
struct side {
	uint32_t device;
	uint32_t time;
	dblock_t block;
};

struct counting {
	const struct forest *f;
	struct owners *owners;
	struct owners_list list;
	struct umap same, other; /* device * nr + origin -> mappings in common, contradictions */
	struct side *side;
	size_t nr, cap;
	uint64_t nr_pairs;
};

struct kin *kin_new(const struct forest *f)
{
	struct kin *k = calloc(1, sizeof(*k));
	uint64_t nr_mappings = 1;

	if (!k)
		return NULL;
	k->f = f;
	k->nr_workers = stream_nr_workers(f->s);
	k->worker = aligned_alloc(128, k->nr_workers * sizeof(*k->worker));
	if (!k->worker) {
		free(k);
		return NULL;
	}
	memset(k->worker, 0, k->nr_workers * sizeof(*k->worker));
	for (size_t i = 0; i < f->nr_devs; i++)
		nr_mappings += MIN(f->dev[i]->info.mapped_blocks, UINT32_MAX);
	k->limit = nr_mappings <= KIN_SEEN ? UINT64_MAX : UINT64_MAX / nr_mappings * KIN_SEEN;
	return k;
}

void kin_free(struct kin *k)
{
	if (!k)
		return;
	for (unsigned i = 0; i < k->nr_workers; i++)
		free(k->worker[i].seen);
	free(k->worker);
	free(k);
}

/* Another hash for each block. */
static uint64_t hash(vblock_t block)
{
	uint64_t x = (block + 1) * 0x9e3779b97f4a7c15;

	x ^= x >> 32;
	return x * 0xd6e8feb86659fd93;
}

int kin_take(struct kin *k, unsigned worker, mblock_t block, const struct node *n)
{
	struct kin_worker *w = &k->worker[worker];

	if (vec_reserve(w->seen, w->cap, w->nr + n->nr))
		return -ENOMEM;
	for (uint32_t i = 0; i < n->nr; i++) {
		const uint64_t h = hash(node_key(n, i)), v = node_value64(n, i);

		if (h <= k->limit)
			w->seen[w->nr++] = (struct seen){ h, mapping_block(v), block, mapping_time(v) };
	}
	return 0;
}

static int by_hash(const void *va, const void *vb)
{
	const struct seen *a = va, *b = vb;

	if (a->hash != b->hash)
		return a->hash < b->hash ? -1 : 1;
	return a->leaf < b->leaf ? -1 : a->leaf > b->leaf;
}

static bool could_be_origin(const struct device_info *origin, const struct device_info *snap)
{
	return origin->creation_time < snap->creation_time && origin->snap_time >= snap->creation_time;
}

static int add_owners(struct counting *c, const struct seen *seen)
{
	int r = owners_devices(c->owners, owners_of(c->owners, seen->leaf), &c->list);

	if (!r)
		r = vec_reserve(c->side, c->cap, c->nr + c->list.nr);
	for (size_t i = 0; !r && i < c->list.nr; i++)
		c->side[c->nr++] = (struct side){ c->list.dev[i] - 1, seen->time, seen->block };
	return r;
}

static int add(struct umap *m, uint64_t key, uint64_t n)
{
	return umap_put(m, key, umap_get(m, key) + n);
}

/* Judges from the two mappings of one virtual block whether @o can be the origin of @s. */
static int judge(struct counting *c, const struct side *s, const struct side *o, uint64_t weight)
{
	const struct device_info *snap = &c->f->dev[s->device]->info;
	const uint64_t key = (uint64_t)s->device * c->f->nr_devs + o->device;

	if (!could_be_origin(&c->f->dev[o->device]->info, snap) || s->time >= snap->creation_time)
		return 0;
	if (s->block == o->block)
		return add(&c->same, key, weight);
	return o->time < snap->creation_time ? add(&c->other, key, weight) : 0;
}

static int judge_all(struct counting *c, uint64_t weight)
{
	int r = 0;

	c->nr_pairs += (uint64_t)c->nr * c->nr;
	for (size_t i = 0; i < c->nr && c->nr_pairs < MAX_PAIRS; i++)
		for (size_t j = 0; !r && j < c->nr; j++)
			r = judge(c, &c->side[i], &c->side[j], weight);
	return r;
}

/* Virtual blocks that one leaf alone has are counted at once for all leaves of the same owners. */
struct alone {
	struct umap weight, first; /* set of owners -> how many, and one of them as an index plus 1 */
};

static int judge_alone(struct counting *c, const struct seen *seen, struct alone *a)
{
	uint64_t set, weight;
	int r = 0;

	for (size_t i = 0; !r && (i = umap_next(&a->weight, i, &set, &weight));) {
		c->nr = 0;
		r = add_owners(c, &seen[umap_get(&a->first, set) - 1]);
		if (!r)
			r = judge_all(c, weight);
	}
	return r;
}

static int count(struct counting *c, const struct seen *seen, size_t nr)
{
	struct alone alone = { 0 };
	int r = 0;

	for (size_t i = 0, next; !r && i < nr; i = next) {
		for (next = i + 1; next < nr && seen[next].hash == seen[i].hash; next++)
			;
		c->nr = 0;
		if (next == i + 1) {
			const uint64_t set = owners_of(c->owners, seen[i].leaf);

			r = add(&alone.weight, set, 1);
			if (!r)
				r = umap_put(&alone.first, set, i + 1);
			continue;
		}
		for (size_t n = i; !r && n < next; n++)
			r = add_owners(c, &seen[n]);
		if (!r)
			r = judge_all(c, 1);
	}
	if (!r)
		r = judge_alone(c, seen, &alone);
	umap_fini(&alone.weight);
	umap_fini(&alone.first);
	return r;
}

/* Is @a the better origin of @snap than @b? */
static bool better(const struct counting *c, uint64_t snap, uint64_t a, uint64_t b)
{
	const uint32_t time = c->f->dev[snap]->info.creation_time;
	const struct device_info *da = &c->f->dev[a]->info, *db = &c->f->dev[b]->info;
	const uint64_t key = snap * c->f->nr_devs;
	const uint64_t same_a = umap_get(&c->same, key + a), same_b = umap_get(&c->same, key + b);

	if ((da->snap_time == time) != (db->snap_time == time))
		return da->snap_time == time;
	if (same_a != same_b)
		return same_a > same_b;
	if (da->creation_time != db->creation_time)
		return da->creation_time > db->creation_time;
	return a < b;
}

static void choose(struct counting *c, struct kin_origin *origin)
{
	const struct forest *f = c->f;
	uint64_t key, same;

	for (size_t i = 0; i < f->nr_devs; i++)
		origin[i] = (struct kin_origin){ .device = KIN_NONE };
	for (size_t i = 0; (i = umap_next(&c->same, i, &key, &same));) {
		const uint64_t snap = key / f->nr_devs, of = key % f->nr_devs;

		if (umap_get(&c->other, key) ||
		    (origin[snap].device != KIN_NONE && !better(c, snap, of, origin[snap].device)))
			continue;
		origin[snap].device = of;
		origin[snap].certain = f->dev[of]->info.snap_time == f->dev[snap]->info.creation_time;
	}
}

static int join_seen(struct kin *k, struct seen **out, size_t *nr)
{
	size_t sum = 0;

	for (unsigned i = 0; i < k->nr_workers; i++)
		sum += k->worker[i].nr;
	*nr = 0;
	*out = calloc(sum + 1, sizeof(**out));
	if (!*out)
		return -ENOMEM;
	for (unsigned i = 0; i < k->nr_workers; i++) {
		if (k->worker[i].nr)
			memcpy(*out + *nr, k->worker[i].seen, k->worker[i].nr * sizeof(**out));
		*nr += k->worker[i].nr;
	}
	qsort(*out, *nr, sizeof(**out), by_hash);
	return 0;
}

int kin_origins(struct kin *k, mblock_t nr_blocks, struct kin_origin *origin, struct err *err)
{
	const struct forest *f = k->f;
	struct counting c = { .f = f };
	struct owners_root *root = calloc(f->nr_devs + 1, sizeof(*root));
	struct seen *seen = NULL;
	size_t nr = 0;
	int r = root ? join_seen(k, &seen, &nr) : -ENOMEM;

	for (size_t i = 0; !r && i < f->nr_devs; i++)
		root[i] = (struct owners_root){ f->dev[i]->root, (uint32_t)i + 1 };
	if (!r)
		c.owners = owners_new(f->walk, root, f->nr_devs, (uint32_t)f->nr_devs, nr_blocks, false, err);
	if (!r && !c.owners)
		r = -ENOMEM;
	if (!r)
		r = count(&c, seen, nr);
	if (!r)
		choose(&c, origin);
	owners_free(c.owners);
	owners_list_fini(&c.list);
	umap_fini(&c.same);
	umap_fini(&c.other);
	free(c.side);
	free(seen);
	free(root);
	return r ? err_nomem(err, "origins of snapshots") : 0;
}
