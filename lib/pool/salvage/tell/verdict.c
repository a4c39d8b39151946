/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Judges the result.  Either nothing was lost or invented; or all mappings of all devices are back
 * and only details or fields had to be rebuilt; or mappings are lost, or may be.
 */
#include <stdlib.h>

#include "base/cleanup.h"
#include "pool/salvage/tell/tell.h"

#define MAX_LEAKED 64

/* How many intact blocks are in another block's place?  Their writes were lost, or went to a wrong place. */
static uint64_t nr_lost_writes(const struct tell *tell)
{
	uint64_t nr = tell->datamap->agrees.replaced + tell->datamap->has_other + (tell->state->roots == ROOTS_OTHER ? 2 : 0);

	for (size_t i = 0; i < tell->trees->gaps.nr; i++) {
		const struct gap *g = gap_at(tell->trees, i);

		nr += g->why >= BLOCK_STRAY;
	}
	return nr;
}

/* Is neither map there to the last block? */
static bool lacks_both_maps(const struct tell *tell)
{
	return !tell->datamap->agrees.data_whole && !counts_are_whole(tell->counts);
}

/* Is no device there that may have been made by the last snapshot? */
static bool lacks_newest(const struct trees *trees)
{
	for (size_t i = 0; i < trees->nr_devs; i++)
		if (trees->dev[i].source == DETAILS_INVENTED || trees->dev[i].info.creation_time >= trees->super->sb.time)
			return false;
	return true;
}

static bool has_wrong_field(const struct graph *g)
{
	bool found = false;

	for (uint32_t i = 0; i < g->nr_nodes && !found; i++)
		found = g->node[i].flags & SN_LIVE && g->node[i].tree == TREE_MAPPING && graph_had_wrong_field(g, &g->node[i]);
	return found;
}

/*
 * A part of the details is lost, so they do not say how many mappings there were, and the data map is lost, too.  Then the
 * metadata map must agree; it does not see that a leaf is an older copy of itself, nor does a data map that may have leaked.  Nor
 * does the data map see an empty device that an older top level does not have yet, nor one that shares all that it has: where
 * writes were lost and the last snapshot is not there, the number of blocks in use is not enough.  A node with another block's number is
 * that block's, where one more write was lost.
 */
static bool counts_are_doubtful(const struct tell *tell)
{
	const struct agreement *a = &tell->datamap->agrees;
	const bool counted = counts_are_whole(tell->counts), whole = counted || counts_add_up(tell->counts);
	const bool torn = graph_may_be_torn(tell->graph), replaced = torn || nr_lost_writes(tell);

	return trees_have_gap(tell->trees, TREE_DETAILS) &&
	       ((replaced && has_wrong_field(tell->graph)) || replaced + !whole + !a->data_whole > 1 || (torn && a->missing) || (!a->data_whole && a->orphans) ||
	       ((!counted || a->orphans) && lacks_newest(tell->trees)));
}

/* Is a leaf below node @i reached on one way only? */
static bool has_own_leaf(const struct graph *g, const uint8_t *ways, uint32_t i)
{
	const struct snode *n = &g->node[i];

	if (ways[i] > 1 || n->flags & SN_LEAF)
		return ways[i] == 1;
	for (uint32_t k = 0; k < n->nr_edges; k++)
		if (graph_child(g, n, k) != NONE && has_own_leaf(g, ways, graph_child(g, n, k)))
			return true;
	return false;
}

/*
 * Were writes lost, and may a new device have got an older content of its root's block?  No details, also older ones, know it, and all its leaves are
 * others' as well: then the data map does not see them, and only the metadata map would.  A snapshot nobody wrote to shares its root.
 */
