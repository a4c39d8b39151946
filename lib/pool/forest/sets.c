/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "pool/forest/sets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "base/order.h"
#include "base/vec.h"
#include "pool/forest/owners.h"

static uint64_t mix(uint64_t x)
{
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93;
	x ^= x >> 32;
	return x * 0xd6e8feb86659fd93;
}

/* Sorts @nr numbers and drops those that stand there twice; returns how many are left. */
static size_t in_order(uint32_t *v, size_t nr)
{
	size_t k = 0, i;

	for (i = 1; i < nr && v[i - 1] <= v[i]; i++)
		;
	if (i < nr)
		qsort(v, nr, sizeof(*v), order_u32);
	for (i = 0; i < nr; i++)
		if (!k || v[k - 1] != v[i])
			v[k++] = v[i];
	return k;
}

static uint64_t hash_list(const uint32_t *v, size_t nr)
{
	uint64_t h = nr;

	for (size_t i = 0; i < nr; i++)
		h = mix(h ^ v[i]);
	return h;
}

/* The list part[at..at + nr), a new one without a set when it was not seen.  NULL: no memory. */
static struct set_list *find_list(struct sets *s, size_t at, size_t nr)
{
	uint64_t key = hash_list(s->part + at, nr), same = umap_get(&s->by_hash, key);
	struct set_list *l;

	for (uint64_t i = same; i; i = l->next) {
		l = &s->list[i - 1];
		if (l->nr == nr && !memcmp(s->part + l->at, s->part + at, nr * sizeof(*s->part)))
			return l;
	}
	l = vec_add(s->list, s->nr_lists, s->cap_lists);
	if (!l || umap_put(&s->by_hash, key, s->nr_lists))
		return NULL;
	*l = (struct set_list) { .at = at, .nr = (uint32_t)nr, .next = (uint32_t)same };
	return l;
}

/* Is each part a device? */
static bool spelt(const struct sets *s, const uint32_t *part, size_t nr)
{
	return nr && part[nr - 1] <= s->nr_devices; /* they ascend */
}

/* The set that the last @nr parts are.  0: no memory. */
static uint32_t add_set(struct sets *s, struct set_list *list, size_t at, size_t nr)
{
	struct set *set = vec_add(s->set, s->nr_sets, s->cap_sets);

	if (!set)
		return 0;
	*set = (struct set){ at, (uint32_t)nr, 0 };
	for (size_t i = at; i < at + nr; i++)
		set->count += s->part[i] <= s->nr_devices ? 1 : s->set[s->part[i]].count;
	list->set = (uint32_t)(s->nr_sets - 1);
	return list->set;
}

/* The list of devices of the list part[at..at + nr), appended to part; returns its length or -ENOMEM. */
static ssize_t spell_list(struct sets *s, size_t at, size_t nr, size_t len)
{
	size_t k = s->nr_parts;

	if (vec_reserve(s->part, s->cap_parts, s->nr_parts + len))
		return -ENOMEM;
	for (size_t i = at; i < at + nr; i++) {
		uint32_t set = s->part[i];

		if (set <= s->nr_devices) {
			s->part[k++] = set;
			continue;
		}
		memcpy(s->part + k, s->part + s->set[set].at, s->set[set].nr * sizeof(*s->part));
		k += s->set[set].nr;
	}
	return (ssize_t)in_order(s->part + s->nr_parts, len);
}

/* May the list be spelt out?  *len: how many devices that are before they are sorted. */
static bool may_spell(const struct sets *s, size_t at, size_t nr, uint64_t *len)
{
	*len = 0;
	for (size_t i = at; i < at + nr && *len <= s->to_spell; i++) {
		const struct set *set = &s->set[s->part[i]];

		if (!spelt(s, s->part + set->at, set->nr))
			return false;
		*len += set->nr;
	}
	return *len <= s->to_spell;
}

/*
 * The set with the last @nr of part, which are not counted in nr_parts yet.  They stay there when
 * they are new.  0: no memory.
 */
static uint32_t intern(struct sets *s, size_t nr)
{
	size_t at = s->nr_parts;
	struct set_list *list = find_list(s, at, nr);
	uint64_t len;
	ssize_t n;
	uint32_t set;

	if (!list)
		return 0;
	if (list->set)
		return list->set;
	s->nr_parts += nr;
	if (spelt(s, s->part + at, nr) || !may_spell(s, at, nr, &len))
		return add_set(s, list, at, nr);
	s->to_spell -= len;
	n = spell_list(s, at, nr, (size_t)len);
	set = n < 0 ? 0 : intern(s, (size_t)n);
	list = find_list(s, at, nr); /* it may have moved */
	if (list)
		list->set = set;
	return list ? set : 0;
}

uint32_t *sets_room(struct sets *s, size_t nr)
{
	return vec_reserve(s->part, s->cap_parts, s->nr_parts + nr) ? NULL : s->part + s->nr_parts;
}

uint32_t sets_get(struct sets *s, size_t nr)
{
	nr = in_order(s->part + s->nr_parts, nr);
	return nr == 1 ? s->part[s->nr_parts] : intern(s, nr);
}

/* Sets 1 to nr_devices are a device alone, and no list finds them. */
int sets_init(struct sets *s, uint32_t nr_devices)
{
	*s = (struct sets) { .nr_devices = nr_devices };
	if (vec_reserve(s->set, s->cap_sets, s->nr_devices + (size_t)1) ||
	    vec_reserve(s->part, s->cap_parts, s->nr_devices + (size_t)1))
		return -ENOMEM;
	s->set[s->nr_sets++] = (struct set) { 0 };
	for (uint32_t i = 1; i <= s->nr_devices; i++) {
		s->set[s->nr_sets++] = (struct set) { s->nr_parts, 1, 1 };
		s->part[s->nr_parts++] = i;
	}
	return 0;
}

void sets_fini(struct sets *s)
{
	free(s->set);
	free(s->part);
	free(s->list);
	umap_fini(&s->by_hash);
}

static int add_devices_of(const struct sets *s, uint32_t set, struct owners_list *list)
{
	const struct set *e = &s->set[set];

	for (uint32_t i = 0; i < e->nr; i++) {
		uint32_t part = s->part[e->at + i];

		if (part <= s->nr_devices) {
			if (vec_reserve(list->own, list->cap, list->nr + 1))
				return -ENOMEM;
			list->own[list->nr++] = part;
		} else if (add_devices_of(s, part, list)) {
			return -ENOMEM;
		}
	}
	return 0;
}

int sets_devices(const struct sets *s, uint32_t set, struct owners_list *list)
{
	const struct set *e = &s->set[set];

	if (spelt(s, s->part + e->at, e->nr) || !e->nr) {
		list->dev = s->part + e->at;
		list->nr = e->nr;
		return 0;
	}
	if (list->set != set) {
		list->set = 0;
		list->nr = 0;
		if (add_devices_of(s, set, list))
			return -ENOMEM;
		list->nr_own = in_order(list->own, list->nr);
		list->set = set;
	}
	list->dev = list->own;
	list->nr = list->nr_own;
	return 0;
}
