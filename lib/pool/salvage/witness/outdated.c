/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Older copies.  A node may have been replaced by an older copy of itself.  Then a device lacks mappings though its
 * tree looks whole, and what the older copy did not have yet is left without a parent.  Or all nodes are older than
 * the superblock; their times tell.
 */
#include "pool/salvage/witness/outdated.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/overflow.h"

/*
 * Devices times orphans, of which a pool with a damage has few, and a disk made to cost time many.  Beyond that older copies
 * stay, and the devices that lack mappings are told.
 */
#define MAX_LOOKS ((size_t)50 << 20)

/*
 * Where in the tree at @root an orphan should hang: the node that would be its parent, or a root that is too low for
 * one.  NONE: in a part that is lost.
 */
static uint32_t host_of(const struct salvage *s, uint32_t root, const struct snode *orphan)
{
	uint32_t i = root;

	for (unsigned depth = 0; i != NONE && depth < BTREE_MAX_DEPTH; depth++) {
		const struct snode *n = &s->node[i];
		uint32_t e;

		if (n->flags & SN_VIRTUAL)
			return NONE;
		if (n->flags & SN_LEAF || n->height <= orphan->height + 1)
			return i;
		e = edge_for(s, n, orphan->first);
		if (e == NONE)
			return i;
		i = s->edge[e].node;
	}
	return NONE;
}

static bool knows_children(const struct salvage *s, const struct snode *n)
{
	for (uint32_t k = 0; k < n->nr_edges; k++)
		if (!witness_knows(s, s->edge[n->edge + k].block))
			return false;
	return true;
}

/* The nodes of mappings that are in use and have fewer parents than the metadata map counts.  Returns how many. */
static size_t find_orphans(const struct salvage *s, uint32_t *list)
{
	size_t nr = 0;

	for (uint32_t i = 0; i < s->nr_nodes; i++) {
		const struct snode *n = &s->node[i];

		if (n->tree == TREE_MAPPING && !(n->flags & SN_VIRTUAL) && n->nr_mappings &&
		    witness_knows(s, n->block) && s->count[n->block] > s->found[n->block])
			list[nr++] = i;
	}
	return nr;
}

int deny_outdated(struct salvage *s, const uint8_t *vouched)
{
	CLEANUP(free_ptr) uint8_t *memo = calloc((size_t)s->nr_nodes + 1, 1);
	CLEANUP(free_ptr) uint32_t *orphan = calloc((size_t)s->nr_nodes + 1, sizeof(*orphan));
	size_t nr, looks = 0;

	if (!memo || !orphan)
		return -ENOMEM;
	nr = find_orphans(s, orphan);
	for (size_t k = 0; nr && k < s->nr_devs && looks < MAX_LOOKS; k++) {
		const struct sdevice *d = &s->dev[k];
		uint64_t have = d->root == NONE ? 0 : s->node[d->root].nr_mappings;

		if (d->root == NONE || d->source != DETAILS_LIVE || d->root_given ||
		    have >= d->info.mapped_blocks || salvage_has_holes(s, d->root, memo, 0))
			continue;
		looks += nr;
		for (size_t i = 0; i < nr; i++) {
			const struct snode *n = &s->node[orphan[i]];
			uint32_t host = n->nr_mappings > d->info.mapped_blocks - have ?
						NONE :
						host_of(s, d->root, n);

			if (host != NONE && !vouched[host] && knows_children(s, &s->node[host]))
				s->node[host].flags |= SN_DENIED;
		}
	}
	return 0;
}

/* By block: how many nodes of the top level and of trees whose number of mappings is right name it. */
static void count_vouched(const struct salvage *s, const uint8_t *vouched, uint32_t *nr)
{
	for (uint32_t i = 0; i < s->nr_nodes; i++) {
		const struct snode *n = &s->node[i];

		for (uint32_t k = 0; k < n->nr_edges; k++) {
			uint32_t b = s->edge[n->edge + k].block;

			nr[MIN(b, s->nr_blocks)] +=
				vouched[i] || (n->tree == TREE_TOP && n->flags & SN_LIVE);
		}
	}
}

