/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Another pool with the same damaged image.  Such a pool is healthy, has other mappings, and differs
 * only in blocks that the damage changed.  Where there is one, no rescue can know which of the two it has.
 */
#include <stdlib.h>
#include <string.h>

#include "harsh.h"

static const uint8_t *node(const struct harm *h, uint32_t b)
{
	return h->pool->image + (size_t)b * 4096;
}

static uint32_t nr_of(const uint8_t *n)
{
	return u32(n, 16);
}

static uint64_t key_of(const uint8_t *n, uint32_t i)
{
	return u64(n, 32 + 8 * (size_t)i);
}

static uint64_t value_of(const uint8_t *n, uint32_t i)
{
	return u64(n, 2048 + 8 * (size_t)i);
}

static bool is_lost(const struct harm *h, uint32_t b)
{
	return b >= h->nr_blocks || memcmp(node(h, b), h->image + (size_t)b * 4096, 4096);
}

/* --- a state before, when the superblock is lost: the newer one may never have been committed --- */

static bool same_maps(const struct pool *a, const struct pool *b)
{
	if (a->nr_maps != b->nr_maps || a->nr_details != b->nr_details)
		return false;
	for (size_t i = 0; i < a->nr_maps; i++)
		if (by_dev_key(&a->map[i], &b->map[i]) || a->map[i].value != b->map[i].value)
			return false;
	return true;
}

/* Does all that another state, with other mappings, uses stand in the pool's image? */
static bool stands(const struct harm *h, uint8_t *image)
{
	struct pool other;
	bool same;

	pool_take(&other, image, h->pool->nr_blocks);
	same = !same_maps(&other, h->pool);
	for (uint32_t b = 1; b < h->pool->nr_blocks && same; b++)
		same = !(other.roles[b] & ~(1 << ROLE_FREE)) || !memcmp(image + (size_t)b * 4096, node(h, b), 4096);
	pool_free(&other);
	return same;
}

static bool other_state(const struct harm *h)
{
	const struct history *y = h->history;
	bool found = false;

	if (!is_lost(h, 0))
		return false;
	for (uint32_t i = 0; i + 1 < y->nr && !found; i++)
		found = stands(h, y->state[i]);
	return found || (y->later && stands(h, y->later)) || (!y->nr && other_standing(h->pool, same_maps));
}

/* --- devices --- */

struct entry {
	uint32_t leaf, i; /* where it stands */
};

/* Finds device @id in the tree at @b; false: not there. */
static bool find_entry(const struct harm *h, uint64_t b, uint32_t id, struct entry *e)
{
	const uint8_t *n = node(h, (uint32_t)b);
	uint32_t i = 0;

	while (i + 1 < nr_of(n) && key_of(n, i + 1) <= id)
		i++;
	if (u32(n, 4) & 1)
		return find_entry(h, value_of(n, i), id, e);
	*e = (struct entry) { (uint32_t)b, i };
	return i < nr_of(n) && key_of(n, i) == id;
}

static bool details_are_lost(const struct harm *h, uint32_t id)
{
	struct entry e;

	return find_entry(h, u64(h->pool->image, 328), id, &e) && is_lost(h, e.leaf);
}

/* A device under another id: nothing but the top level and the details name it. */
static bool other_id(const struct harm *h)
{
	const struct pool *p = h->pool;

	for (size_t k = 0; k < p->nr_details; k++) {
		uint32_t id = p->details[k].dev;
		struct entry e;

		if (find_entry(h, u64(p->image, 320), id, &e) && is_lost(h, e.leaf) &&
		    details_are_lost(h, id) && id + 1 < 1 << 24 &&
		    (k + 1 == p->nr_details || p->details[k + 1].dev > id + 1))
			return true;
	}
	return false;
}

/* The mappings of a device: @nr from the first. */
static const struct mapped *maps_of(const struct pool *p, uint32_t id, size_t *nr)
{
	const struct mapped *m = NULL;

	*nr = 0;
	for (size_t i = 0; i < p->nr_maps; i++)
		if (p->map[i].dev == id) {
			m = m ? m : &p->map[i];
			++*nr;
		}
	return m;
}

static bool differ(const struct pool *p, uint32_t a, uint32_t b)
{
	size_t nr_a, nr_b;
	const struct mapped *ma = maps_of(p, a, &nr_a), *mb = maps_of(p, b, &nr_b);

	if (nr_a != nr_b)
		return true;
	for (size_t i = 0; i < nr_a; i++)
		if (ma[i].key != mb[i].key || ma[i].value != mb[i].value)
			return true;
	return false;
}

