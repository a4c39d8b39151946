/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_CHECK_STATE_H
#define POOL_CHECK_STATE_H
/* One run of a check, private to this room. */
#include "pdata/tree/walk.h"
#include "pool/check/check.h"
#include "pool/format/format.h"

/* What a block is used as: walk_setup.claims */
enum { CLAIM_SUPERBLOCK = 1, CLAIM_HELD, CLAIM_INDEX, CLAIM_BITMAP, CLAIM_TREE };

/* An entry of the top level or of the details tree */
struct list_entry {
	uint64_t key;
	uint64_t root; /* top level */
	uint64_t mapped;
	uint32_t creation_time, snap_time; /* details */
	uint32_t leaf;
};

struct list_worker {
	struct list_entry *e;
	size_t nr, cap;
} __attribute__((aligned(64)));

/* A small tree with all of its entries */
struct list {
	enum pool_area area;
	struct walk *walk;
	struct list_worker *worker;
	struct list_entry *e; /* all, ascending by key and leaf */
	size_t nr;
};

struct device {
	uint32_t id;
	bool has_root, has_details, damaged;
	uint64_t root, mapped;
	uint32_t creation_time, snap_time;
};

/* The devices of the live trees, or of the held snapshot's */
struct view {
	bool held;
	mblock_t mapping_root, details_root;
	struct device *dev; /* ascending by id */
	size_t nr;
};

/* What is wrong with a leaf of a mapping tree; the devices that own it are found afterwards. */
struct leaf_issue {
	uint32_t block;
	uint8_t kind;
	uint64_t first, last; /* virtual blocks */
	uint64_t count, worst;
};

struct map_worker {
	struct leaf_issue *issue;
	size_t nr_issues, cap_issues;
	uint64_t nr_mappings;
	struct refmap *counts; /* its own, or check.data */
	int64_t nr_pieces; /* so many runs and blocks more before it gets its own */
} __attribute__((aligned(64)));

struct check {
	struct io *io;
	struct stream stream;
	const struct check_options *opt;
	struct check_result *out;
	struct err *err;
	uint64_t nr_blocks; /* metadata blocks that exist and may be used */
	uint64_t nr_data;
	bool data_unknown; /* the superblock's number of data blocks is impossible */
	uint8_t *claims;
	struct refmap *meta;   /* references to metadata blocks, as found */
	struct refmap *data;   /* references to data blocks, as found */
	struct refmap *stored; /* the metadata map's bitmaps, or NULL */
	uint64_t nr_past_end;  /* entries that those bitmaps have beyond the end of the map */
	bool *bitmap_known;    /* for each bitmap of stored: it could be read */
	struct list top, details;
	struct walk *devices;
	struct map_worker *map_worker;
	_Atomic unsigned nr_sharing; /* workers that count in check.data */
	uint16_t *leaf_count;
	/* With several devices only: */
	uint32_t *leaf_time; /* the newest mapping's of each leaf */
	uint64_t *candidate; /* a bit a data block: forest/suspects.h */
	struct view live, held;
	bool lost; /* parts of trees could not be read: computed counts may be too low */
};

/* state.c */
void check_found(struct check *c, const struct finding *f);
/* A new walk over one of the pool's kinds of trees; NULL with c->err set. */
struct walk *check_walk(struct check *c, enum pool_area area, uint32_t value_size,
			walk_leaf_fn *leaf, void *ctx);
/* Findings about nodes of a tree that is not a device's. */
void check_walk_findings(struct check *c, struct walk *w, enum pool_area area, bool held);
/*
 * Notes that block @b, which is no node of a tree, is used as @as.  False: something else uses the
 * block already.
 */
bool check_claim(struct check *c, mblock_t b, uint8_t as);
int check_add_issue(struct map_worker *me, const struct leaf_issue *i);

/* lists.c: 0 or -errno */
int check_list_init(struct check *c, struct list *l, enum pool_area area, uint32_t value_size);
void check_list_fini(struct check *c, struct list *l);
/* Walks the tree under @root and adds its entries, but for those known already, to l->e. */
int check_list_add(struct check *c, struct list *l, mblock_t root);
/* Orders list entries by key and leaf. */
int check_by_key(const void *a, const void *b);
/* Makes v->dev out of both lists, as far as they lie under the view's roots; reports mismatches. */
int check_view_make(struct check *c, struct view *v);
void check_found_device(struct check *c, const struct view *v, enum finding_kind kind,
			const struct device *d, uint64_t stored, uint64_t expected);

/* leaves.c: 0 or -errno */
/* Leaf function of mapping trees; @ctx: the check. */
int check_take_leaf(void *ctx, unsigned worker, mblock_t block, uint32_t attr,
		    const struct node *n);
/* Before and after each walk: c->data has all counts when it is over. */
__attribute__((cold)) int check_counts_begin(struct check *c);
__attribute__((cold)) int check_counts_end(struct check *c);
__attribute__((cold)) void check_counts_drop(struct check *c);

/* trees.c: 0 or -errno */
int check_trees(struct check *c);
void check_trees_fini(struct check *c);
/* under.c: an empty pool may lie over an older one */
int check_under(struct check *c);
/* owners.c */
/* Findings about mapping leaves and nodes, with the devices that own them. */
int check_device_findings(struct check *c);

/* times.c: the rule that protects shared data, for the live trees */
int check_times(struct check *c);

/* maps.c: reads the metadata map first, as its free blocks may be read through */
int check_metadata_bitmaps(struct check *c);
int check_data_map(struct check *c);
int check_metadata_map(struct check *c);

#endif
