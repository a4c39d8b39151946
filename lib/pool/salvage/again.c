/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * A lost write leaves an older content, which is intact, and of which less comes back than of a block that cannot be read: it
 * names what is not there any more.  So where not all is back, all steps are taken once more without a block that may be one,
 * and the best result is kept.  The space map of the data is refused only where the superblock
 * denies it: where the trees do, nothing tells which of the two is older.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/bits.h"
#include "base/cleanup.h"
#include "base/overflow.h"
#include "pool/salvage/steps.h"

#define MAX_LOOKS_AGAIN	 32	     /* in all */
#define MAX_WORK_AGAIN	 (1u << 17) /* blocks and devices of all looks */
#define MAX_STEPS_AGAIN	 60000000   /* of searches in all */
#define STEPS_TO_COMPARE 300	     /* two leaves: that takes as long */

/* What is tried, and how good the best result is. */
struct again {
	struct salvage **best;
	struct io *meta;
	struct jobs *jobs;
	int r;	       /* of the best */
	unsigned left; /* looks */
	uint64_t work; /* of all looks since the first */
	bool differ;   /* two results have all mappings back, and are not the same */
	struct vec tried; /* uint32_t: blocks */
};

/* Data blocks in use whose mappings are not as many as the data map counts; UINT64_MAX: it does not tell. */
static uint64_t nr_off(const struct salvage *s)
{
	const struct agreement *a = &s->datamap.agrees;

	return a->data_whole && !s->datamap.has_other ? a->missing + a->excess : UINT64_MAX;
}

/* Devices whose id is not known. */
static size_t nr_unnamed(const struct salvage *s)
{
	size_t nr = 0;

	for (size_t i = 0; i < s->trees.nr_devs; i++)
		nr += s->trees.dev[i].id_invented;
	return nr;
}

static size_t nr_exact(const struct salvage *s)
{
	size_t nr = 0;

	for (size_t i = 0; i < s->trees.nr_devs; i++)
		nr += has_its_count(&s->graph, &s->trees.dev[i]);
	return nr;
}

/* Mappings that the data map, as far as it is there, does not deny. */
static uint64_t nr_good(const struct salvage *s)
{
	const uint64_t nr = trees_nr_mappings(&s->trees);

	return nr - MIN(nr, s->datamap.agrees.excess);
}

/*
 * Do the superblock, all details and both maps, which are whole, agree with the trees?  Only then may all mappings be called back: what
 * was refused may have told that the superblock is of another state.
 */
static bool agrees_in_all(const struct salvage *s)
{
	const struct agreement *a = &s->datamap.agrees;

	return s->super.has_sb && s->super.sb_fault == SB_OK && !nr_off(s) && nr_exact(s) == s->trees.nr_devs && counts_are_whole(&s->counts) &&
	       !a->orphans && !a->surplus && !a->strange && !a->twice && trees_newest_time(&s->trees) == s->super.sb.time;
}

/* May @a have other devices than @b?  Only details can tell. */
static bool may_have_ids(const struct salvage *a, const struct salvage *b)
{
	bool same = a->trees.nr_devs == b->trees.nr_devs;

	for (size_t i = 0; i < a->trees.nr_devs && same; i++)
		same = a->trees.dev[i].info.dev_id == b->trees.dev[i].info.dev_id;
	return same || trees_have_details(&a->trees);
}

/* Are data blocks in use that have no mapping, half as many as there are mappings? */
static bool is_half(const struct salvage *s)
{
	return nr_off(s) != UINT64_MAX && s->datamap.agrees.missing > nr_good(s) / 2;
}

/*
 * Is result @a, of @ra, better than @b?  It must leave a quarter less that does not agree with the data map, and have no fewer devices that
 * are as their details say, unless @b is half and no map denies @a; or where that map is not the superblock's, or denies most of @b, give
 * more mappings that it does not deny.
 */
