/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "pool/forest/owners.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "pool/forest/sharing.h"

struct set {
	size_t at; /* in devices */
	uint32_t nr;
};

/* Open addressing; key 0 is empty. */
struct slot {
	uint64_t key;
	uint32_t set;
};

struct table {
	struct slot *slot;
	size_t nr, cap;
};

struct owners {
	uint32_t *of; /* by metadata block */
	struct set *set; /* set 0 is not used */
	size_t nr_sets, cap_sets;
	uint32_t *device;
	size_t nr_devices, cap_devices;
	struct table unions;   /* of two sets, by their numbers */
	struct table contents; /* sets by a hash of what is in them */
};

static uint64_t mix(uint64_t x)
{
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93;
	x ^= x >> 32;
	return x * 0xd6e8feb86659fd93;
}

static int table_grow(struct table *t)
{
	struct table n = { .cap = t->cap ? 2 * t->cap : 256 };

	n.slot = calloc(n.cap, sizeof(*n.slot));
	if (!n.slot)
		return -1;
	for (size_t i = 0; i < t->cap; i++) {
		size_t at = mix(t->slot[i].key) & (n.cap - 1);

		if (!t->slot[i].key)
			continue;
		while (n.slot[at].key)
			at = (at + 1) & (n.cap - 1);
		n.slot[at] = t->slot[i];
		n.nr++;
	}
	free(t->slot);
	*t = n;
	return 0;
}

static int table_add(struct table *t, uint64_t key, uint32_t set)
{
	size_t at;

	if (2 * t->nr >= t->cap && table_grow(t))
		return -1;
	at = mix(key) & (t->cap - 1);
	while (t->slot[at].key)
		at = (at + 1) & (t->cap - 1);
	t->slot[at] = (struct slot){ key, set };
	t->nr++;
	return 0;
}

/* Room for @nr more devices in sets and for one more set. */
static int reserve(struct owners *o, size_t nr)
{
	if (o->nr_devices + nr > o->cap_devices) {
		size_t cap = 2 * o->cap_devices + nr;
		uint32_t *p = realloc(o->device, cap * sizeof(*p));

		if (!p)
			return -1;
		o->device = p;
		o->cap_devices = cap;
	}
	if (o->nr_sets == o->cap_sets) {
		size_t cap = 2 * o->cap_sets + 64;
		struct set *p = realloc(o->set, cap * sizeof(*p));

		if (!p)
			return -1;
		o->set = p;
		o->cap_sets = cap;
	}
	return 0;
}

/* The devices of both sets, appended without becoming a set yet; returns how many. */
static uint32_t merge(struct owners *o, uint32_t a, uint32_t b)
{
	const uint32_t *x = o->device + o->set[a].at, *xe = x + o->set[a].nr;
	const uint32_t *y = o->device + o->set[b].at, *ye = y + o->set[b].nr;
	uint32_t *to = o->device + o->nr_devices, nr = 0;

	while (x < xe || y < ye) {
		uint32_t v = y == ye || (x < xe && *x <= *y) ? *x : *y;

		x += x < xe && *x == v;
		y += y < ye && *y == v;
		to[nr++] = v;
	}
	return nr;
}

static uint64_t hash_devices(const uint32_t *dev, uint32_t nr)
{
	uint64_t h = nr;

	for (uint32_t i = 0; i < nr; i++)
		h = mix(h ^ ((uint64_t)dev[i] + 1));
	return h ? h : 1;
}

/* The set with the @nr devices that stand behind all others; 0: no memory. */
static uint32_t intern(struct owners *o, uint32_t nr)
{
	const uint32_t *dev = o->device + o->nr_devices;
	uint64_t key = hash_devices(dev, nr);
	struct table *t = &o->contents;

	for (size_t at = t->cap ? mix(key) & (t->cap - 1) : 0; t->cap && t->slot[at].key;
	     at = (at + 1) & (t->cap - 1)) {
		const struct set *s = &o->set[t->slot[at].set];

		if (t->slot[at].key == key && s->nr == nr &&
		    !memcmp(o->device + s->at, dev, nr * sizeof(*dev)))
			return t->slot[at].set;
	}
	if (table_add(t, key, (uint32_t)o->nr_sets))
		return 0;
	o->set[o->nr_sets] = (struct set){ o->nr_devices, nr };
	o->nr_devices += nr;
	return (uint32_t)o->nr_sets++;
}

/* 0: no memory. */
static uint32_t unite(struct owners *o, uint32_t a, uint32_t b)
{
	uint64_t key = (uint64_t)MIN(a, b) << 32 | MAX(a, b);
	struct table *t = &o->unions;
	uint32_t set;

	if (a == b || !a || !b)
		return a | b;
	for (size_t at = t->cap ? mix(key) & (t->cap - 1) : 0; t->cap && t->slot[at].key;
	     at = (at + 1) & (t->cap - 1))
		if (t->slot[at].key == key)
			return t->slot[at].set;
	if (reserve(o, o->set[a].nr + (size_t)o->set[b].nr))
		return 0;
	set = intern(o, merge(o, a, b));
	return set && !table_add(t, key, set) ? set : 0;
}

