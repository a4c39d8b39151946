/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Whose roots are used: state_settle_roots().  Roots that the user gives are used as given, or refused.  Those of a whole superblock
 * are, unless the nodes are of another state.  A superblock with a bad checksum may still name the right ones: they are used
 * when what they point to says the same.  Roots that nothing names are searched for in roots.c.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bits.h"
#include "base/cleanup.h"
#include "base/overflow.h"
#include "pool/salvage/state/state.h"

enum standing {
	CONTRADICTED, /* something else is there */
	LOST,	      /* nothing can be read there */
	STANDS,
};

/* May the node be a part of the tree? */
static bool may_be_of(const struct snode *n, uint8_t tree)
{
	return tree_fits(n->tree, tree) || n->tree == TREE_NONE;
}

static enum standing root_stands(const struct counts *counts, uint64_t block, uint8_t tree)
{
	const struct graph *g = counts->graph;
	uint32_t i = node_of(g, block);

	if (!block || block >= g->nr_blocks || g->kind[block] == BLOCK_CUT)
		return CONTRADICTED;
	if (g->kind[block] < BLOCK_NODE)
		return LOST;
	if (i == NONE || !may_be_of(&g->node[i], tree) || (counts->has_counts && !counts->count[block]))
		return CONTRADICTED;
	return STANDS;
}

static bool both_roots_stand(const struct counts *counts)
{
	const struct superblock *sb = &counts->super->sb;

	return root_stands(counts, sb->mapping_root, TREE_TOP) == STANDS && root_stands(counts, sb->details_root, TREE_DETAILS) == STANDS;
}

/* And do they agree? */
static bool roots_agree(struct counts *counts)
{
	struct graph *g = counts->graph;
	const struct superblock *sb = &counts->super->sb;

	return both_roots_stand(counts) && state_roots_agree(g, g->slot[sb->mapping_root], g->slot[sb->details_root]);
}

static bool is_whole(const struct graph *g, uint64_t block)
{
	uint32_t i = node_of(g, block);

	return i != NONE && !(g->node[i].flags & (SN_BROKEN | SN_VIRTUAL));
}

/* Are the roots of the superblock, whose counts have been read, intact? */
static bool claim_stands(struct counts *counts)
{
	struct graph *g = counts->graph;
	const struct superblock *sb = &counts->super->sb;
	enum standing map = root_stands(counts, sb->mapping_root, TREE_TOP);
	enum standing details = root_stands(counts, sb->details_root, TREE_DETAILS);
	uint64_t index = sb->metadata_sm.bitmap_root;

	if (map == CONTRADICTED || details == CONTRADICTED)
		return false;
	if (both_roots_stand(counts) && is_whole(g, sb->mapping_root) && is_whole(g, sb->details_root))
		return roots_agree(counts);
	return (map == STANDS) + (details == STANDS) + (index < g->nr_blocks && g->kind[index] == BLOCK_INDEX && counts->has_counts) +
		       (root_stands(counts, sb->data_sm.bitmap_root, TREE_INDEX) == STANDS) >= 3;
}

/* Is the newest state on the device another one than the superblock's? */
static int compare_with_newest(struct state *state, struct err *err)
{
	struct superblock *sb = &state->super->sb;
	const struct superblock own = *sb;
	int r = state_find_roots(state, 0, err);

	state->rival = state->outdated = sb->mapping_root != own.mapping_root || sb->details_root != own.details_root;
	state->anew = false; /* that was of the other one */
	*sb = own;
	return r ? r : counts_read(state->counts, err);
}

static int try_claim(struct state *state, struct err *err)
{
	struct super *super = state->super;
	const struct superblock found = super->sb;
	int r;

	/* the copy that a metadata snapshot has, written to a wrong place, has no space maps */
	if (!super->claim.mapping_root || !super->claim.details_root || !super->claim.metadata_sm.nr_blocks)
		return 0;
	super->sb = super->claim;
	r = counts_read(state->counts, err);
	if (!r && claim_stands(state->counts)) {
		state->roots = ROOTS_CLAIMED;
		if (both_roots_stand(state->counts))
			r = compare_with_newest(state, err); /* else this state would not be found */
	} else {
		super->sb = found;
	}
	return r;
}

