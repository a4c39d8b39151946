/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * The device lists and the mapping trees of all devices, the live ones first and then
 * what the held metadata snapshot adds.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/search.h"
#include "pool/check/impl.h"
#include "pool/forest/suspects.h"

/* --- mapping trees --- */

static int devices_init(struct check *c, size_t nr_roots)
{
	unsigned nr_workers = stream_nr_workers(&c->stream);

	c->map_worker = aligned_alloc(64, nr_workers * sizeof(*c->map_worker));
	if (c->map_worker)
		memset(c->map_worker, 0, nr_workers * sizeof(*c->map_worker));
	c->leaf_count = calloc(c->nr_blocks + 1, sizeof(*c->leaf_count));
	if (nr_roots > 1) {
		c->leaf_time = calloc(c->nr_blocks + 1, sizeof(*c->leaf_time));
		c->candidate = suspects_new(c->nr_data);
	}
	if (!c->map_worker || !c->leaf_count || (nr_roots > 1 && (!c->leaf_time || !c->candidate)))
		return err_nomem(c->err, "counts of data blocks");
	c->devices = check_walk(c, AREA_DEVICE, 8, check_take_leaf, c);
	return c->devices ? 0 : -ENOMEM;
}

/* The snapshotted_time of a device in the top level; without details no time is too late. */
static uint32_t snap_time_of(const struct view *v, uint64_t id)
{
	size_t at = search_first(i, v->nr, v->dev[i].id >= id);

	return at < v->nr && v->dev[at].id == id && v->dev[at].has_details ? v->dev[at].snap_time
									   : UINT32_MAX;
}

/* Walks the mapping trees that the top level has from entry list[nr_known..] on. */
static int walk_devices(struct check *c, const struct view *v, const struct list_entry *e,
			size_t nr)
{
	CLEANUP(free_ptr) struct walk_root *root = malloc((nr + 1) * sizeof(*root));
	int r;

	if (!root)
		return err_nomem(c->err, "list of devices");
	r = check_counts_begin(c);
	if (r)
		return r;
	for (size_t i = 0; i < nr; i++)
		root[i] = (struct walk_root) { e[i].root, snap_time_of(v, e[i].key) };
	r = walk_add(c->devices, root, nr, c->err);
	return r ? r : check_counts_end(c);
}

static void check_mapped(struct check *c, const struct view *v)
{
	for (size_t i = 0; i < v->nr; i++) {
		const struct device *d = &v->dev[i];
		uint64_t sum;

		if (!d->has_root || !d->has_details || d->damaged)
			continue;
		sum = walk_sum(c->devices, d->root, c->leaf_count);
		if (sum != d->mapped)
			check_found_device(c, v, FOUND_MAPPED_BLOCKS, d, d->mapped, sum);
	}
}

/* Live trees (or, with snap, the held ones in their place). */
static int check_first_view(struct check *c, struct view *v)
{
	int r;

	r = check_list_init(c, &c->top, AREA_TOP_LEVEL, 8);
	if (!r)
		r = check_list_init(c, &c->details, AREA_DETAILS, sizeof(struct disk_details));
	if (!r)
		r = check_list_add(c, &c->top, v->mapping_root);
	if (!r)
		r = check_list_add(c, &c->details, v->details_root);
	if (!r)
		r = check_view_make(c, v);
	if (r || c->opt->skip_mappings)
		return r;
	r = devices_init(c, c->top.nr);
	if (!r)
		r = walk_devices(c, v, c->top.e, c->top.nr);
	return r ? r : check_times(c);
}

static int by_leaf_known(const struct list_entry *known, size_t nr, const struct list_entry *e)
{
	return nr && bsearch(e, known, nr, sizeof(*e), check_by_key) != NULL;
}

/* What the held snapshot adds to the live trees. */
static int check_held_view(struct check *c)
{
	CLEANUP(free_ptr) struct list_entry *known = NULL;
	size_t nr = c->top.nr, added = 0;
	struct list_entry *fresh;
	int r;

	known = malloc((nr + 1) * sizeof(*known));
	if (!known)
		return err_nomem(c->err, "list of devices");
	memcpy(known, c->top.e, nr * sizeof(*known));
	r = check_list_add(c, &c->top, c->held.mapping_root);
	if (!r)
		r = check_list_add(c, &c->details, c->held.details_root);
	if (!r)
		r = check_view_make(c, &c->held);
	if (r || c->opt->skip_mappings)
		return r;
	fresh = malloc((c->top.nr + 1) * sizeof(*fresh));
	if (!fresh)
		return err_nomem(c->err, "list of devices");
	for (size_t i = 0; i < c->top.nr; i++)
		if (!by_leaf_known(known, nr, &c->top.e[i]))
			fresh[added++] = c->top.e[i];
	r = walk_devices(c, &c->held, fresh, added);
	free(fresh);
	return r;
}

int check_trees(struct check *c)
{
	struct view *first = c->opt->snap ? &c->held : &c->live;
	int r;

	if (c->opt->snap && !c->held.held)
		return 0; /* the finding is there */
	if (c->opt->has_mapping_root)
		first->mapping_root = c->opt->mapping_root;
	if (c->opt->has_details_root)
		first->details_root = c->opt->details_root;
	r = check_first_view(c, first);
	if (!r && c->held.held && first != &c->held)
		r = check_held_view(c);
	if (r)
		return r;
	check_walk_findings(c, c->top.walk, AREA_TOP_LEVEL, first->held);
	check_walk_findings(c, c->details.walk, AREA_DETAILS, first->held);
	c->out->nr_devices = first->nr;
	if (!c->devices)
		return 0;
	r = check_device_findings(c);
	if (r)
		return r;
	check_walk_findings(c, c->devices, AREA_DEVICE, first->held);
	check_mapped(c, first);
	if (first != &c->held)
		check_mapped(c, &c->held);
	for (unsigned i = 0; i < stream_nr_workers(&c->stream); i++)
		c->out->nr_mappings += c->map_worker[i].nr_mappings;
	return refmap_failed(c->data) ? err_nomem(c->err, "counts of data blocks") : 0;
}

void check_trees_fini(struct check *c)
{
	check_list_fini(c, &c->top);
	check_list_fini(c, &c->details);
	walk_free(c->devices);
	check_counts_drop(c);
	for (unsigned i = 0; c->map_worker && i < stream_nr_workers(&c->stream); i++)
		free(c->map_worker[i].issue);
	free(c->map_worker);
	free(c->leaf_count);
	free(c->leaf_time);
	free(c->candidate);
	free(c->live.dev);
	free(c->held.dev);
}
