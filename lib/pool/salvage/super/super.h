/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_SALVAGE_SUPER_H
#define POOL_SALVAGE_SUPER_H
/* What block 0 says, and the superblock of the state that is salvaged. */
#include "pool/format/superblock.h"
#include "pool/salvage/graph/graph.h"
#include "pool/salvage/super/options.h"

enum sb_repair {
	SB_NOT_REPAIRED,
	SB_FIELDS, /* its fields are right, only the bytes around them are damaged */
	SB_FOUND,  /* in another block's place */
	SB_MENDED, /* a bit of it */
};

struct super {
	struct graph *graph;
	struct salvage_options opt;
	struct superblock sb; /* of the state that is salvaged */
	bool has_sb;	      /* it comes from a superblock, else from search */
	enum sb_fault sb_fault;
	enum sb_repair sb_repair; /* what made the fields of a damaged one good */
	struct pool_overrides likely; /* what the damaged superblock seems to say */
	/* all fields of a damaged superblock that looks like one; no roots: of none */
	struct superblock claim;
	bool chosen;	 /* the user's roots are others than the superblock's */
	bool other_root; /* one of its roots was wrong, and what should be there was found */
	uint32_t cursor; /* where the newest state found without a superblock ends */
};

#define NR_SUPER_ROOTS 7
#define MAP_ROOTS      2 /* first of those that belong to the space maps */
#define END_MAP_ROOTS  6

/* What a superblock points to: the roots of both trees, those of the data map and of the metadata map, the held snapshot. */
static inline void super_roots(const struct superblock *sb, uint64_t root[NR_SUPER_ROOTS])
{
	const uint64_t all[NR_SUPER_ROOTS] = {
		sb->mapping_root,	     sb->details_root,
		sb->data_sm.bitmap_root,     sb->data_sm.ref_count_root,
		sb->metadata_sm.bitmap_root, sb->metadata_sm.ref_count_root,
		sb->held_root,
	};

	memcpy(root, all, sizeof(all));
}

/* Which tree should be at each of them?  TREE_NONE: none. */
static const uint8_t super_root_tree[NR_SUPER_ROOTS] = { TREE_TOP, TREE_DETAILS, TREE_INDEX, TREE_OVERFLOW, TREE_NONE, TREE_OVERFLOW };

static inline bool has_given_roots(const struct super *super)
{
	return super->opt.has_mapping_root || super->opt.has_details_root;
}

/* Is another intact block in the place of the index block of the metadata map? */
static inline bool super_has_other_index(const struct super *super)
{
	return graph_has_other(super->graph, super->sb.metadata_sm.bitmap_root, BLOCK_INDEX);
}

/* The last block that the newest commit wrote. */
static inline uint32_t state_cursor(const struct super *super)
{
	return super->sb.metadata_sm.bitmap_root &&
			       super->sb.metadata_sm.bitmap_root < super->graph->nr_blocks
		       ? (uint32_t)super->sb.metadata_sm.bitmap_root
		       : super->cursor;
}

/* How many blocks were written since @block; the kernel writes upwards, then from the front. */
static inline uint32_t block_age(const struct super *super, uint32_t block)
{
	uint32_t cursor = state_cursor(super);

	return cursor >= block ? cursor - block : cursor + super->graph->nr_blocks - block;
}

/* The copy of the superblock in @block, a held metadata snapshot's: false when none can be read there. */
bool super_read_copy(struct graph *g, uint64_t block, struct superblock *out);
/* Is there a held metadata snapshot whose copy of the superblock, or whose own top level, is lost? */
bool super_held_is_lost(const struct super *super);
/* Marks what the held metadata snapshot has (SN_HELD). */
void super_mark_held(const struct super *super);
/* Is a part of what was marked lost?  *any: a part is there, besides details. */
bool super_held_is_short(const struct super *super, bool *any);
/* Has LVM's text a device @id?  All, where there is no text. */
bool super_may_have_device(const struct super *super, uint32_t id);
int super_read(struct super *super, struct err *err);
/* After the scan: block 0 may have been found elsewhere, or a bit of it put right.  0 or -errno. */
int super_read_again(struct super *super, struct err *err);
/* The bounds for data blocks and for blocks of the metadata map, as far as they are known: that of superblock @sb, unless NULL, else what the user gave. */
void super_set_bound(struct super *super, const struct superblock *sb);

/* --- load.c --- */
/* Calls @fn for each bitmap that the indices of the superblock's metadata map and data map name, as far as they can be read. */
void super_each_bitmap(const struct super *super, graph_bitmap_fn *fn, void *ctx);
/* Reads the trees that the superblock names and its space maps, level by level. */
int super_load_trees(struct super *super, struct err *err);

#endif