/* Do whole details tell of a device that is newer than the superblock, or has more mappings than it has data blocks in use? */
static bool details_are_of_other(const struct counts *counts)
{
	const struct superblock *sb = &counts->super->sb;
	struct details_sum sum = { 0 };

	return is_whole(counts->graph, sb->details_root) &&
	       !details_add(counts->graph, counts->graph->slot[sb->details_root], &sum, NULL) &&
	       (sum.time > sb->time || sum.transaction > sb->transaction_id || sum.most > sb->data_sm.nr_allocated);
}

static bool is_wrong_root(const struct counts *counts, uint64_t block, uint8_t tree)
{
	if (tree == TREE_NONE)
		return super_has_other_index(counts->super);
	return root_stands(counts, block, tree) == CONTRADICTED || (tree == TREE_DETAILS && details_are_of_other(counts));
}

struct bitmaps_look {
	const struct graph *g;
	struct own_state *own;
};

static void look_at_bitmap(void *ctx, const struct bitmap_entry *e)
{
	const struct bitmaps_look *look = ctx;

	if (e->i < div_up(e->map->nr_blocks, ENTRIES_PER_BITMAP) && graph_has_other(look->g, e->block, BLOCK_BITMAP)) {
		bits_set_word(look->own->wrong, e->block, 1);
		look->own->wrong_bitmap = true;
	}
}

/* Which of the superblock's pointers lead to an intact block of a wrong kind, or of another state? */
static void find_wrong(const struct counts *counts, struct own_state *own)
{
	uint64_t root[NR_SUPER_ROOTS];
	struct bitmaps_look look = { counts->graph, own };

	super_roots(own->sb, root);
	for (size_t i = 0; i < END_MAP_ROOTS; i++) {
		if (!is_wrong_root(counts, root[i], super_root_tree[i]))
			continue;
		own->nr_wrong++;
		if (root[i] < counts->graph->nr_blocks)
			bits_set_word(own->wrong, root[i], 1);
	}
	super_each_bitmap(counts->super, look_at_bitmap, &look);
}

static int is_out_of_bound(void *ctx, uint64_t id, uint32_t root)
{
	const struct graph *g = ctx;
	const uint32_t i = node_of(g, root);

	(void)id;
	return i != NONE && g->node[i].max_data >= g->nr_data_blocks;
}

/* The superblock is of another state than the nodes: the one that was found is used, and only its values are taken from it. */
static void replace_state(struct state *state, const struct superblock *own)
{
	struct super *super = state->super;
	struct details_sum sum = { 0 };

	(void)details_add(state->graph, state->graph->slot[super->sb.details_root], &sum, NULL);
	state->roots = ROOTS_OTHER;
	state->outdated = state->after != COMES_AFTER;
	super->has_sb = false;
	/* LVM's transaction follows that of the newest device; without LVM all are 0 */
	super->likely = (struct pool_overrides) { .has_transaction = own->transaction_id > sum.transaction || !sum.transaction,
					      .transaction = own->transaction_id,
					      .has_data_block_size = true,
					      .data_block_size = own->data_block_size,
					      .has_nr_data_blocks = true,
					      .nr_data_blocks = own->data_sm.nr_blocks };
	super_set_bound(super, own);
	if (graph_each_device(state->graph, state->graph->slot[super->sb.mapping_root], is_out_of_bound, state->graph))
		super_set_bound(super, NULL); /* the superblock's number is of another pool, or of the time before this one was extended */
}

/*
 * One contradicted pointer means a block that was overwritten; two beside an intact mapping root, two blocks that were
 * exchanged, or that a cut device does not reach.  More of them, while there is another intact state,
 * mean a superblock that is older or newer than the nodes: then its trees are not filled from another
 * state.  So does an index block that was overwritten, if the superblock's roots are those of an older state, and one block that a later
 * state, which is intact, wrote over: then the superblock is the one whose write was lost.  But where its own metadata map is there, a
 * state that is not of its pool is what was on the device before.
 */
