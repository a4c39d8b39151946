/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Details that are lost.  They are taken from an older copy of the details tree where there is one: creation
 * time and transaction of a device never change; else they are invented.  snap_time is then the
 * pool's time: above the time of every mapping that another device may share, so the
 * kernel takes too much for shared rather than too little.
 */
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

static void use_older(void *ctx, struct sdevice *d, const struct device_info *then, uint32_t age)
{
	const struct trees *trees = ctx;

	(void)age;
	if (d->source == DETAILS_LIVE || then->transaction > trees->super->sb.transaction_id ||
	    then->snap_time > trees->super->sb.time)
		return;
	if (d->source == DETAILS_INVENTED || is_better(d, &d->info, then))
		d->info = *then;
	d->source = DETAILS_OLDER;
}

int values_complete_details(struct trees *trees, struct err *err)
{
	const struct super *super = trees->super;
	int r;

	if (trees_have_details(trees))
		return 0;
	r = trees_each_older(trees, use_older, trees, err);
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
