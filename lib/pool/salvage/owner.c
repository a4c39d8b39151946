/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Takes orphans home.  An orphan is a node that lacks a parent: its count in the metadata space map is
 * higher than the number of parents that can be read.  The lost nodes are its parents, and
 * its keys must lie in what the lost node was for.  Where more than one lost node could have
 * had it, the device's number of mapped blocks decides, then kinship (salvage_kin.c).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "pool/salvage/impl.h"

static bool of_tree(const struct snode *n, uint8_t tree)
{
	return n->tree == tree || (n->tree == TREE_EMPTY && tree != TREE_DETAILS);
}

static int by_first_key(const void *pa, const void *pb, void *ctx)
{
	const struct orphan *a = pa, *b = pb;
	const struct snode *na = (const struct snode *)ctx + a->node;
	const struct snode *nb = (const struct snode *)ctx + b->node;

	if (na->first != nb->first)
		return na->first < nb->first ? -1 : 1;
	return na->block < nb->block ? -1 : na->block > nb->block;
}

/* The nodes of @tree that the space map knows to lack parents. */
static int list_orphans(struct salvage *s, uint8_t tree, struct vec *out, struct err *err)
{
	out->nr = 0;
	for (uint32_t i = 0; i < s->nr_nodes; i++) {
		const struct snode *n = &s->node[i];
		struct orphan *o;
		uint32_t refs;

		if (n->flags & SN_VIRTUAL || !of_tree(n, tree))
			continue;
		refs = salvage_missing_refs(s, n->block);
		if (!refs || refs == COUNT_UNKNOWN)
			continue;
		o = vec_push(out, sizeof(*o));
		if (!o)
			return err_nomem(err, "salvage: orphans");
		*o = (struct orphan){ i, refs };
	}
	if (out->nr)
		qsort_r(out->data, out->nr, sizeof(struct orphan), by_first_key, s->node);
	return 0;
}

/* Then its roots look like orphans too, and nothing tells them from the live ones. */
static bool held_is_lost(const struct salvage *s)
{
	return s->sb.held_root && (s->sb.held_root >= s->nr_blocks ||
				   s->kind[s->sb.held_root] != BLOCK_SUPER);
}

/* --- top level and details: one tree each, so what fits belongs there --- */

static int fill_tree(struct salvage *s, uint8_t tree, bool *any, struct err *err)
{
	struct vec orphans = { 0 };
	uint32_t *child;
	int r = list_orphans(s, tree, &orphans, err);

	child = malloc((orphans.nr + 1) * sizeof(*child));
	if (!r && !child)
		r = err_nomem(err, "salvage: orphans");
	for (size_t i = 0; i < s->gaps.nr && !r; i++) {
		struct gap g = *gap_at(s, i);
		uint64_t next = g.begin;
		uint32_t nr = 0;

		if (g.tree != tree || (g.height < 0 && held_is_lost(s)))
			continue;
		for (size_t k = 0; k < orphans.nr; k++) {
			struct orphan *o = orphan_at(&orphans, k);
			const struct snode *n = &s->node[o->node];

			if (!o->refs || !gap_takes(n, &g) || n->first < next)
				continue;
			child[nr++] = o->node;
			o->refs--;
			if (n->last == UINT64_MAX)
				break;
			next = n->last + 1;
		}
		if (!nr)
			continue;
		*any = true;
		r = salvage_add_edges(s, g.node, child, nr, err);
	}
	free(child);
	free(orphans.data);
	return r;
}

/* The same for the devices' roots, when it is the snapshot's top level that is lost. */
static bool held_top_is_lost(struct salvage *s)
{
	CLEANUP(free_ptr) void *buf = io_alloc(MBLOCK_SIZE);
	struct superblock held;
	uint32_t top;

	if (!s->sb.held_root)
		return false;
	if (held_is_lost(s) || !buf || salvage_get(s, (uint32_t)s->sb.held_root, buf, NULL) < 0 ||
	    superblock_open(&held, buf, s->sb.held_root) != SB_OK)
		return true;
	top = node_of(s, held.mapping_root);
	return top == NONE || s->node[top].flags & (SN_VIRTUAL | SN_BROKEN);
}

/* Was anything put where mappings were missing? */
static bool has_filled(const struct salvage *s)
{
	for (size_t i = 0; i < s->gaps.nr; i++)
		if (gap_at(s, i)->tree == TREE_MAPPING && s->node[gap_at(s, i)->node].nr_edges)
			return true;
	for (size_t i = 0; i < s->nr_devs; i++)
		if (s->dev[i].root_found)
			return true;
	return false;
}

static bool has_gap(const struct salvage *s, uint8_t tree)
{
	for (size_t i = 0; i < s->gaps.nr; i++)
		if (gap_at(s, i)->tree == tree && !s->node[gap_at(s, i)->node].nr_edges)
			return true;
	return false;
}

int salvage_fill_gaps(struct salvage *s, struct err *err)
{
	struct vec orphans = { 0 };
	bool any = false;
	int r = fill_tree(s, TREE_DETAILS, &any, err);

	if (!r)
		r = fill_tree(s, TREE_TOP, &any, err);
	if (!r && any) {
		r = salvage_walk_devices(s, err);
		if (!r)
			r = salvage_join_details(s, err);
		salvage_count_edges(s);
	}
	s->details_lost = has_gap(s, TREE_DETAILS);
	s->top_lost = has_gap(s, TREE_TOP);
	if (!r)
		r = list_orphans(s, TREE_MAPPING, &orphans, err);
	if (!r)
		r = salvage_find_devices(s, &orphans, err);
	if (!r) {
		salvage_count_edges(s);
		r = list_orphans(s, TREE_MAPPING, &orphans, err);
	}
	if (!r)
		r = salvage_fill_mappings(s, &orphans, err);
	if (!r)
		r = salvage_guess_mappings(s, err);
	s->uncertain |= has_filled(s) && held_top_is_lost(s); /* it may have been the snapshot's */
	free(orphans.data);
	return r;
}
