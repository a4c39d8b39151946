/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Times that do not protect shared data, or that are later than the pool's clock, are corrected by
 * raising others: the clock to the latest time there is, a device's snapshotted_time above the
 * times of its shared mappings.  Nothing is lost: a mapping that is now older than the last
 * snapshot is copied before it is written to, which at worst is one copy too many.
 *
 * The clock comes first.  It alone is a valid state, and with it each leaf of the details by itself.  A leaf
 * that the held metadata snapshot shares is written in place too: readers of the snapshot do not
 * use the value, and the snapshot's own mappings do not change.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/search.h"
#include "base/vec.h"
#include "pool/check/fix_impl.h"
#include "pool/check/impl.h"
#include "pool/format/pool_info.h"

bool fix_mends(const struct check_result *r)
{
	for (size_t i = 0; i < r->findings.nr; i++) {
		const struct finding *f = &r->findings.f[i];

		if (finding_severity(f) == FINDING_FATAL && f->kind != FOUND_SHARED_TIME &&
		    f->kind != FOUND_MAPPING_TIME && f->kind != FOUND_DEVICE_TIME)
			return false;
	}
	return true;
}

static int by_device(const void *a, const void *b)
{
	const struct raise *x = a, *y = b;

	return x->dev_id < y->dev_id ? -1 : x->dev_id > y->dev_id;
}

int fix_times_plan(struct fix *x)
{
	const struct findings *fs = &x->r->findings;
	uint64_t time = x->r->sb.time;

	for (size_t i = 0; i < fs->nr; i++) {
		const struct finding *f = &fs->f[i];
		struct raise *r;

		if (f->kind < FOUND_MAPPING_TIME || f->kind > FOUND_SHARED_TIME)
			continue;
		time = MAX(time, f->stored + (f->kind == FOUND_SHARED_TIME));
		if (time > x->r->sb.time && time > MAX_TIME - TIME_MARGIN)
			return err_set(x->err, -EINVAL,
				       "nothing was changed: the snapshot clock would come too near its end; %s",
				       finding_hint(f));
		if (f->kind != FOUND_SHARED_TIME)
			continue;
		r = vec_add(x->raise, x->nr_raises, x->cap_raises);
		if (!r)
			return err_nomem(x->err, "devices to repair");
		*r = (struct raise) { fs->dev[f->devs_at], (uint32_t)f->stored + 1 };
	}
	x->time = (uint32_t)time;
	if (x->nr_raises)
		qsort(x->raise, x->nr_raises, sizeof(*x->raise), by_device);
	return 0;
}

static int raise_clock(struct fix *x)
{
	struct disk_superblock *d = (struct disk_superblock *)x->buf;
	int r = fix_read_block(x, 0, SALT_SUPERBLOCK);

	if (r || le32_get(d->time) >= x->time)
		return r;
	d->time = le32_make(x->time);
	x->rep->time = x->time;
	r = fix_write_block(x, 0, SALT_SUPERBLOCK);
	return r ? r : io_flush(x->io, x->err);
}

/* Raises the devices of one leaf of the details tree. */
static int raise_leaf(struct fix *x, mblock_t at)
{
	uint64_t nr = 0;
	struct node n;
	int r = fix_read_block(x, at, SALT_NODE);

	if (r)
		return r;
	if (node_open(&n, x->buf, at, sizeof(struct disk_details)) || !n.leaf)
		return err_set(x->err, -EUCLEAN, FIX_BLOCK_CHANGED,
			       (unsigned long long)at);
	for (uint32_t i = 0; i < n.nr; i++) {
		uint8_t *value = x->buf + ((const uint8_t *)node_value(&n, i) - x->buf);
		uint64_t id = node_key(&n, i);
		size_t k = search_first(j, x->nr_raises, x->raise[j].dev_id >= id);
		struct disk_details disk;
		struct device_info info;

		if (k == x->nr_raises || x->raise[k].dev_id != id)
			continue;
		device_info_decode(&info, (uint32_t)id, value);
		if (info.snap_time >= x->raise[k].snap_time)
			continue;
		info.snap_time = x->raise[k].snap_time;
		device_info_encode(&info, &disk);
		memcpy(value, &disk, sizeof(disk));
		nr++;
	}
	x->rep->nr_raised += nr;
	return nr ? fix_write_block(x, at, SALT_NODE) : 0;
}

int fix_times(struct fix *x)
{
	CLEANUP(free_ptr) mblock_t *list = NULL;
	size_t nr = 0;
	int r = raise_clock(x);

	if (!r && x->nr_raises)
		r = fix_list_leaves(x, x->r->sb.details_root, sizeof(struct disk_details), &list, &nr);
	for (size_t i = 0; i < nr && !r; i++)
		r = raise_leaf(x, list[i]);
	return r || !x->rep->nr_raised ? r : io_flush(x->io, x->err);
}
