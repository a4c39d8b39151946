/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_SALVAGE_TREES_H
#define POOL_SALVAGE_TREES_H
/* The trees that the roots reach: devices, their details, and the gaps where a part cannot be read. */
#include "pool/salvage/super/super.h"

enum details_source { DETAILS_LIVE, DETAILS_OLDER, DETAILS_INVENTED };

struct sdevice { /* by id, which comes first */
	struct device_info info;
	uint32_t root_block; /* NONE: not known */
	uint32_t root;	     /* node */
	uint8_t source;	     /* enum details_source */
	bool in_top;	     /* the top level named it */
	bool is_guess; /* only an older top level names it: dropped when no tree is found */
	bool id_invented;
	bool has_other_id; /* in the top level or in the details: @other_id */
	uint64_t other_id;
	bool snap_time_raised;
	bool root_found; /* its lost root was found */
	bool root_given; /* the user chose it */
	uint64_t nr_mappings;
};

/* A part of a tree that cannot be read, and the virtual node in its place. */
struct gap {
	uint64_t begin, last; /* keys that belong there, inclusive */
	uint32_t node;
	uint32_t block; /* the lost block, or NONE */
	int height;	/* of the lost node, -1: not known */
	uint8_t tree;
	uint8_t why; /* enum block_kind of the block's present content */
};

struct trees {
	struct graph *graph;
	struct super *super;
	uint32_t map_root, details_root; /* nodes */
	struct vec gaps;		 /* struct gap */
	size_t nr_looks;		 /* through them */
	struct sdevice *dev;
	size_t nr_devs, cap_devs;
	bool uncertain; /* choices were made that nothing confirms */
};

static inline struct gap *gap_at(const struct trees *trees, size_t i)
{
	return (struct gap *)trees->gaps.data + i;
}

/* Has its tree as many mappings as its details say? */
static inline bool has_its_count(const struct graph *g, const struct sdevice *d)
{
	return d->source == DETAILS_LIVE && d->root != NONE &&
	       g->node[d->root].nr_mappings == d->info.mapped_blocks;
}

/* An id is used again after its device was deleted; then transaction or creation time differ. */
static inline bool same_creation(const struct device_info *a, const struct device_info *b)
{
	return a->transaction == b->transaction && a->creation_time == b->creation_time;
}

/* --- walk.c --- */
/* Links all nodes, and walks the trees that the superblock names anew. */
int trees_walk(struct trees *trees, struct err *err);
/*
 * A virtual node for what should be in @block, NONE: it is not known where it was.  Two parents that name the same lost
 * block get the same node; the keys that can be in it are those that both allow.  Parents of other heights do not: one
 * of them is wrong, and a node that gets the place of its own child would be a loop.  NONE: no memory.
 */
uint32_t trees_make_gap(struct trees *trees, uint8_t tree, uint32_t block, int height, uint64_t begin, uint64_t last,
			struct err *err);
/* Forgets the gaps of an earlier walk: before other nodes are read. */
void trees_forget_gaps(struct trees *trees);
/* Lists the devices that the top level names, and walks the tree of each. */
int trees_walk_devices(struct trees *trees, struct err *err);
int trees_walk_mapping(struct trees *trees, uint32_t node, struct err *err);
/* The sums of all trees that devices have, after gaps were filled. */
void trees_sum(struct trees *trees);
/* By node: on how many ways do devices reach it, 0, 1 or 2 for more?  The caller's to free; NULL: no memory. */
uint8_t *trees_ways(const struct trees *trees);
/* Is a part of @tree missing of which not even children were found? */
bool trees_have_gap(const struct trees *trees, uint8_t tree);
/* Was any node placed where mappings were missing? */
bool trees_have_filled(const struct trees *trees);
/* The same, and the number of mappings of each device. */
void trees_sum_devices(struct trees *trees);
/* Leaves out what would break the order of a device's keys. */
void trees_order(struct trees *trees);

/* --- details.c --- */
/* The details below @node, by id, are added to @out: struct device_info. */
int details_read(struct graph *g, uint32_t node, struct vec *out, struct err *err);
/* Of what details_read() listed: the device @id; NULL: there is none. */
const struct device_info *details_find(const struct vec *details, uint64_t id);
/*
 * Is in the details at both nodes a device that was made by the same transaction, at the same time?  Then they are of the same pool.
 * @later: the first transaction and time, at which each pool begins, do not count.
 */
bool details_share_device(struct graph *g, uint32_t a, uint32_t b, bool later);
/*
 * Were the details at node @a written before those at @b?  They tell of a device that was created before the clock of @b, and is not
 * there, or of one from which a snapshot has been taken since.
 */
bool details_precede(struct graph *g, uint32_t a, uint32_t b);
struct details_sum {
	uint64_t devices, mappings;
	uint64_t most;	      /* mappings of one device */
	uint64_t transaction; /* the newest */
	uint32_t time;	      /* the newest */
};
/* Adds the devices whose details are below @node; none of them when that fails. */
int details_add(struct graph *g, uint32_t node, struct details_sum *sum, struct err *err);
/* @whole: no part of the details is missing. */
int trees_join_details(struct trees *trees, bool whole, struct err *err);
/* What an older copy of the details, a leaf that is not reached, says of a device; @age: the leaf's. */
typedef void older_details_fn(void *ctx, struct sdevice *d, const struct device_info *then, uint32_t age);
int trees_each_older(struct trees *trees, older_details_fn *fn, void *ctx, struct err *err);
/* The youngest older copy of a device's details. */
struct older_details {
	bool known; /* there is one */
	uint32_t age;
	struct device_info info;
	uint32_t other_age; /* of the youngest that is another device's, which had the same id; UINT32_MAX: there is none */
};
/* *of: by device; the caller's to free.  0 or -errno; of what can be read it tells also then, but not of -ENOMEM. */
int trees_youngest_older(struct trees *trees, struct older_details **of, struct err *err);
/* Mappings of all devices. */
uint64_t trees_nr_mappings(const struct trees *trees);
/* Have the details of a device another number of mappings than its tree? */
bool trees_differ_from_details(const struct trees *trees);
/*
 * Has a device more mappings than its details say, and another one fewer?  Parts of their trees may have been exchanged.  So may be those of
 * a device and of the held metadata snapshot.  The trees must have been summed up.
 */
bool trees_are_exchanged(const struct trees *trees);
/* Have all devices their own details? */
bool trees_have_details(const struct trees *trees);
/* Has each device as many mappings as its details say?  The trees must have been summed up. */
bool trees_fit_details(const struct trees *trees);
/* The newest time in the details of the devices. */
uint32_t trees_newest_time(const struct trees *trees);
/* NULL: there is no such device. */
struct sdevice *trees_find_device(const struct trees *trees, uint64_t id);
/* Puts @device in place; the list is sorted by id. */
int trees_insert_device(struct trees *trees, const struct sdevice *device, struct err *err);
/* Gives the devices the trees that the user chose for them. */
int trees_take_given(struct trees *trees, struct err *err);

#endif