static bool is_better(const struct salvage *a, int ra, const struct salvage *b, int rb)
{
	const struct agreement *of_a = &a->datamap.agrees, *of_b = &b->datamap.agrees;

	if (ra || rb)
		return !ra;
	if (a->tell.mappings_back != b->tell.mappings_back)
		return a->tell.mappings_back && may_have_ids(a, b);
	if (a->tell.mappings_back)
		return nr_exact(a) > nr_exact(b);
	if (is_half(b) && !nr_off(a) && counts_are_whole(&a->counts) && !of_a->surplus)
		return true; /* mappings count more than ids */
	if (nr_unnamed(a) > nr_unnamed(b))
		return false;
	if (nr_off(a) != UINT64_MAX && nr_off(b) != UINT64_MAX)
		return nr_off(a) < nr_off(b) - nr_off(b) / 4 && of_a->excess <= of_b->excess && nr_exact(a) >= nr_exact(b) &&
		       nr_good(a) >= nr_good(b) - nr_good(b) / 8;
	return ((b->datamap.has_other && !a->datamap.has_other) || of_b->excess > nr_good(b)) && !of_a->excess && nr_good(a) > nr_good(b);
}

static uint64_t mix(uint64_t sum, uint64_t value)
{
	return (sum ^ value) * 0x100000001b3u;
}

static uint64_t leaves_below(const struct graph *g, uint32_t node, uint64_t sum)
{
	const struct snode *n = &g->node[node];

	if (n->flags & SN_LEAF)
		return mix(sum, n->block);
	for (uint32_t k = 0; k < n->nr_edges; k++)
		if (graph_child(g, n, k) != NONE)
			sum = leaves_below(g, graph_child(g, n, k), sum);
	return sum;
}

/* Two results with the same devices, which have the same leaves, have the same sum. */
static uint64_t sum_of(const struct salvage *s)
{
	uint64_t sum = 0xcbf29ce484222325u;

	for (size_t i = 0; i < s->trees.nr_devs; i++) {
		const struct sdevice *d = &s->trees.dev[i];

		sum = mix(sum, d->info.dev_id);
		if (d->root != NONE)
			sum = leaves_below(&s->graph, d->root, sum);
	}
	return sum;
}

/* Judges @*s, of @r; when it is better it becomes the best, and @*s the other one. */
static int keep_better(struct again *a, struct salvage **s, int r)
{
	struct salvage *other = *a->best;

	if (!r && (*s)->tell.mappings_back && !agrees_in_all(*s)) {
		(*s)->trees.uncertain = true;
		r = tell_judge(&(*s)->tell, NULL);
	}
	if (!r && (*s)->tell.mappings_back && other->tell.mappings_back)
		a->differ |= sum_of(*s) != sum_of(other);
	if (!is_better(*s, r, other, a->r))
		return r == -ENOMEM ? r : 0;
	*a->best = *s;
	*s = other;
	a->r = 0;
	return 0;
}

static bool is_listed(const struct vec *list, uint32_t block)
{
	const uint32_t *b = list->data;

	for (size_t i = 0; i < list->nr; i++)
		if (b[i] == block)
			return true;
	return false;
}

/* Steps of the search for an assignment, and what compares leaves. */
static uint64_t work_of(const struct salvage *s)
{
	return s->assign.work + (uint64_t)STEPS_TO_COMPARE * s->ages.nr_compared;
}

/* Takes the steps without @block, if it is intact and was not tried yet. */
static int try_block(struct again *a, uint64_t block)
{
	const struct graph *g = &(*a->best)->graph;
	const uint32_t b = (uint32_t)block;
	struct salvage *s = NULL;
	int r;

	if (!block || block >= g->nr_blocks || g->kind[block] < BLOCK_NODE || is_listed(&a->tried, b) || !a->left ||
	    a->work + work_of(*a->best) > MAX_STEPS_AGAIN)
		return 0;
	if (vec_put(&a->tried, b))
		return -ENOMEM;
	a->left--;
	r = salvage_look(a->meta, a->jobs, &(*a->best)->super.opt, b, &s, NULL);
	a->work += s ? work_of(s) : 0;
	r = r == -ENOMEM ? r : s ? keep_better(a, &s, r) : 0;
	salvage_free(s);
	return r;
}