/* Two devices with each other's trees: the top level is lost, and their details do not tell them apart. */
static bool other_root(const struct harm *h)
{
	const struct pool *p = h->pool;
	struct entry e, f;

	for (size_t i = 0; i < p->nr_details; i++) {
		const struct details *a = &p->details[i];

		if (!find_entry(h, u64(p->image, 320), a->dev, &e) || !is_lost(h, e.leaf))
			continue;
		for (size_t k = i + 1; k < p->nr_details; k++) {
			const struct details *b = &p->details[k];

			if (find_entry(h, u64(p->image, 320), b->dev, &f) && is_lost(h, f.leaf) &&
			    (a->mapped == b->mapped ||
			     (details_are_lost(h, a->dev) && details_are_lost(h, b->dev))) &&
			    differ(p, a->dev, b->dev))
				return true;
		}
	}
	return false;
}

/* --- children of lost nodes --- */

#define MAX_GROUP 8

/* Neighbouring leaves below one node. */
struct group {
	const uint8_t *n;
	uint32_t begin, end;
};

static const uint8_t *child(const struct harm *h, const uint8_t *n, uint32_t i)
{
	return node(h, (uint32_t)value_of(n, i));
}

static uint64_t last_key(const struct harm *h, const uint8_t *n, uint32_t i)
{
	const uint8_t *c = child(h, n, i);

	return key_of(c, nr_of(c) - 1);
}

/* Could the leaves of @g stand where those of @to do? */
static bool fits(const struct harm *h, const struct group *g, const struct group *to)
{
	uint64_t first = key_of(child(h, g->n, g->begin), 0), last = last_key(h, g->n, g->end - 1);

	/* the parent of the lost node has its first key, and limits its last one */
	if (to->begin ? first <= last_key(h, to->n, to->begin - 1) : first != key_of(to->n, 0))
		return false;
	return to->end == nr_of(to->n) ? last <= last_key(h, to->n, to->end - 1)
				       : last < key_of(to->n, to->end);
}

static uint64_t nr_mappings(const struct harm *h, const struct group *g)
{
	uint64_t nr = 0;

	for (uint32_t i = g->begin; i < g->end; i++)
		nr += nr_of(child(h, g->n, i));
	return nr;
}

static bool has_child(const uint8_t *n, uint64_t c)
{
	for (uint32_t i = 0; i < nr_of(n); i++)
		if (value_of(n, i) == c)
			return true;
	return false;
}

/* Leaves, none of which node @m has, too. */
static bool are_own(const struct harm *h, const struct group *g, const uint8_t *m)
{
	for (uint32_t i = g->begin; i < g->end; i++)
		if (!(u32(child(h, g->n, i), 4) & 2) || has_child(m, value_of(g->n, i)))
			return false;
	return true;
}

static bool can_swap_group(const struct harm *h, const struct group *g, const uint8_t *m)
{
	uint64_t nr = nr_mappings(h, g);

	for (uint32_t k = 0; k < nr_of(m); k++)
		for (uint32_t end = k + 1; end <= nr_of(m) && end <= k + MAX_GROUP; end++) {
			const struct group to = { m, k, end };

			if (nr_mappings(h, &to) == nr && are_own(h, &to, g->n) && fits(h, g, &to) &&
			    fits(h, &to, g))
				return true;
		}
	return false;
}

static bool can_swap(const struct harm *h, const uint8_t *n, const uint8_t *m)
{
	for (uint32_t i = 0; i < nr_of(n); i++)
		for (uint32_t end = i + 1; end <= nr_of(n) && end <= i + MAX_GROUP; end++) {
			const struct group g = { n, i, end };

			if (are_own(h, &g, m) && can_swap_group(h, &g, m))
				return true;
		}
	return false;
}

/* Two lost nodes whose groups of leaves can be exchanged: they have as many mappings, and each fits in the other's place. */
static bool other_leaf(const struct harm *h)
{
	const struct pool *p = h->pool;

	for (uint32_t i = 0; i < p->nr_of_role[ROLE_INTERNAL]; i++)
		for (uint32_t k = i + 1; k < p->nr_of_role[ROLE_INTERNAL]; k++) {
			uint32_t a = p->of_role[ROLE_INTERNAL][i], b = p->of_role[ROLE_INTERNAL][k];

			if (is_lost(h, a) && is_lost(h, b) && can_swap(h, node(h, a), node(h, b)))
				return true;
		}
	return false;
}

const char *other_pool(const struct harm *h)
{
	return other_state(h)  ? "a state before"
	       : other_id(h)   ? "ids"
	       : other_root(h) ? "roots"
	       : other_leaf(h) ? "leaves"
			       : NULL;
}

bool is_other_pool(const struct harm *h)
{
	return h->nr_blocks == h->pool->nr_blocks && other_itself(h->pool, h->image, same_maps);
}