/* Does it name a block that has as many parents as the metadata map counts, without it? */
static bool is_surplus(const struct salvage *s, const struct snode *n, const uint32_t *nr)
{
	for (uint32_t k = 0; k < n->nr_edges; k++) {
		uint32_t b = s->edge[n->edge + k].block;

		if (witness_knows(s, b) && s->found[b] > s->count[b] && nr[b] >= s->count[b])
			return true;
	}
	return false;
}

int deny_surplus(struct salvage *s, const uint8_t *vouched)
{
	CLEANUP(free_ptr) uint32_t *nr = calloc((size_t)s->nr_blocks + 1, sizeof(*nr));

	if (!nr)
		return -ENOMEM;
	count_vouched(s, vouched, nr);
	for (uint32_t i = 0; i < s->nr_nodes; i++) {
		struct snode *n = &s->node[i];

		if (n->flags & SN_LIVE && !(n->flags & (SN_VIRTUAL | SN_LEAF)) &&
		    n->tree == TREE_MAPPING && !vouched[i] && is_surplus(s, n, nr))
			n->flags |= SN_DENIED;
	}
	return 0;
}

uint32_t nr_younger(const struct salvage *s)
{
	uint32_t nr = 0;

	for (size_t i = 0; i < s->nr_devs; i++)
		nr += s->dev[i].source == DETAILS_LIVE &&
		      s->dev[i].info.transaction > s->sb.transaction_id;
	return nr;
}

uint32_t nr_shared_roots(const struct salvage *s)
{
	const struct superblock *sb = &s->sb;
	const uint64_t root[] = { sb->data_sm.bitmap_root, sb->data_sm.ref_count_root,
				  sb->metadata_sm.bitmap_root, sb->metadata_sm.ref_count_root };
	uint32_t nr = 0;

	for (size_t i = 0; i < ARRAY_SIZE(root); i++) {
		uint32_t n = root[i] ? node_of(s, root[i]) : NONE;

		nr += n != NONE && s->node[n].flags & SN_LIVE && !(s->node[n].flags & SN_VIRTUAL);
	}
	return nr;
}

uint32_t newest_time(const struct salvage *s)
{
	uint32_t time = 0;

	for (size_t i = 0; i < s->nr_devs; i++)
		if (s->dev[i].source == DETAILS_LIVE)
			time = MAX(time, MAX(s->dev[i].info.creation_time, s->dev[i].info.snap_time));
	return time;
}

/* Is it the same device, after a snapshot of it that the superblock's state has and the present trees have not? */
static bool was_snapped_since(const struct salvage *s, const struct device_info *then, uint32_t newest)
{
	const struct sdevice *d = salvage_find_device(s, then->dev_id);

	return d && d->source == DETAILS_LIVE && d->info.creation_time == then->creation_time &&
	       d->info.transaction == then->transaction && then->snap_time > newest &&
	       then->snap_time <= s->sb.time;
}

/* Has each device the number of mappings that its details say?  If not, the details alone are older. */
static bool details_fit(const struct salvage *s)
{
	for (size_t i = 0; i < s->nr_devs; i++) {
		const struct sdevice *d = &s->dev[i];

		if (d->source != DETAILS_LIVE || d->root == NONE ||
		    s->node[d->root].nr_mappings != d->info.mapped_blocks)
			return false;
	}
	return true;
}

/* A tree without mappings that the metadata map has in use, and no top level names. */
static bool is_nameless(const struct salvage *s, const struct snode *n)
{
	return n->tree == TREE_EMPTY && !(n->flags & SN_VIRTUAL) && witness_knows(s, n->block) &&
	       s->count[n->block] > s->found[n->block];
}

bool has_newer_details(struct salvage *s)
{
	uint32_t newest = newest_time(s);
	struct vec details = { 0 };
	bool found = false;

	if (!details_fit(s))
		return false;
	for (uint32_t i = 0; i < s->nr_nodes && !found; i++) {
		const struct device_info *d;

		found = newest < s->sb.time && is_nameless(s, &s->node[i]);
		if (s->node[i].tree != TREE_DETAILS || !(s->node[i].flags & SN_LEAF) ||
		    s->node[i].flags & (SN_LIVE | SN_VIRTUAL))
			continue;
		details.nr = 0;
		(void)salvage_read_details(s, i, &details, NULL);
		d = details.data;
		for (size_t k = 0; k < details.nr; k++)
			found |= was_snapped_since(s, &d[k], newest);
	}
	free(details.data);
	return found;
}