struct order {
	mblock_t *node;
	size_t nr, cap;
	uint8_t *seen;
};

/* All internal nodes below @node that were not seen. */
static int collect(struct forest *f, mblock_t node, struct order *o)
{
	const uint32_t *child;
	uint32_t nr;

	if (walk_height(f->walk, node) <= 0 || o->seen[node])
		return 0;
	child = walk_children(f->walk, node, &nr);
	if (!child)
		return 0;
	o->seen[node] = 1;
	if (o->nr == o->cap) {
		size_t cap = 2 * o->cap + 64;
		mblock_t *p = realloc(o->node, cap * sizeof(*p));

		if (!p)
			return -1;
		o->node = p;
		o->cap = cap;
	}
	o->node[o->nr++] = node;
	for (uint32_t i = 0; i < nr; i++) {
		mblock_t c = sharing_child(f->walk, node, child, i);

		if (c && collect(f, c, o))
			return -1;
	}
	return 0;
}

/* What the nodes of one height know goes to their children. */
static int spread(struct owners *o, struct forest *f, const struct order *order, int height)
{
	for (size_t k = 0; k < order->nr; k++) {
		mblock_t node = order->node[k];
		const uint32_t *child;
		uint32_t nr;

		if (walk_height(f->walk, node) != height)
			continue;
		child = walk_children(f->walk, node, &nr);
		for (uint32_t i = 0; i < nr; i++) {
			mblock_t c = sharing_child(f->walk, node, child, i);

			if (!c)
				continue;
			o->of[c] = unite(o, o->of[c], o->of[node]);
			if (!o->of[c])
				return -1;
		}
	}
	return 0;
}

struct rooted {
	mblock_t root;
	uint32_t dev;
};

static int by_root(const void *va, const void *vb)
{
	const struct rooted *a = va, *b = vb;

	if (a->root != b->root)
		return a->root < b->root ? -1 : 1;
	return a->dev < b->dev ? -1 : a->dev > b->dev;
}

/*
 * Each root gets the set of its devices at once: adding them one by one would keep a set for
 * each step, n * n / 2 entries for n devices with one root.
 */
static int own_roots(struct owners *o, struct forest *f, mblock_t nr_blocks)
{
	CLEANUP(free_ptr) struct rooted *dev = calloc(f->nr_devs + 1, sizeof(*dev));
	size_t nr = 0, end;

	if (!dev)
		return -1;
	for (size_t i = 0; i < f->nr_devs; i++) {
		mblock_t root = f->dev[i]->root;

		if (root < nr_blocks && walk_height(f->walk, root) >= 0)
			dev[nr++] = (struct rooted){ root, (uint32_t)i };
	}
	qsort(dev, nr, sizeof(*dev), by_root);
	for (size_t i = 0; i < nr; i = end) {
		for (end = i; end < nr && dev[end].root == dev[i].root; end++)
			;
		if (reserve(o, end - i))
			return -1;
		for (size_t k = i; k < end; k++)
			o->device[o->nr_devices + (k - i)] = dev[k].dev;
		o->of[dev[i].root] = intern(o, (uint32_t)(end - i));
		if (!o->of[dev[i].root])
			return -1;
	}
	return 0;
}

static int fill(struct owners *o, struct forest *f, mblock_t nr_blocks)
{
	struct order order = { 0 };
	int r = 0, height = 0;

	order.seen = calloc(nr_blocks + 1, 1);
	if (!order.seen)
		return -1;
	r = own_roots(o, f, nr_blocks);
	for (size_t i = 0; !r && i < f->nr_devs; i++) {
		mblock_t root = f->dev[i]->root;

		if (root >= nr_blocks || walk_height(f->walk, root) < 0)
			continue;
		r = collect(f, root, &order);
		height = MAX(height, walk_height(f->walk, root));
	}
	for (; !r && height > 0; height--)
		r = spread(o, f, &order, height);
	free(order.node);
	free(order.seen);
	return r;
}

struct owners *owners_new(struct forest *f, mblock_t nr_blocks, struct err *err)
{
	struct owners *o = calloc(1, sizeof(*o));
	bool good = o;

	if (good)
		o->of = calloc(nr_blocks + 1, sizeof(*o->of));
	good = good && o->of && !reserve(o, f->nr_devs);
	if (good)
		o->nr_sets = 1;
	for (size_t i = 0; good && i < f->nr_devs; i++) {
		good = !reserve(o, 1);
		if (!good)
			break;
		o->device[o->nr_devices] = (uint32_t)i;
		good = intern(o, 1) == i + 1;
	}
	if (!good || fill(o, f, nr_blocks)) {
		owners_free(o);
		err_nomem(err, "owners of leaves");
		return NULL;
	}
	return o;
}

void owners_free(struct owners *o)
{
	if (!o)
		return;
	free(o->of);
	free(o->set);
	free(o->device);
	free(o->unions.slot);
	free(o->contents.slot);
	free(o);
}

uint32_t owners_of(const struct owners *o, mblock_t node)
{
	return o->of[node];
}

const uint32_t *owners_devices(const struct owners *o, uint32_t set, uint32_t *nr)
{
	*nr = o->set[set].nr;
	return o->device + o->set[set].at;
}
