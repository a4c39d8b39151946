/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Reads the superblock. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/order.h"
#include "base/overflow.h"
#include "pool/salvage/super/super.h"

void super_set_bound(struct super *super, const struct superblock *sb)
{
	struct graph *g = super->graph;
	const struct salvage_options *o = &super->opt;
	uint64_t size = o->given.has_data_block_size ? o->given.data_block_size :
			sb			     ? sb->data_block_size :
			o->hint.has_data_block_size  ? o->hint.data_block_size :
						       0;

	g->nr_counted = sb && sb->metadata_sm.nr_blocks ? (uint32_t)MIN(sb->metadata_sm.nr_blocks, g->nr_blocks) : g->nr_blocks;
	if (sb && sb->data_sm.nr_allocated <= sb->data_sm.nr_blocks &&
	    div_up(sb->data_sm.nr_blocks, ENTRIES_PER_BITMAP) < g->nr_blocks) {
		g->nr_data_blocks = sb->data_sm.nr_blocks;
		if (o->given.has_nr_data_blocks)
			g->nr_data_blocks = MAX(g->nr_data_blocks, o->given.nr_data_blocks);
	} else if (o->given.has_nr_data_blocks) {
		g->nr_data_blocks = o->given.nr_data_blocks;
	} else if (o->hint.has_nr_data_blocks) {
		g->nr_data_blocks = o->hint.nr_data_blocks;
	} else if (o->data_sectors && data_block_size_ok(size)) {
		g->nr_data_blocks = o->data_sectors / size;
	} else {
		g->nr_data_blocks = UINT64_MAX;
	}
	if (g->nr_data_blocks != UINT64_MAX)
		g->nr_data_blocks = MIN(g->nr_data_blocks, MAX_NR_DATA_BLOCKS);
}

bool super_may_have_device(const struct super *super, uint32_t id)
{
	const struct salvage_options *o = &super->opt;

	return !o->ids || bsearch(&id, o->ids, o->nr_ids, sizeof(id), order_u32);
}

static void apply_given_roots(struct super *super)
{
	const struct salvage_options *o = &super->opt;
	struct superblock *sb = &super->sb;

	super->chosen = (o->has_mapping_root && o->mapping_root != sb->mapping_root) ||
		    (o->has_details_root && o->details_root != sb->details_root);
	if (o->has_mapping_root)
		sb->mapping_root = o->mapping_root;
	if (o->has_details_root)
		sb->details_root = o->details_root;
}

/*
 * The kernel writes zeros behind the last field: when the checksum is right with zeros there, all fields
 * are.  A right checksum over a wrong number or magic means that only those are wrong.
 */
static bool recover_fields(struct super *super, void *block)
{
	struct disk_superblock *d = block;
	uint8_t zero[sizeof(d->unused)] = { 0 };

	if (csum_classify(block, NULL) != CSUM_IS_SUPERBLOCK) {
		memcpy(d->unused, zero, sizeof(zero));
		if (csum_classify(block, NULL) != CSUM_IS_SUPERBLOCK)
			return false;
	}
	d->magic = le64_make(THIN_MAGIC);
	csum_seal(block, 0, SALT_SUPERBLOCK);
	/* a held snapshot's copy has no space maps */
	return superblock_open(&super->sb, block, 0) == SB_OK && super->sb.metadata_sm.nr_blocks;
}

/*
 * Fields of a superblock with a bad checksum, for values with no other source: they are not
 * certain, but the likeliest values if enough constant fields around them are right.
 */
static void keep_likely_fields(struct super *super, void *block)
{
	const struct disk_superblock *d = block;
	uint8_t zero[sizeof(d->uuid)] = { 0 };
	int right = 0;

	right += le64_get(d->magic) == THIN_MAGIC;
	right += le32_get(d->version) == THIN_VERSION;
	right += !le64_get(d->blocknr);
	right += le32_get(d->metadata_block_size) == MBLOCK_SIZE >> SECTOR_SHIFT;
	right += !memcmp(d->uuid, zero, sizeof(zero));
	right += !le32_get(d->compat_flags) && !le32_get(d->incompat_flags);
	if (right < 4)
		return;
	super->claim = super->sb;
	super->likely = (struct pool_overrides){
		.has_transaction = true,
		.transaction = le64_get(d->trans_id),
		.has_data_block_size = data_block_size_ok(le32_get(d->data_block_size)),
		.data_block_size = le32_get(d->data_block_size),
		.nr_data_blocks = le64_get(d->data_sm.nr_blocks),
	};
	super->likely.has_nr_data_blocks = super->likely.nr_data_blocks &&
				       div_up(super->likely.nr_data_blocks, ENTRIES_PER_BITMAP) <
					       super->graph->nr_blocks;
}

bool super_read_copy(struct graph *g, uint64_t block, struct superblock *out)
{
	uint8_t buf[MBLOCK_SIZE] BLOCK_ALIGNED;

	return block && graph_get_kind(g, block, BLOCK_SUPER, buf) && superblock_open(out, buf, block) == SB_OK;
}