static bool has_unknown_twin(const struct tell *tell)
{
	const struct trees *trees = tell->trees;
	CLEANUP(free_ptr) uint8_t *ways = NULL;

	if (counts_are_whole(tell->counts) || !nr_lost_writes(tell))
		return false;
	ways = graph_noted(tell->graph, trees_ways(trees));
	for (size_t i = 0; i < trees->nr_devs && ways; i++) {
		const struct sdevice *d = &trees->dev[i];

		if (d->source == DETAILS_INVENTED && d->root != NONE && d->nr_mappings && ways[d->root] == 1 &&
		    !has_own_leaf(tell->graph, ways, d->root))
			return true;
	}
	return false;
}

/*
 * Were writes lost, but a snapshot is later than all that the devices know of?  It was deleted, or the trees are older than the
 * superblock.  The metadata map would tell, or both the data map, which does not see devices that are empty or share all that they
 * have, and the number of blocks in use.
 */
static bool time_is_doubtful(const struct tell *tell)
{
	return tell->super->has_sb && trees_newest_time(tell->trees) < tell->super->sb.time && nr_lost_writes(tell) &&
	       !counts_are_whole(tell->counts) && !(tell->datamap->agrees.data_whole && counts_add_up(tell->counts));
}

/*
 * Has each node all its parents, and no other, by a metadata map all of which is there?  "Three or more" does not tell one
 * parent too many.
 */
static bool is_proved_by_metadata(const struct datamap *datamap)
{
	return counts_are_exact(datamap->counts) && !datamap->agrees.orphans;
}

/* Have the superblock's own trees just the mappings that its data map and the details count? */
static bool fits_data_map(const struct tell *tell)
{
	const struct agreement *a = &tell->datamap->agrees;

	return tell->super->has_sb && a->data_whole && !a->missing && !a->excess && !a->strange &&
	       !trees_differ_from_details(tell->trees);
}

/*
 * Does the data map of the superblock's own state prove that the trees are complete?  Each data block has
 * just as many mappings as it counts, and so an older or another copy of a leaf is not among them.  Which devices
 * share a leaf it does not tell: where one has too many parents, details must say how many mappings each device has.
 */
static bool is_proved_by_data(const struct tell *tell)
{
	return fits_data_map(tell) && !tell->datamap->agrees.twice && !tell->datamap->agrees.later;
}

/*
 * Are parts of the pool of different states?  A space map may name a wrong block, but then the other witnesses and the number of blocks in
 * use agree; the time of one device may be wrong, but then both maps do.
 */
static bool parts_are_doubtful(const struct tell *tell)
{
	const struct agreement *a = &tell->datamap->agrees;

	return (a->twice && !(fits_data_map(tell) && counts_add_up(tell->counts))) ||
	       a->later > 1 || (a->later && !(fits_data_map(tell) && is_proved_by_metadata(tell->datamap) && trees_nr_mappings(tell->trees)));
}

static bool details_are_back(const struct trees *trees)
{
	return trees_have_details(trees) && !trees_have_gap(trees, TREE_DETAILS);
}

/*
 * Does a device share mappings that are later than its last snapshot, in a pool that is not intact?  They are another
 * device's, put where it lacks some, or come with an older content of its root's block.
 */
static bool shares_too_much(const struct tell *tell)
{
	for (size_t i = 0; i < tell->trees->nr_devs && !tell->intact; i++)
		if (tell->trees->dev[i].source == DETAILS_LIVE && tell->trees->dev[i].snap_time_raised)
			return true;
	return false;
}

/* Is a part of the held metadata snapshot lost, but none of the devices' trees?  It was marked when the data map was compared. */
static bool only_held_is_short(const struct tell *tell)
{
	bool any, is_short;

	if (!tell->super->sb.held_root || !assign_found_is_live(tell->assign))
		return false;
	is_short = super_held_is_short(tell->super, &any);
	return is_short || !any;
}

/*
 * How many data blocks without a mapping may crashes have leaked?  None if a node in use lacks a parent, if writes were
 * lost, or if parts were found without both maps: they may be older copies.  Where only a part of the held metadata snapshot is lost, they are its.
 * A discard may be of any length: where all trees are whole, and details and metadata map agree with them, nothing else can have been there.
 */
