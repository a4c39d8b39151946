/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Details that are lost.  They are taken from an older copy of the details tree where there is one: creation
 * time and transaction of a device never change; else they are invented.  snap_time is then the
 * pool's time: above the time of every mapping that another device may share, so the
 * kernel takes too much for shared rather than too little.
 */
#include <stdlib.h>

#include "base/cleanup.h"
#include "pool/salvage/values/values.h"

/* Is the older entry @b of the same device a better one than @a? */
static bool is_better(const struct sdevice *d, const struct device_info *a,
		      const struct device_info *b)
{
	bool ma = a->mapped_blocks == d->nr_mappings, mb = b->mapped_blocks == d->nr_mappings;

	if (a->creation_time != b->creation_time || a->transaction != b->transaction)
		return b->transaction > a->transaction || b->creation_time > a->creation_time;
	if (ma != mb)
		return mb;
	return b->snap_time >= a->snap_time;
}

static int use_older_details(struct trees *trees, struct err *err)
{
	struct graph *g = trees->graph;
	struct vec details = { 0 };
	int r = 0;

	for (uint32_t i = 0; i < g->nr_nodes && !r; i++) {
		const struct snode *n = &g->node[i];
		const struct device_info *info;

		if (n->tree != TREE_DETAILS || !(n->flags & SN_LEAF) || n->flags & SN_LIVE)
			continue;
		details.nr = 0;
		r = details_read(g, i, &details, err);
		info = details.data;
		for (size_t k = 0; k < details.nr; k++) {
			struct sdevice *d = trees_find_device(trees, info[k].dev_id);

			if (!d || d->source == DETAILS_LIVE ||
			    info[k].transaction > trees->super->sb.transaction_id ||
			    info[k].snap_time > trees->super->sb.time)
				continue;
			if (d->source == DETAILS_INVENTED || is_better(d, &d->info, &info[k]))
				d->info = info[k];
			d->source = DETAILS_OLDER;
		}
	}
	free(details.data);
	return r;
}

int values_complete_details(struct trees *trees, struct err *err)
{
	const struct super *super = trees->super;
	bool missing = false;
	int r;

	for (size_t i = 0; i < trees->nr_devs; i++)
		missing |= trees->dev[i].source != DETAILS_LIVE;
	if (!missing)
		return 0;
	r = use_older_details(trees, err);
	for (size_t i = 0; i < trees->nr_devs && !r; i++) {
		struct sdevice *d = &trees->dev[i];

		if (d->source == DETAILS_LIVE)
			continue;
		d->info.mapped_blocks = d->nr_mappings;
		if (d->source == DETAILS_INVENTED) {
			d->info.transaction = super->sb.transaction_id;
			d->info.creation_time = super->sb.time;
		}
		d->info.snap_time = super->sb.time;
	}
	return r;
}