/* A bit a block: what is intact, but does not belong where a tree names it. */
static void mark_denied(const struct salvage *s, uint64_t *denied)
{
	for (size_t i = 0; i < s->trees.gaps.nr; i++) {
		const struct gap *g = gap_at(&s->trees, i);

		if (g->why >= BLOCK_NODE && g->block < s->graph.nr_blocks)
			bits_set_word(denied, g->block, 1);
	}
}

static bool names_any(const struct graph *g, const struct snode *n, const uint64_t *marked)
{
	for (uint32_t k = 0; k < n->nr_edges; k++)
		if (g->edge[n->edge + k].block < g->nr_blocks && bits_get(marked, g->edge[n->edge + k].block))
			return true;
	return false;
}

/* The parents of what does not belong there, then the roots of devices with another number of mappings than their details say. */
static int list_suspects(const struct salvage *s, struct vec *list)
{
	const struct graph *g = &s->graph;
	CLEANUP(free_ptr) uint64_t *denied = calloc(div_up(g->nr_blocks, 64), sizeof(*denied));
	int r = denied ? 0 : -ENOMEM;

	if (!r)
		mark_denied(s, denied);
	for (uint32_t i = 0; i < g->nr_nodes && !r; i++)
		if (g->node[i].flags & SN_LIVE && g->node[i].block != NONE && names_any(g, &g->node[i], denied))
			r = vec_put(list, g->node[i].block);
	for (size_t i = 0; i < s->trees.nr_devs && !r; i++)
		if (s->trees.dev[i].root != NONE && !has_its_count(g, &s->trees.dev[i]))
			r = vec_put(list, g->node[s->trees.dev[i].root].block);
	return r;
}

static int try_all(struct again *a)
{
	uint8_t buf[MBLOCK_SIZE] BLOCK_ALIGNED;
	struct vec suspects = { 0 };
	struct superblock sb;
	int r = list_suspects(*a->best, &suspects);
	bool has_sb = !io_read(a->meta, buf, MBLOCK_SIZE, 0, NULL) && superblock_open(&sb, buf, 0) == SB_OK;

	if (!has_sb) { /* or it was damaged, and corrected */
		sb = (*a->best)->super.sb;
		has_sb = (*a->best)->super.has_sb;
	}
	if (!r && has_sb)
		r = try_block(a, sb.details_root) ?: try_block(a, sb.metadata_sm.bitmap_root) ?: try_block(a, sb.mapping_root);
	if (!r && (*a->best)->datamap.has_other)
		r = try_block(a, (*a->best)->super.sb.data_sm.bitmap_root);
	for (size_t i = 0; i < suspects.nr && !r; i++)
		r = try_block(a, ((uint32_t *)suspects.data)[i]);
	free(suspects.data);
	return r;
}

int salvage_look_again(struct salvage **out, struct io *meta, struct jobs *jobs, int r, struct err *err)
{
	struct again a = { .best = out, .meta = meta, .jobs = jobs, .r = r };
	const struct salvage *s = *out;
	int e = 0;

	if (r == -EINVAL || (!r && (s->tell.mappings_back || (!nr_off(s) && trees_fit_details(&s->trees)))) || has_given_roots(&s->super) ||
	    s->super.opt.nr_take)
		return r;
	a.left = MIN(MAX_LOOKS_AGAIN, MAX_WORK_AGAIN / (s->graph.nr_blocks + s->trees.nr_devs + 1));
	e = try_all(&a);
	if (a.differ)
		(*out)->trees.uncertain = true;
	if (a.differ && !e)
		e = tell_judge(&(*out)->tell, err);
	free(a.tried.data);
	return e ? err_nomem(err, "salvage") : a.r;
}
