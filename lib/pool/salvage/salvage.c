/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * How damaged metadata becomes a pool again.
 *
 *  1. Block 0 (super.c).
 *  2. The trees it names are read level by level, and joined.  When all of them are whole, that is
 *     all: nothing else is read.
 *  3. Otherwise the whole device is read once, in order, and every block classified (scan.c, node.c).
 *     A flipped bit is put right (mend.c); a block in the wrong place is taken for the one it is
 *     (strays.c).
 *  4. It is settled whose roots are used (claim.c): the user's, the superblock's, or the newest
 *     that are found (roots.c, order.c).  The trees are linked and walked anew (trees.c): what cannot
 *     be read leaves gaps.
 *  5. The metadata space map says which blocks are in use, and how many parents each has (space.c).
 *     Nodes that it or the data map denies are left out (witness.c).
 *  6. Nodes that lack a parent are assigned to the gaps (gaps.c, option.c, assign.c, chain.c,
 *     solve.c, sums.c), by what speaks for them (evidence.c, generations.c, lookup.c).  Where their
 *     counts are lost the data map decides (data.c, cover.c).  Devices that the top level lost: devices.c.
 *  7. Details are joined, and those that were lost made (details.c, times.c).
 *  8. How good it is (verdict.c).  salvage_emit() sends what is there (emit.c, defs.c); the room
 *     above, pool/report, says what is not; salvage_list_roots() what else there was (list.c, under.c).
 */
#include "pool/salvage/salvage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/overflow.h"
#include "pool/salvage/witness/outdated.h"

static struct salvage *salvage_alloc(struct io *io, struct jobs *jobs,
				     const struct salvage_options *opt)
{
	struct salvage *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->io = io;
	s->jobs = jobs;
	s->opt = *opt;
	s->nr_blocks = (uint32_t)MIN(io->size / MBLOCK_SIZE, MAX_METADATA_BLOCKS);
	stream_init(&s->stream, io, jobs);
	outbuf_init(&s->header_notes);
	outbuf_init(&s->explained);
	s->kind = calloc(s->nr_blocks + 1, 1);
	s->slot = malloc(((size_t)s->nr_blocks + 1) * sizeof(*s->slot));
	if (!s->kind || !s->slot) {
		salvage_free(s);
		return NULL;
	}
	memset(s->slot, 0xff, ((size_t)s->nr_blocks + 1) * sizeof(*s->slot));
	s->map_root = s->details_root = NONE;
	s->nr_data_blocks = UINT64_MAX;
	return s;
}

void salvage_free(struct salvage *s)
{
	if (!s)
		return;
	free(s->kind);
	free(s->slot);
	free(s->node);
	free(s->edge);
	free(s->mends.data);
	free(s->strays.data);
	free(s->moved.data);
	free(s->count);
	free(s->found);
	free(s->gen);
	free(s->gen_max);
	free(s->seen);
	free(s->trusted);
	free(s->gaps.data);
	salvage_data_end(s);
	free(s->old_roots.data);
	free(s->commits.data);
	free(s->dev);
	outbuf_fini(&s->header_notes);
	outbuf_fini(&s->explained);
	free(s);
}

static int by_number(const void *pa, const void *pb)
{
	const mblock_t *a = pa, *b = pb;

	return *a < *b ? -1 : *a > *b;
}

static int want(struct salvage *s, struct vec *list, uint64_t block)
{
	mblock_t *p;

	if (block >= s->nr_blocks || s->kind[block] != BLOCK_UNREAD)
		return 0;
	p = vec_push(list, sizeof(*p));
	if (!p)
		return -ENOMEM;
	s->kind[block] = BLOCK_WANTED;
	*p = block;
	return 0;
}