static uint64_t max_leaked(const struct tell *tell)
{
	const struct datamap *datamap = tell->datamap;
	const struct trees *trees = tell->trees;

	if (!trees->nr_devs || datamap->has_other)
		return 0;
	if (trees_fit_details(trees) && (only_held_is_short(tell) || (!trees->gaps.nr && !nr_lost_writes(tell) && is_proved_by_metadata(datamap))))
		return UINT64_MAX;
	return datamap->agrees.orphans || nr_lost_writes(tell) || (trees_have_filled(trees) && lacks_both_maps(tell)) ?
		       0 : MAX_LEAKED;
}

/*
 * Has a device a root that is also below another node?  In the kernel's trees a root never becomes a child, nor a child a
 * root: it was taken for one where the metadata map is lost, and the data map does not count who shares a leaf.
 */
static bool has_child_for_root(const struct tell *tell)
{
	const struct trees *trees = tell->trees;

	graph_mark_children(trees->graph, SN_LIVE);
	for (size_t i = 0; i < trees->nr_devs; i++) {
		const struct sdevice *d = &trees->dev[i];

		if (d->root != NONE && d->root_found && trees->graph->node[d->root].flags & SN_CHILD)
			return true;
	}
	return false;
}

static bool names_device(const struct graph *g, const struct snode *n, uint32_t id)
{
	for (uint32_t k = 0; k < n->nr_edges; k++)
		if (g->edge[n->edge + k].key == id)
			return true;
	return false;
}

/* Has a device that the top level @n does not name the tree at @block?  It would, for it is older than another one that it names. */
static bool has_other_id(const struct trees *trees, const struct snode *n, uint32_t block)
{
	const struct graph *g = trees->graph;
	uint32_t oldest = UINT32_MAX, newest = 0;

	for (size_t i = 0; i < trees->nr_devs; i++) {
		const struct sdevice *d = &trees->dev[i];

		if (names_device(g, n, d->info.dev_id))
			newest = MAX(newest, d->info.creation_time);
		else if (d->root != NONE && g->node[d->root].block == block)
			oldest = MIN(oldest, d->info.creation_time);
	}
	return oldest < newest;
}

/* Does the top level @n name all devices but one, and under another id the tree that this one has? */
static bool names_other_id(const struct trees *trees, const struct snode *n)
{
	const struct edge *edge = trees->graph->edge + n->edge;
	uint32_t nr = 0, unknown = 0;

	for (uint32_t k = 0; k < n->nr_edges; k++)
		if (edge[k].key > MAX_DEV_ID || !trees_find_device(trees, (uint32_t)edge[k].key)) {
			unknown = k;
			nr++;
		}
	return nr == 1 && n->nr_edges == trees->nr_devs && has_other_id(trees, n, edge[unknown].block);
}

/*
 * Where the top level is lost: is the id of a device wrong?  So it is in details whose keys do not ascend, and where the top level, which was
 * denied for another reason, has another id for the tree.
 */
static bool ids_are_doubtful(const struct tell *tell)
{
	const struct trees *trees = tell->trees;
	const struct graph *g = trees->graph;
	bool doubtful = false;

	if (!trees_have_gap(trees, TREE_TOP))
		return false;
	for (uint32_t i = 0; i < g->nr_nodes && !doubtful; i++) {
		const struct snode *n = &g->node[i];

		doubtful = (n->tree == TREE_DETAILS && n->flags & SN_LEAF && n->flags & SN_LIVE &&
			    (n->flags & SN_UNSORTED || n->last > MAX_DEV_ID)) ||
			   (n->block == trees->super->sb.mapping_root && is_top_leaf(n) && names_other_id(trees, n));
	}
	return doubtful;
}

static bool is_uncertain(const struct tell *tell)
{
	return tell->trees->uncertain;
}

static bool is_unproved(const struct tell *tell)
{
	return (tell->datamap->agrees.surplus || tell->assign->unconfirmed) && !is_proved_by_data(tell);
}

