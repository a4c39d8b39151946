/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * How damaged metadata becomes a pool again.  Each room below has one struct and the functions that need it.
 *
 *  1. Block 0 (super/read.c).
 *  2. The trees it names are read level by level (super/load.c), joined (graph/link.c) and walked
 *     (trees/walk.c).  When all of them are whole, that is all: nothing else is read.
 *  3. Otherwise the whole device is read once, in order, and every block classified (graph/scan.c, node.c).
 *     A flipped bit is put right (mend.c); a block in the wrong place is taken for the one it is
 *     (strays.c), and what was changed before it was written is taken back if all fits then (witness/changed.c).
 *  4. It is settled whose roots are used (state/claim.c): the user's, the superblock's, or the newest
 *     that are found (roots.c, order.c).  The trees are linked and walked anew: what cannot be read
 *     leaves gaps.
 *  5. The metadata space map says which blocks are in use, and how many parents each has
 *     (witness/space.c).  Nodes that it or the data map denies are left out (witness.c, outdated.c).
 *  6. Nodes that lack a parent are assigned to the gaps (assign/gaps.c, option.c, assign.c, chain.c,
 *     solve.c, heap.c), by what speaks for them (witness/evidence.c, generations.c).  Where their
 *     counts are lost the data map decides (witness/data.c, assign/cover.c).  Devices that the top level
 *     lost: assign/devices.c.
 *  7. Details are joined (trees/details.c); those that were lost and the superblock's values are made
 *     (values/details.c, header.c, times.c).
 *  8. How good it is (tell/verdict.c).  Where not all is back, the steps are taken once more without one block or another
 *     (again.c).  salvage_emit() sends what is there (emit.c); the room
 *     above, pool/report, says what is not; salvage_list_roots() what else there was (list.c;
 *     state/under.c: an older pool below an empty one).
 */
#include "pool/salvage/steps.h"

#include <errno.h>
#include <stdlib.h>

/* Each room gets those below it. */
static void connect_rooms(struct salvage *s)
{
	s->super.graph = s->trees.graph = s->counts.graph = s->ages.graph = s->datamap.graph =
		&s->graph;
	s->state.graph = s->assign.graph = s->values.graph = s->tell.graph = &s->graph;
	s->trees.super = s->counts.super = s->ages.super = s->datamap.super = &s->super;
	s->state.super = s->assign.super = s->values.super = s->tell.super = &s->super;
	s->counts.trees = s->ages.trees = s->datamap.trees = &s->trees;
	s->assign.trees = s->values.trees = s->tell.trees = &s->trees;
	s->ages.counts = s->datamap.counts = s->state.counts = &s->counts;
	s->assign.counts = s->tell.counts = &s->counts;
	s->assign.ages = &s->ages;
	s->assign.datamap = s->tell.datamap = &s->datamap;
	s->tell.state = &s->state;
	s->tell.assign = &s->assign;
	s->tell.values = &s->values;
}

static struct salvage *salvage_alloc(struct io *io, struct jobs *jobs, const struct salvage_options *opt, uint32_t refused)
{
	struct salvage *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	connect_rooms(s);
	s->super.opt = *opt;
	s->trees.map_root = s->trees.details_root = NONE;
	outbuf_init(&s->values.header_notes);
	outbuf_init(&s->assign.explained);
	s->graph.refused = refused;
	if (graph_init(&s->graph, io, jobs)) {
		salvage_free(s);
		return NULL;
	}
	return s;
}

void salvage_free(struct salvage *s)
{
	if (!s)
		return;
	datamap_end(&s->datamap);
	ages_fini(&s->ages);
	free(s->counts.count);
	free(s->counts.found);
	free(s->trees.gaps.data);
	free(s->trees.dev);
	graph_fini(&s->graph);
	outbuf_fini(&s->values.header_notes);
	outbuf_fini(&s->assign.explained);
	free(s);
}

static bool is_whole(const struct trees *trees)
{
	for (size_t i = 0; i < trees->nr_devs; i++)
		if (!trees->dev[i].in_top)
			return false;
	return !trees->gaps.nr && trees_have_details(trees);
}

static bool was_mended(const struct graph *g)
{
	for (uint32_t i = 0; i < g->nr_nodes; i++)
		if (g->node[i].flags & SN_LIVE && g->node[i].flags & SN_MENDED)
			return true;
	return false;
}

/* Walks again without the nodes that the space maps deny. */
static int walk_without_denied(struct datamap *datamap, struct err *err)
{
	struct trees *trees = datamap->trees;
	uint32_t nr = 0, before = 0;
	int r;

	do {
		before = nr;
		r = witness_deny(datamap, &nr, err);
		if (r < 0 || nr == before)
			break;
		r = trees_walk(trees, err);
		if (!r)
			counts_read_edges(datamap->counts);
	} while (!r);
	return r;
}