/* The bitmaps that a space map's index names. */
static int want_bitmaps(struct salvage *s, struct vec *list, uint32_t block)
{
	CLEANUP(free_ptr) uint8_t *buf = io_alloc(MBLOCK_SIZE);
	uint32_t nr = (uint32_t)div_up(s->nr_blocks, ENTRIES_PER_BITMAP);
	const struct disk_index *index = (const void *)buf;
	struct view v;
	int r = 0;

	if (!buf)
		return -ENOMEM;
	if (salvage_get(s, block, buf, NULL) < 0)
		return 0;
	if (s->kind[block] == BLOCK_INDEX)
		for (uint32_t i = 0; i < nr && !r; i++)
			r = want(s, list, le64_get(index->entry[i].blocknr));
	else if (view_open(&v, buf) && v.leaf && v.value_size == 16)
		for (uint32_t i = 0; i < v.nr && !r; i++)
			r = want(s, list, view_value(&v, i));
	return r;
}

/* The roots of both space maps and of the held snapshot. */
static int want_witnesses(struct salvage *s, struct vec *list)
{
	const uint64_t roots[] = { s->sb.data_sm.bitmap_root, s->sb.data_sm.ref_count_root,
				   s->sb.metadata_sm.bitmap_root, s->sb.metadata_sm.ref_count_root,
				   s->sb.held_root };
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(roots) && !r; i++)
		r = roots[i] ? want(s, list, roots[i]) : 0;
	return r;
}

static int want_more(struct salvage *s, struct vec *list, bool first)
{
	uint64_t index = s->sb.metadata_sm.bitmap_root;
	struct superblock held;
	int r = 0;

	if (!first)
		return 0;
	if (index < s->nr_blocks && s->kind[index] == BLOCK_INDEX)
		r = want_bitmaps(s, list, (uint32_t)index);
	if (!r && salvage_read_copy(s, s->sb.held_root, &held)) {
		r = want(s, list, held.mapping_root);
		if (!r)
			r = want(s, list, held.details_root);
	}
	return r;
}

/* Reads the trees that the superblock names and its space maps, level by level. */
static int load_trees(struct salvage *s, struct err *err)
{
	struct vec list = { 0 };
	uint32_t seen = s->nr_nodes;
	bool first = true;
	int r = 0;

	if (want(s, &list, s->sb.mapping_root) < 0 || want(s, &list, s->sb.details_root) < 0 ||
	    want_witnesses(s, &list) < 0)
		r = -ENOMEM;
	while (!r && list.nr) {
		qsort(list.data, list.nr, sizeof(mblock_t), by_number);
		r = salvage_load(s, list.data, list.nr, err);
		list.nr = 0;
		for (; seen < s->nr_nodes && !r; seen++) {
			const struct snode *n = &s->node[seen];

			if (n->tree == TREE_INDEX && n->flags & SN_LEAF)
				r = want_bitmaps(s, &list, n->block);
			for (uint32_t k = 0; k < s->node[seen].nr_edges && !r; k++)
				r = want(s, &list, s->edge[s->node[seen].edge + k].block);
		}
		if (!r)
			r = want_more(s, &list, first);
		first = false;
	}
	free(list.data);
	return r == -ENOMEM ? err_nomem(err, "salvage: list of blocks") : r;
}

/* Forgets the gaps of an earlier walk. */
static void reset_gaps(struct salvage *s)
{
	for (size_t i = s->gaps.nr; i-- > 0;) {
		uint32_t v = gap_at(s, i)->node;

		if (s->node[v].block != NONE)
			s->slot[s->node[v].block] = NONE;
		s->nr_nodes = MIN(s->nr_nodes, v);
	}
	s->gaps.nr = 0;
}

static int walk_trees(struct salvage *s, struct err *err)
{
	int r;

	salvage_link(s);
	r = salvage_walk_details(s, err);
	if (!r)
		r = salvage_walk_top(s, err);
	if (!r)
		r = salvage_walk_devices(s, err);
	return r ? r : salvage_join_details(s, err);
}

static bool is_whole(const struct salvage *s)
{
	if (s->gaps.nr)
		return false;
	for (size_t i = 0; i < s->nr_devs; i++)
		if (!s->dev[i].in_top || s->dev[i].source != DETAILS_LIVE)
			return false;
	return true;
}

/* Does each device have as many mappings as its details say? */
static bool counts_agree(struct salvage *s)
{
	salvage_sum_all(s);
	for (size_t i = 0; i < s->nr_devs; i++)
		if (s->dev[i].root == NONE ||
		    s->node[s->dev[i].root].nr_mappings != s->dev[i].info.mapped_blocks)
			return false;
	return true;
}