bool super_held_is_lost(const struct super *super)
{
	struct graph *g = super->graph;
	struct superblock held;
	uint32_t top;

	if (!super->sb.held_root)
		return false;
	if (!super_read_copy(g, super->sb.held_root, &held))
		return true;
	if (held.mapping_root == super->sb.mapping_root) /* nothing has changed since: what it had is the pool's */
		return false;
	top = node_of(g, held.mapping_root);
	return top == NONE || g->node[top].flags & (SN_VIRTUAL | SN_BROKEN);
}

void super_mark_held(const struct super *super)
{
	struct superblock held;

	graph_unmark(super->graph, SN_HELD);
	if (!super_read_copy(super->graph, super->sb.held_root, &held))
		return;
	graph_mark(super->graph, node_of(super->graph, held.mapping_root), SN_HELD);
	graph_mark(super->graph, node_of(super->graph, held.details_root), SN_HELD);
}

bool super_held_is_short(const struct super *super, bool *any)
{
	const struct graph *g = super->graph;
	bool is_short = false;

	*any = false;
	for (uint32_t i = 0; i < g->nr_nodes && !is_short; i++) {
		const struct snode *n = &g->node[i];

		if (!(n->flags & SN_HELD))
			continue;
		*any |= n->tree != TREE_DETAILS;
		is_short = n->flags & (SN_BROKEN | SN_VIRTUAL);
		for (uint32_t k = 0; n->tree == TREE_TOP && n->flags & SN_LEAF && k < n->nr_edges; k++)
			is_short |= node_of(g, g->edge[n->edge + k].block) == NONE;
	}
	return is_short;
}

int super_read(struct super *super, struct err *err)
{
	const struct graph *g = super->graph;
	uint8_t buf[MBLOCK_SIZE] BLOCK_ALIGNED;
	int r;

	if (!g->nr_blocks)
		return err_set(err, -EUCLEAN, "%s: too small for metadata", g->io->name);
	r = io_read(g->io, buf, MBLOCK_SIZE, 0, NULL);
	super->sb_fault = r < 0 ? SB_UNREADABLE : superblock_open(&super->sb, buf, 0);
	super->has_sb = super->sb_fault == SB_OK;
	if (super->has_sb)
		superblock_meter(&super->sb, g->io);
	if (!r && (super->sb_fault == SB_BAD_CSUM || super->sb_fault == SB_WRONG_PLACE ||
		   super->sb_fault == SB_BAD_MAGIC))
		super->has_sb = recover_fields(super, buf);
	if (super->has_sb && super->sb_fault != SB_OK)
		super->sb_repair = SB_FIELDS;
	if (super->has_sb && graph_extend(super->graph, super->sb.metadata_sm.nr_blocks))
		return err_nomem(err, "salvage: list of blocks");
	if (!super->has_sb) {
		if (!r)
			keep_likely_fields(super, buf);
		memset(&super->sb, 0, sizeof(super->sb));
	}
	apply_given_roots(super);
	super_set_bound(super, super->has_sb ? &super->sb : NULL);
	return 0;
}

/*
 * The contents of block 0 and of another one, exchanged, with right numbers and checksums: the superblock is the only one that names
 * space maps, which the held metadata snapshot's copy does not.
 */
static int find_exchanged(struct super *super, struct err *err)
{
	struct graph *g = super->graph;
	uint8_t buf[MBLOCK_SIZE] BLOCK_ALIGNED;
	uint32_t found = 0, nr = 0;
	struct superblock sb;
	uint8_t kind;
	int r = io_read(g->io, buf, MBLOCK_SIZE, 0, NULL);

	kind = r < 0 || block_own_nr(buf) ? BLOCK_JUNK : graph_kind_of(buf);
	if (kind < BLOCK_NODE || kind == BLOCK_SUPER)
		return 0;
	for (uint32_t b = 1; b < g->nr_blocks; b++)
		if (super_read_copy(g, b, &sb) && sb.metadata_sm.nr_blocks) {
			found = b;
			nr++;
		}
	if (nr != 1)
		return 0;
	r = graph_exchange(g, 0, found, err);
	if (!r)
		r = graph_take_content(g, found, 0, kind, err);
	return MIN(r, 0);
}

int super_read_again(struct super *super, struct err *err)
{
	const struct graph *g = super->graph;
	uint8_t buf[MBLOCK_SIZE] BLOCK_ALIGNED;
	int r = 0;

	if (super->has_sb)
		return 0;
	if (g->kind[0] != BLOCK_SUPER)
		r = find_exchanged(super, err);
	if (r < 0 || g->kind[0] != BLOCK_SUPER || graph_get(g, 0, buf, NULL) < 0 || superblock_open(&super->sb, buf, 0) != SB_OK)
		return r;
	super->has_sb = true;
	super->sb_repair = graph_where(g, 0) ? SB_FOUND : SB_MENDED;
	apply_given_roots(super);
	super_set_bound(super, &super->sb);
	return 0;
}