static int rescue(struct tell *tell, struct err *err)
{
	struct graph *g = tell->graph;
	struct super *super = tell->super;
	struct trees *trees = tell->trees;
	struct counts *counts = tell->counts;
	struct state *state = tell->state;
	struct assign *as = tell->assign;
	int r;

	trees_forget_gaps(trees);
	r = graph_scan_all(g, err);
	if (!r)
		r = super_read_again(super, err);
	if (!r && super->has_sb)
		graph_end_before_zeros(g, super->sb.metadata_sm.nr_blocks);
	if (!r && super->has_sb && !has_given_roots(super))
		r = witness_take_changes_back(counts, err);
	if (!r) {
		if (super->has_sb) { /* it may be of another pool */
			g->nr_data_blocks = UINT64_MAX;
			graph_bound(g);
		}
		graph_link(g);
		r = state_settle_roots(state, err);
	}
	if (!r)
		r = state_check_taken(super, err);
	if (!r) {
		if (super->has_sb)
			super_set_bound(super, &super->sb);
		graph_bound(g);
		r = trees_walk(trees, err);
	}
	if (!r)
		r = counts_read(counts, err);
	if (!r && !has_given_roots(super))
		r = walk_without_denied(tell->datamap, err);
	if (!r)
		r = assign_gaps(as, err);
	trees_order(trees);
	as->unconfirmed |= as->guessed && state_newer_may_be_lost(state);
	return r;
}

/* Do the details say that there is no device? */
static bool has_empty_details(const struct trees *trees)
{
	const struct snode *n = &trees->graph->node[trees->details_root];

	return n->tree == TREE_DETAILS && n->flags & SN_LEAF && !n->nr;
}

/*
 * The last snapshot and its origin are both gone.  They were deleted; or the nodes are of an older state than the
 * superblock, whose own nodes may still be somewhere.  Or all is whole that a damaged superblock names, which may be an older one.
 */
static int look_for_newer(struct tell *tell, struct err *err)
{
	int r = graph_scan_all(tell->graph, err);

	if (!r && tell->super->sb_repair == SB_FIELDS)
		r = state_look_for_newer(tell->state, err);
	if (!r && has_newer_details(tell->counts)) {
		tell->datamap->agrees.strange++;
		tell->intact = false;
	}
	return r;
}

/* Reads only the trees that the superblock names; *whole: nothing else needs to be read. */
static int try_whole(struct tell *tell, bool *whole, struct err *err)
{
	const struct salvage_options *opt = &tell->super->opt;
	const struct agreement *a = &tell->datamap->agrees;
	struct super *super = tell->super;
	struct trees *trees = tell->trees;
	int r = super_load_trees(super, err);

	if (!r) {
		graph_bound(tell->graph);
		r = trees_walk(trees, err);
	}
	*whole = !r && is_whole(trees) && !opt->nr_take &&
		 !(super->chosen && !(opt->has_mapping_root && opt->has_details_root));
	if (*whole) {
		trees_sum_devices(trees);
		*whole = !trees_are_exchanged(trees);
	}
	if (*whole)
		r = counts_read(tell->counts, err);
	if (*whole && !r)
		r = witness_agreement(tell->datamap, err);
	*whole &= !a->excess && !a->replaced && !a->later && !super_has_other_index(super) &&
		  !((a->strange || a->twice || a->surplus || a->missing) && !trees_fit_details(trees));
	tell->intact =
		*whole && !super->chosen && super->sb_fault == SB_OK && !was_mended(tell->graph);
	return r;
}

int salvage_look(struct io *meta, struct jobs *jobs, const struct salvage_options *opt, uint32_t refused, struct salvage **out,
		 struct err *err)
{
	struct salvage *s = salvage_alloc(meta, jobs, opt, refused);
	uint32_t later = 0;
	bool whole = false;
	int r;

	*out = NULL;
	if (!s)
		return err_nomem(err, "salvage");
	r = super_read(&s->super, err);
	if (!r && s->super.has_sb)
		r = try_whole(&s->tell, &whole, err);
	if (!r && !whole)
		r = rescue(&s->tell, err);
	if (!r && s->super.has_sb && !s->trees.nr_devs && superblock_is_new(&s->super.sb) &&
	    !has_given_roots(&s->super))
		r = state_look_under(&s->state, err);
	else if (!r && whole && !has_given_roots(&s->super) &&
		 (trees_newest_time(&s->trees) < s->super.sb.time || s->super.sb_repair == SB_FIELDS))
		r = look_for_newer(&s->tell, err);
	if (!r) {
		later = s->super.has_sb ? nr_later(&s->trees) : 0; /* the header gets the newest time */
		trees_sum_devices(&s->trees);
		r = s->trees.nr_devs || !s->trees.gaps.nr || has_empty_details(&s->trees) ?
			    values_make_header(&s->values, err) :
			    err_set(err, -EUCLEAN,
				    "%s: nothing could be recovered: no device and no metadata "
				    "snapshot was found",
				    meta->name);
	}
	if (!r)
		r = values_complete_details(&s->trees, err);
	if (!r)
		r = values_check_times(&s->values, err);
	if (!r && !whole) {
		r = witness_agreement(&s->datamap, err);
		s->datamap.agrees.later = later;
	}
	if (!r)
		r = tell_judge(&s->tell, err);
	if (s->graph.no_memory || r == -ENOMEM)
		r = err_nomem(err, "salvage");
	if (r && r != -EUCLEAN && r != -EINVAL) {
		salvage_free(s);
		return r;
	}
	*out = s;
	return r;
}
