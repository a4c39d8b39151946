/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Judges the result.  Either nothing was lost or invented; or all mappings of all devices are back
 * and only details or fields had to be rebuilt; or mappings are lost, or may be.
 */
#include <stdlib.h>

#include "base/cleanup.h"
#include "pool/salvage/impl.h"

#define MAX_LEAKED 64 /* data blocks that crashes may have leaked */

/* An intact block is in another block's place: a write was lost, or went to a wrong place. */
static bool was_replaced(const struct gap *g)
{
	return g->why == BLOCK_STRAY || g->why >= BLOCK_NODE;
}

/*
 * A part of the details is lost, so they do not say how many mappings there were; or what was put into the
 * lost top level was chosen by a metadata map that is not the state's own.  Then the data map must agree.
 * Without a data map the metadata map must: it does not see that a leaf is an older copy of itself.
 */
static bool roots_are_doubtful(const struct salvage *s)
{
	const struct agreement *a = &s->agrees;
	bool details = false, top = false, replaced = false;

	for (size_t i = 0; i < s->gaps.nr; i++) {
		details |= gap_at(s, i)->tree == TREE_DETAILS;
		top |= gap_at(s, i)->tree == TREE_TOP;
		replaced |= was_replaced(gap_at(s, i));
	}
	if (!details && !(top && (s->counts_searched || !s->has_counts)))
		return false;
	if (a->has_data && a->data_whole)
		return a->missing && details;
	return s->counts_searched || salvage_has_unknown(s) ||
	       (details && (a->orphans || replaced));
}

/* Is the last snapshot among the devices?  It has the superblock's time, and so has its origin. */
static bool has_last_snapshot(const struct salvage *s)
{
	for (size_t i = 0; i < s->nr_devs; i++)
		if (s->dev[i].source == DETAILS_LIVE && s->dev[i].info.snap_time == s->info.time)
			return true;
	return !s->info.time;
}

/* Has each node all its parents, by a metadata map all of which is there? */
static bool is_proved_by_metadata(const struct salvage *s)
{
	return s->has_counts && !s->counts_searched && !salvage_has_unknown(s) &&
	       !s->agrees.orphans;
}

/*
 * Does the data map of the superblock's own state prove that the trees are complete?  Each data block has
 * just as many mappings as it counts, and so an older or another copy of a leaf is not among them.  What the
 * data map cannot see is a snapshot with leaves of its origin only, missing or in another device's place.
 */
static bool is_proved_by_data(const struct salvage *s)
{
	return s->has_sb && s->agrees.data_exact && !s->count_differs &&
	       (has_last_snapshot(s) || is_proved_by_metadata(s));
}

/* The result may not be the last state of the pool. */
static bool state_is_doubtful(const struct salvage *s)
{
	return s->from_snapshot || s->uncertain || s->newer_lost || s->over.found ||
	       s->agrees.excess || s->agrees.strange || roots_are_doubtful(s) ||
	       ((s->agrees.strange_map || s->unconfirmed) && !is_proved_by_data(s)) ||
	       s->agrees.missing > (s->nr_devs ? MAX_LEAKED : 0);
}

/*
 * Without details the maps must prove the device.  They do not tell a lost node's children from those of a lost node of
 * the held metadata snapshot.
 */
static bool is_proved_by_maps(const struct salvage *s, const struct sdevice *d, uint8_t *memo)
{
	return d->in_top && d->nr_mappings && is_proved_by_data(s) && is_proved_by_metadata(s) &&
	       !(s->sb.held_root && salvage_has_holes(s, d->root, memo, 0));
}

/*
 * A device with as many mappings as its details say is complete, even with gaps.  Another count is
 * a wrong count only where no tree has a gap: else it may have got the wrong tree.  Without details
 * its tree must be the one that the top level names, and whole. Where the details are intact, they
 * have every device of the pool: one that they do not have comes from an older top level.
 */
static bool device_is_back(const struct salvage *s, const struct sdevice *d, uint8_t *memo)
{
	if (d->id_invented || d->has_other_id || d->root == NONE ||
	    (d->source != DETAILS_LIVE && !s->details_lost))
		return false;
	if (d->source == DETAILS_LIVE ? d->info.mapped_blocks == d->nr_mappings
				      : is_proved_by_maps(s, d, memo))
		return true;
	if ((d->source == DETAILS_LIVE &&
	     (s->gaps.nr || !s->agrees.data_whole || s->agrees.orphans)) ||
	    s->agrees.missing)
		return false;
	return d->in_top && !salvage_has_holes(s, d->root, memo, 0);
}

static bool mappings_are_back(const struct salvage *s, uint8_t *memo)
{
	if (s->nr_bad || state_is_doubtful(s) || (s->details_lost && s->top_lost))
		return false;
	for (size_t i = 0; i < s->nr_devs; i++)
		if (!device_is_back(s, &s->dev[i], memo))
			return false;
	return true;
}

static bool details_are_back(const struct salvage *s)
{
	for (size_t i = 0; i < s->nr_devs; i++)
		if (s->dev[i].source != DETAILS_LIVE)
			return false;
	return !s->details_lost;
}

int salvage_judge(struct salvage *s, struct err *err)
{
	CLEANUP(free_ptr) uint8_t *memo = calloc((size_t)s->nr_nodes + 1, 1);

	if (!memo)
		return err_nomem(err, "recovered mappings");
	s->mappings_back = mappings_are_back(s, memo);
	s->lossless = s->mappings_back && !s->header_invented && details_are_back(s);
	return 0;
}

bool salvage_device_is_whole(const struct salvage *s, uint32_t dev_id)
{
	CLEANUP(free_ptr) uint8_t *memo = calloc((size_t)s->nr_nodes + 1, 1);
	const struct sdevice *d = salvage_find_device(s, dev_id);

	return memo && d && !state_is_doubtful(s) && device_is_back(s, d, memo);
}

void salvage_totals(const struct salvage *s, struct salvage_totals *out)
{
	*out = (struct salvage_totals) { .nr_devices = s->nr_devs,
					 .nr_mappings = s->nr_mappings,
					 .nr_data_blocks = s->info.nr_data_blocks,
					 .intact = s->intact,
					 .lossless = s->lossless,
					 .mappings_back = s->mappings_back,
					 .uncertain = s->uncertain || s->newer_lost ||
						      (s->unconfirmed && !s->mappings_back) };
}