static bool was_mended(const struct salvage *s)
{
	for (uint32_t i = 0; i < s->nr_nodes; i++)
		if (s->node[i].flags & SN_LIVE && s->node[i].flags & SN_MENDED)
			return true;
	return false;
}

static void sum_devices(struct salvage *s)
{
	s->nr_mappings = 0;
	salvage_sum_all(s);
	for (size_t i = 0; i < s->nr_devs; i++) {
		struct sdevice *d = &s->dev[i];

		d->nr_mappings = d->root == NONE ? 0 : s->node[d->root].nr_mappings;
		if (d->root != NONE && d->nr_mappings)
			s->max_time = MAX(s->max_time, s->node[d->root].max_time);
		if (d->source == DETAILS_LIVE)
			s->max_time =
				MAX(s->max_time, MAX(d->info.creation_time, d->info.snap_time));
		s->nr_mappings += d->nr_mappings;
		if (d->source == DETAILS_LIVE)
			s->count_differs |= d->info.mapped_blocks != d->nr_mappings;
	}
	for (uint32_t i = 0; i < s->nr_nodes; i++)
		if (s->node[i].flags & SN_LIVE)
			s->nr_bad += s->node[i].nr_bad;
}

/*
 * Roots that were looked for are those of the newest state that can be found.  A newer one may have
 * been in a lost block that this state does not use.
 */
static bool newer_may_be_lost(const struct salvage *s)
{
	uint32_t end = s->nr_blocks;

	while (end > 1 && s->kind[end - 1] == BLOCK_ZERO)
		end--; /* never written */
	for (uint32_t b = 1; b < end; b++)
		if (s->kind[b] >= BLOCK_ZERO && s->kind[b] <= BLOCK_IO_ERROR &&
		    (!s->has_counts || !s->count[b] || s->count[b] == COUNT_UNKNOWN))
			return true;
	return false;
}

/* Is there no mapping at all, although there should be some, or the number is not known? */
static bool live_trees_are_gone(struct salvage *s)
{
	if (!s->gaps.nr)
		return false;
	salvage_sum_all(s);
	for (size_t i = 0; i < s->nr_devs; i++)
		if (s->dev[i].root != NONE && s->node[s->dev[i].root].nr_mappings)
			return false;
	for (size_t i = 0; i < s->nr_devs; i++)
		if (s->dev[i].source != DETAILS_LIVE || s->dev[i].info.mapped_blocks)
			return true;
	return !s->nr_devs;
}

/* Uses the held metadata snapshot's trees when the live ones are lost. */
static int use_snapshot(struct salvage *s, struct err *err)
{
	struct superblock held;
	int r;

	if (!salvage_read_copy(s, s->sb.held_root, &held))
		return 0;
	s->from_snapshot = true;
	salvage_data_end(s);
	s->sb.mapping_root = held.mapping_root;
	s->sb.details_root = held.details_root;
	reset_gaps(s);
	r = walk_trees(s, err);
	if (!r)
		r = salvage_read_counts(s, err);
	return r ? r : salvage_fill_gaps(s, err);
}

/* Both roots are lost, and so is the information which nodes are live. */
static bool snapshot_is_best(const struct salvage *s)
{
	const struct snode *n = s->node;

	return s->sb.held_root && !has_given_roots(s) && n[s->map_root].flags & SN_VIRTUAL &&
	       n[s->details_root].flags & SN_VIRTUAL && salvage_has_unknown(s);
}

/* Walks again without the nodes that the space maps deny. */
static int walk_without_denied(struct salvage *s, struct err *err)
{
	uint32_t nr = 0, before = 0;
	int r;

	do {
		before = nr;
		r = salvage_deny(s, &nr, err);
		if (r < 0 || nr == before)
			break;
		reset_gaps(s);
		r = walk_trees(s, err);
		if (!r)
			salvage_count_edges(s);
	} while (!r);
	return r;
}