static int try_other_state(struct state *state, struct err *err)
{
	struct super *super = state->super;
	struct counts *counts = state->counts;
	const struct superblock own = super->sb;
	const uint32_t enough = root_stands(counts, own.mapping_root, TREE_TOP) == STANDS ? 3 : 2;
	CLEANUP(free_ptr) uint64_t *wrong = calloc(div_up(state->graph->nr_blocks, 64), sizeof(*wrong));
	struct own_state look_for = { .sb = &own, .wrong = wrong };
	bool other, reused, has_map;
	int r;

	if (!wrong)
		return err_nomem(err, "salvage: the superblock's state");
	find_wrong(counts, &look_for);
	other = look_for.nr_wrong >= enough && !roots_agree(counts);
	r = state_look_at_own(counts, &reused, err);
	if (r || (!look_for.nr_wrong && !look_for.wrong_bitmap && !reused))
		return r;
	has_map = counts_are_whole(counts);
	state->own = &look_for;
	r = state_find_roots(state, 0, err);
	state->own = NULL;
	if (!r)
		r = counts_read(counts, err);
	if (!r && ((other && !(has_map && state->after <= LATER_UNRELATED)) || state->after == COMES_AFTER) && roots_agree(counts)) {
		replace_state(state, &own);
		return 0;
	}
	super->sb = own;
	state->anew = false;
	state->outdated &= super_has_other_index(super);
	/* one block that was written to a wrong place explains an index that is not there */
	state->outdated |= state->after == COMES_AFTER ||
			   (may_come_after(state->after) && (look_for.nr_wrong > 1 || !super_has_other_index(super)));
	return r;
}

int state_look_for_newer(struct state *state, struct err *err)
{
	graph_link(state->graph);
	return compare_with_newest(state, err);
}

static const char *what_is_at(const struct graph *g, uint32_t block)
{
	static const char *const of_tree[] = {
		[TREE_NONE] = "is a node whose children are all lost",
		[TREE_MAPPING] = "holds mappings of one device",
		[TREE_TOP] = "belongs to a top-level mapping tree",
		[TREE_DETAILS] = "belongs to a device details tree",
		[TREE_INDEX] = "belongs to a space map",
		[TREE_OVERFLOW] = "belongs to a space map",
		[TREE_EMPTY] = "is an empty tree",
	};

	switch (g->kind[block]) {
	case BLOCK_BITMAP:
	case BLOCK_INDEX:
		return "belongs to a space map";
	case BLOCK_SUPER:
		return "is a superblock";
	case BLOCK_NODE:
		return g->slot[block] == NONE ? "is damaged" : of_tree[g->node[g->slot[block]].tree];
	}
	return graph_kind_text(g->kind[block]);
}

/* Is @block, which the user gave with @option, the root of a tree?  -EINVAL: it is not; the text says what it is. */
static int check_root(const struct graph *g, const char *option, uint64_t block, uint8_t tree, struct err *err)
{
	const uint32_t i = node_of(g, block);
	const char *what = tree == TREE_TOP ? "top-level mapping" : tree == TREE_DETAILS ? "device details" : "device's";
	const char *hint = tree == TREE_MAPPING ? "'thin_repair --dry-run --explain -i POOL' names possible blocks" :
						  "'thin_repair --list-roots -i POOL' lists the roots that can be given";

	if (block >= g->nr_blocks)
		return err_set(err, -EINVAL, "%s%" PRIu64 ": the metadata device has only %u blocks; %s", option, block, g->nr_blocks, hint);
	if (block && i != NONE && !(g->node[i].flags & SN_VIRTUAL) &&
	    (tree == TREE_MAPPING ? tree_fits(g->node[i].tree, tree) : may_be_of(&g->node[i], tree)))
		return 0;
	return err_set(err, -EINVAL, "%s%" PRIu64 ": block %" PRIu64 " is not the root of a %s tree: it %s; %s", option, block, block, what,
		       what_is_at(g, (uint32_t)block), hint);
}

int state_check_taken(const struct super *super, struct err *err)
{
	int r = 0;

	for (size_t k = 0; k < super->opt.nr_take && !r; k++) {
		const struct salvage_take *t = &super->opt.take[k];
		char option[32];

		snprintf(option, sizeof(option), "--take %u=", t->dev_id);
		r = check_root(super->graph, option, t->block, TREE_MAPPING, err);
	}
	return r;
}

static int check_given(const struct super *super, struct err *err)
{
	const struct salvage_options *o = &super->opt;
	int r = 0;

	if (o->has_mapping_root)
		r = check_root(super->graph, "--mapping-root ", o->mapping_root, TREE_TOP, err);
	if (!r && o->has_details_root)
		r = check_root(super->graph, "--details-root ", o->details_root, TREE_DETAILS, err);
	return r;
}