static bool has_surplus(const struct tell *tell)
{
	return tell->datamap->agrees.surplus && (!details_are_back(tell->trees) || counts_are_whole(tell->counts));
}

/* Do the trees contradict a map, or the superblock them? */
static bool is_contradicted(const struct tell *tell)
{
	const struct agreement *a = &tell->datamap->agrees;

	return a->excess || a->strange || a->missing > max_leaked(tell) || parts_are_doubtful(tell) || has_surplus(tell);
}

/* Is another state than that of the result on the device, or known of? */
static bool has_other_state(const struct tell *tell)
{
	return tell->super->other_root || tell->state->over.found || tell->values->is_older || state_has_newer(tell->state);
}

static bool writes_are_lost_with_maps(const struct tell *tell)
{
	return nr_lost_writes(tell) > 1 && lacks_both_maps(tell) && !counts_add_up(tell->counts);
}

static bool map_is_of_others(const struct tell *tell)
{
	return nr_lost_writes(tell) && !counts_are_whole(tell->counts) && counts_are_others(tell->counts);
}

static bool has_later_mapping(const struct tell *tell)
{
	return tell->values->mapping_is_later;
}

static bool is_exchanged(const struct tell *tell)
{
	return trees_are_exchanged(tell->trees);
}

/* Why the result may not be the last state of the pool. Those without words have a line in the report that tells more. */
static const struct {
	bool (*holds)(const struct tell *tell);
	const char *text;
} doubts[] = {
	{ has_other_state, NULL },
	{ is_contradicted, NULL },
	{ is_uncertain, NULL },
	{ is_unproved, NULL },
	{ shares_too_much, "a device shares mappings that are later than its last snapshot: they may be another device's" },
	{ has_child_for_root, "the root of a device is also a part of a tree: the device may have another's mappings" },
	{ is_exchanged, "two devices have the numbers of mappings that the details of each other say: their trees may have been exchanged" },
	{ has_later_mapping, "a mapping is later than the superblock and all devices: the devices may be older than the trees" },
	{ ids_are_doubtful, "the top-level mapping tree is lost, and an id in the details is wrong: a device may come back under another's" },
	{ counts_are_doubtful, "details of devices are lost, and what else could tell whether all mappings are back is lost or contradicts them" },
	{ time_is_doubtful, "the device of the last snapshot is not there: it was deleted, or the devices are older than the superblock" },
	{ has_unknown_twin, "a device of which no details are left shares all its mappings: they may be older" },
	{ writes_are_lost_with_maps, "writes were lost, and both space maps: the devices may be older than the superblock" },
	{ map_is_of_others, "writes were lost, and the metadata space map is of another state: the devices may be, too" },
};

const char *tell_doubt(const struct tell *tell, size_t i)
{
	return i < ARRAY_SIZE(doubts) && tell->doubts >> i & 1 ? doubts[i].text : NULL;
}

static uint32_t find_doubts(const struct tell *tell)
{
	uint32_t found = 0;

	for (size_t i = 0; i < ARRAY_SIZE(doubts); i++)
		found |= (uint32_t)doubts[i].holds(tell) << i;
	return found;
}

/* Was a node put where it is only likely to belong? */
static bool has_likely(const struct graph *g)
{
	for (uint32_t i = 0; i < g->nr_nodes; i++)
		if (g->node[i].certainty != CERTAINTY_PROVED && g->node[i].nr_mappings)
			return true;
	return false;
}

/*
 * Without details the maps must prove the device.  The data map counts a leaf once: so where a part of a tree is lacking, no lost block may
 * lack a parent, for it may be a node that the lacking part shared.  Nor may anything be only likely, for no map tells which device has a leaf.
 */
static bool is_proved_by_maps(const struct tell *tell, const struct sdevice *d)
{
	return d->in_top && is_proved_by_data(tell) && is_proved_by_metadata(tell->datamap) && !has_likely(tell->graph) &&
	       (!trees_have_gap(tell->trees, TREE_MAPPING) || !counts_lost_lack(tell->counts));
}