static int rescue(struct salvage *s, struct err *err)
{
	int r;

	reset_gaps(s);
	r = salvage_scan_all(s, err);
	if (!r)
		r = salvage_read_super_again(s, err);
	if (!r) {
		salvage_link(s);
		r = salvage_settle_roots(s, err);
	}
	if (!r)
		r = salvage_check_taken(s, err);
	if (!r)
		r = salvage_bound(s, err);
	if (!r)
		r = walk_trees(s, err);
	if (!r)
		r = salvage_read_counts(s, err);
	if (!r && !has_given_roots(s))
		r = walk_without_denied(s, err);
	if (!r && snapshot_is_best(s))
		r = use_snapshot(s, err);
	if (!r && !s->from_snapshot)
		r = salvage_fill_gaps(s, err);
	if (!r && !s->from_snapshot && !has_given_roots(s) && live_trees_are_gone(s))
		r = use_snapshot(s, err);
	salvage_order(s);
	s->unconfirmed |= s->guessed && newer_may_be_lost(s);
	s->newer_lost = !s->has_sb && !s->claim_used && !has_given_roots(s) &&
			(s->rivals || newer_may_be_lost(s));
	return r;
}

/* Do the details say that there is no device? */
static bool has_empty_details(const struct salvage *s)
{
	const struct snode *n = &s->node[s->details_root];

	return n->tree == TREE_DETAILS && n->flags & SN_LEAF && !n->nr;
}

/*
 * The last snapshot and its origin are both gone.  They were deleted; or the nodes are of an older state than the
 * superblock, whose own nodes may still be somewhere.
 */
static int look_for_newer(struct salvage *s, struct err *err)
{
	int r = salvage_scan_all(s, err);

	if (!r && has_newer_details(s)) {
		s->agrees.strange++;
		s->intact = false;
	}
	return r;
}

int salvage_new(struct io *meta, struct jobs *jobs, const struct salvage_options *opt,
		struct salvage **out, struct err *err)
{
	struct salvage *s = salvage_alloc(meta, jobs, opt);
	bool whole = false;
	int r;

	*out = NULL;
	if (!s)
		return err_nomem(err, "salvage");
	r = salvage_read_super(s, err);
	if (!r && s->has_sb) {
		r = load_trees(s, err);
		if (!r)
			r = salvage_bound(s, err);
		if (!r)
			r = walk_trees(s, err);
		whole = !r && is_whole(s) && !opt->nr_take &&
			!(s->chosen && !(opt->has_mapping_root && opt->has_details_root));
		if (whole)
			r = salvage_read_counts(s, err);
		if (whole && !r)
			r = salvage_agreement(s, err);
		whole &= !s->agrees.excess &&
			 !((s->agrees.strange || s->agrees.strange_map) && !counts_agree(s)) &&
			 !(s->agrees.missing && !counts_agree(s));
		s->intact = whole && !s->chosen && s->sb_fault == SB_OK && !was_mended(s);
	}
	if (!r && !whole)
		r = rescue(s, err);
	if (!r && whole && !s->nr_devs && superblock_is_new(&s->sb) && !has_given_roots(s))
		r = salvage_look_under(s, err);
	else if (!r && whole && newest_time(s) < s->sb.time && !has_given_roots(s))
		r = look_for_newer(s, err);
	if (!r) {
		sum_devices(s);
		r = s->nr_devs || !s->gaps.nr || has_empty_details(s) ?
			    salvage_make_header(s, err) :
			    err_set(err, -EUCLEAN,
				    "%s: nothing could be recovered: no device and no metadata "
				    "snapshot was found",
				    meta->name);
	}
	if (!r)
		r = salvage_complete_details(s, err);
	if (!r)
		r = salvage_check_times(s, err);
	if (!r && !whole)
		r = salvage_agreement(s, err);
	if (!r)
		r = salvage_judge(s, err);
	if (s->no_memory || r == -ENOMEM)
		r = err_nomem(err, "salvage");
	if (r && r != -EUCLEAN && r != -EINVAL) {
		salvage_free(s);
		return r;
	}
	*out = s;
	return r;
}

uint64_t salvage_nr_nodes(const struct salvage *s)
{
	uint64_t nr = 0;

	for (uint32_t i = 0; i < s->nr_nodes; i++)
		nr += s->node[i].flags & SN_LIVE;
	return nr;
}