int state_settle_roots(struct state *state, struct err *err)
{
	const struct super *super = state->super;
	int r;

	if (super->has_sb && !has_given_roots(super))
		return super->opt.nr_take ? 0 : try_other_state(state, err);
	r = has_given_roots(super) ? check_given(super, err) : try_claim(state, err);
	if (!r && state->roots != ROOTS_CLAIMED && (!super->has_sb || super->chosen))
		r = state_find_roots(state, 0, err);
	return r;
}

/*
 * Roots that were looked for are those of the newest state that can be found.  A newer one may have
 * been in a lost block that this state does not use; behind metadata that were written anew it is known where (later.c).
 */
bool state_newer_may_be_lost(const struct state *state)
{
	const struct counts *counts = state->counts;
	const struct graph *g = counts->graph;
	uint32_t end = g->nr_blocks; /* of what was ever written: all behind it is zero, and nothing names it */

	if (state->anew)
		return false;
	/* a state without its index block lost that, and there may be its place */
	while (end > 1 && counts->super->sb.metadata_sm.bitmap_root && g->kind[end - 1] == BLOCK_ZERO && !counts->found[end - 1])
		end--;
	return any_of(i, end - 1, g->kind[i + 1] >= BLOCK_ZERO && g->kind[i + 1] <= BLOCK_IO_ERROR &&
					  (counts->counts_searched || !counts_in_use(counts, i + 1)));
}

/* A node of @tree in use that lacks a parent, as a root does when the superblock is lost.  NONE: there is none. */
static uint32_t find_orphan(const struct counts *counts, uint8_t tree)
{
	const struct graph *g = counts->graph;
	uint32_t i = 0;

	while (i < g->nr_nodes && (g->node[i].tree != tree || g->node[i].flags & SN_VIRTUAL || !counts_lack(counts, g->node[i].block)))
		i++;
	return i < g->nr_nodes ? i : NONE;
}

struct lost_bitmaps {
	const struct counts *counts;
	uint64_t nr;
};

static void add_lost_bitmap(void *ctx, const struct bitmap_entry *e)
{
	struct lost_bitmaps *lost = ctx;
	const struct graph *g = lost->counts->graph;

	lost->nr += e->block < g->nr_blocks && g->kind[e->block] < BLOCK_NODE && counts_lack(lost->counts, (uint32_t)e->block);
}

/*
 * Without a superblock: do lost blocks lack more parents than the roots that were not found, and the data map's bitmaps?  Then
 * one may have been the top level of this state, and that which was found is the metadata snapshot's.
 */
static bool has_other_roots(const struct counts *counts)
{
	const struct superblock *sb = &counts->super->sb;
	const uint32_t index = find_orphan(counts, TREE_INDEX);
	struct lost_bitmaps lost = { .counts = counts };

	if (index != NONE && graph_each_in_index_tree(counts->graph, &sb->data_sm, index, add_lost_bitmap, &lost))
		lost.nr = 0;
	return counts_lost_lack(counts) > lost.nr + !sb->mapping_root + !sb->details_root + !sb->metadata_sm.ref_count_root +
						  (find_orphan(counts, TREE_OVERFLOW) == NONE) + (index == NONE);
}

/*
 * Was the write of the top level lost, and that of the details, too?  Since the details' last device the superblock has a transaction more: a
 * device of them may have been deleted, and a new one have the tree that is taken for its, which is empty, or a snapshot's.
 */
static bool details_may_be_older(const struct counts *counts)
{
	const struct trees *trees = counts->trees;
	const struct gap *g = trees->gaps.data;
	const uint64_t last = counts->super->sb.transaction_id;

	return counts->super->has_sb && last > 1 && any_of(i, trees->gaps.nr, g[i].tree == TREE_TOP && g[i].why >= BLOCK_STRAY) &&
	       !any_of(i, trees->nr_devs, trees->dev[i].info.transaction + 1 >= last);
}

bool state_has_newer(const struct state *state)
{
	return state->outdated || details_may_be_older(state->counts) ||
	       (!state->super->has_sb && state->roots != ROOTS_CLAIMED && !has_given_roots(state->super) &&
		(state->rivals || state_newer_may_be_lost(state) || has_other_roots(state->counts)));
}
