/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_SETS_H
#define POOL_SETS_H
/*
 * Sets of devices, each kept once and known by a number; private to owners.c.  A set is a list of
 * devices while to_spell allows that, otherwise a list of other sets.
 * Threads: one makes sets; reading them any.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/umap.h"

struct owners_list;

struct set {
	size_t at; /* in part */
	uint32_t nr;
	uint64_t count; /* devices, at most */
};

/* A list of sets that was seen, and the set that it makes. */
struct set_list {
	size_t at; /* in part */
	uint32_t nr, set;
	uint32_t next; /* another list with the same hash, plus one */
};

struct sets {
	uint32_t nr_devices; /* set i is device i alone, from 1 on */
	struct set *set;     /* set 0 has no device */
	size_t nr_sets, cap_sets;
	uint32_t *part; /* sets; up to nr_devices: a device */
	size_t nr_parts, cap_parts;
	uint64_t to_spell; /* number of devices that may still be put into lists */
	struct set_list *list;
	size_t nr_lists, cap_lists;
	struct umap by_hash; /* of a list, to its index plus one */
};

/* 0 or -ENOMEM; sets_fini() in both cases. */
int sets_init(struct sets *s, uint32_t nr_devices);
void sets_fini(struct sets *s);

/* Room for the parts of one more set, @nr at most: valid until the next call.  NULL: no memory. */
uint32_t *sets_room(struct sets *s, size_t nr);
/* The set with the @nr parts put there, in any order.  0: no memory. */
uint32_t sets_get(struct sets *s, size_t nr);
/* owners_devices() */
int sets_devices(const struct sets *s, uint32_t set, struct owners_list *list);

#endif