/*
 * A device with as many mappings as its details say is complete, even with gaps.  Another count is
 * a wrong count only where no tree has a gap and both maps are whole: else it may have got the wrong tree.  Without details
 * its tree must be the one that the top level names, and whole. Where the details are intact, they
 * have every device of the pool: one that they do not have comes from an older top level.  So has the top level, but where the whole
 * metadata map says that a root lacks its parent.  A tree that was
 * found, or has parts that were, and shares mappings that are later than the device's last snapshot, is another device's.
 */
static bool device_is_back(const struct tell *tell, const struct sdevice *d, uint8_t *memo)
{
	const struct datamap *datamap = tell->datamap;

	if (d->id_invented || d->root == NONE ||
	    (d->source != DETAILS_LIVE && !trees_have_gap(tell->trees, TREE_DETAILS)) ||
	    (!d->in_top && !trees_have_gap(tell->trees, TREE_TOP) && !(d->root_found && counts_are_whole(tell->counts))))
		return false;
	if (d->source == DETAILS_LIVE ? d->info.mapped_blocks == d->nr_mappings
				      : is_proved_by_maps(tell, d))
		return true;
	if ((d->source == DETAILS_LIVE &&
	     (tell->trees->gaps.nr || !datamap->agrees.data_whole || datamap->large_lost || !is_proved_by_metadata(datamap))) ||
	    datamap->agrees.missing)
		return false;
	return d->in_top && !graph_has_holes(tell->graph, d->root, memo, 0);
}

/* Are there impossible mappings in what is kept? */
static bool has_bad(const struct graph *g)
{
	for (uint32_t i = 0; i < g->nr_nodes; i++)
		if (g->node[i].flags & SN_LIVE && g->node[i].nr_bad)
			return true;
	return false;
}

static bool mappings_are_back(const struct tell *tell, uint8_t *memo)
{
	const struct trees *trees = tell->trees;

	if (has_bad(tell->graph) || tell->values->lacks_device || tell->doubts)
		return false;
	for (size_t i = 0; i < trees->nr_devs; i++)
		if (!device_is_back(tell, &trees->dev[i], memo))
			return false;
	return true;
}

/* Are mappings missing because writes were lost, or for no reason that is known? */
static bool is_unexplained(const struct tell *tell)
{
	return tell->datamap->agrees.missing &&
	       (nr_lost_writes(tell) || !(trees_have_gap(tell->trees, TREE_MAPPING) || trees_have_gap(tell->trees, TREE_TOP)));
}

int tell_judge(struct tell *tell, struct err *err)
{
	CLEANUP(free_ptr) uint8_t *memo = calloc((size_t)tell->graph->nr_nodes + 1, 1);

	if (!memo)
		return err_nomem(err, "recovered mappings");
	tell->doubts = find_doubts(tell);
	tell->mappings_back = mappings_are_back(tell, memo);
	tell->lossless = tell->mappings_back && !tell->values->header_invented &&
			 details_are_back(tell->trees);
	tell->found_is_live = assign_found_is_live(tell->assign);
	tell->unexplained = is_unexplained(tell);
	return 0;
}

bool tell_device_is_whole(const struct tell *tell, uint32_t dev_id)
{
	CLEANUP(free_ptr) uint8_t *memo = calloc((size_t)tell->graph->nr_nodes + 1, 1);
	const struct sdevice *d = trees_find_device(tell->trees, dev_id);

	return memo && d && !tell->doubts && device_is_back(tell, d, memo);
}

bool tell_device_is_confirmed(const struct tell *tell, const struct sdevice *d)
{
	return tell->mappings_back || d->root_given || (has_its_count(tell->graph, d) && tell->found_is_live);
}

bool tell_tree_may_be_older(const struct tell *tell, const struct sdevice *d)
{
	return d->source == DETAILS_LIVE ? !has_its_count(tell->graph, d) : tell->unexplained;
}
