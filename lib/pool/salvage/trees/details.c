/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * The details of each device.  They are joined with the top level by id, never by position.
 * Lost ones are taken from an older copy of the details tree where there is one: creation time and
 * transaction of a device never change; else they are invented.  snap_time is then the
 * pool's time: above the time of every mapping that another device may share, so the
 * kernel takes too much for shared rather than too little.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/search.h"
#include "pool/salvage/impl.h"

static int by_id(const void *pa, const void *pb)
{
	const struct device_info *a = pa, *b = pb;

	return a->dev_id < b->dev_id ? -1 : a->dev_id > b->dev_id;
}

static int read_leaf(struct salvage *s, uint32_t node, struct vec *out, void *buf, struct err *err)
{
	struct view v;
	int r = salvage_get(s, s->node[node].block, buf, err);

	if (r < 0)
		return r;
	if (!view_open(&v, buf) || v.value_size != sizeof(struct disk_details))
		return 0;
	for (uint32_t i = 0; i < v.nr; i++) {
		struct device_info *info;
		uint64_t id = view_key(&v, i);

		if (id > MAX_DEV_ID)
			continue;
		info = vec_push(out, sizeof(*info));
		if (!info)
			return err_nomem(err, "salvage: device details");
		device_info_decode(info, (uint32_t)id,
				   v.values + (size_t)i * sizeof(struct disk_details));
	}
	return 0;
}

static int read_tree(struct salvage *s, uint32_t node, struct vec *out, void *buf, unsigned depth,
		     struct err *err)
{
	const struct snode *n = &s->node[node];
	int r = 0;

	if (n->flags & SN_LEAF)
		return n->tree == TREE_DETAILS ? read_leaf(s, node, out, buf, err) : 0;
	for (uint32_t k = 0; k < n->nr_edges && !r && depth < BTREE_MAX_DEPTH; k++)
		if (s->edge[n->edge + k].node != NONE)
			r = read_tree(s, s->edge[n->edge + k].node, out, buf, depth + 1, err);
	return r;
}

int salvage_read_details(struct salvage *s, uint32_t node, struct vec *out, struct err *err)
{
	CLEANUP(free_ptr) void *buf = salvage_noted(s, io_alloc(MBLOCK_SIZE));
	int r;

	if (!buf)
		return err_nomem(err, "salvage: a block");
	r = read_tree(s, node, out, buf, 0, err);
	s->no_memory |= r == -ENOMEM;
	if (out->nr)
		qsort(out->data, out->nr, sizeof(struct device_info), by_id);
	return r;
}

/* Joins what the details say with the devices of the top level. */
static int merge(struct salvage *s, const struct vec *details, struct err *err)
{
	const struct device_info *info = details->data;
	struct sdevice *out = NULL, *d;
	size_t nr = 0, cap = 0, i = 0, k = 0;

	while (i < s->nr_devs || k < details->nr) {
		bool top = i < s->nr_devs && (k >= details->nr ||
					      s->dev[i].info.dev_id <= info[k].dev_id);

		if (!top && nr && out[nr - 1].info.dev_id == info[k].dev_id) {
			k++; /* the same id twice: the details tree was put together from pieces */
			continue;
		}
		d = vec_add(out, nr, cap);
		if (!d) {
			free(out);
			return err_nomem(err, "salvage: list of devices");
		}
		if (top) {
			*d = s->dev[i++];
			if (k < details->nr && info[k].dev_id == d->info.dev_id) {
				d->info = info[k++];
				d->source = DETAILS_LIVE;
			}
		} else {
			*d = (struct sdevice){ .info = info[k++], .root_block = NONE, .root = NONE,
					       .source = DETAILS_LIVE };
		}
	}
	free(s->dev);
	s->dev = out;
	s->nr_devs = nr;
	s->cap_devs = cap;
	return 0;
}

int salvage_join_details(struct salvage *s, struct err *err)
{
	struct vec details = { 0 };
	int r = salvage_read_details(s, s->details_root, &details, err);

	if (!r)
		r = merge(s, &details, err);
	free(details.data);
	return r;
}

struct sdevice *salvage_find_device(const struct salvage *s, uint32_t id)
{
	size_t at = search_first(i, s->nr_devs, s->dev[i].info.dev_id >= id);

	return at < s->nr_devs && s->dev[at].info.dev_id == id ? &s->dev[at] : NULL;
}

int salvage_insert_device(struct salvage *s, const struct sdevice *device, struct err *err)
{
	struct sdevice *end = vec_add(s->dev, s->nr_devs, s->cap_devs);
	size_t i = s->nr_devs - 1;

	if (!end)
		return err_nomem(err, "salvage: list of devices");
	for (; i && s->dev[i - 1].info.dev_id > device->info.dev_id; i--)
		s->dev[i] = s->dev[i - 1];
	s->dev[i] = *device;
	return 0;
}

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

static int use_older_details(struct salvage *s, struct err *err)
{
	CLEANUP(free_ptr) void *buf = io_alloc(MBLOCK_SIZE);
	struct vec details = { 0 };
	int r = 0;

	if (!buf)
		return err_nomem(err, "salvage: a block");
	for (uint32_t i = 0; i < s->nr_nodes && !r; i++) {
		const struct snode *n = &s->node[i];
		const struct device_info *info;

		if (n->tree != TREE_DETAILS || !(n->flags & SN_LEAF) || n->flags & SN_LIVE)
			continue;
		details.nr = 0;
		r = read_leaf(s, i, &details, buf, err);
		info = details.data;
		for (size_t k = 0; k < details.nr; k++) {
			struct sdevice *d = salvage_find_device(s, info[k].dev_id);

			if (!d || d->source == DETAILS_LIVE ||
			    info[k].transaction > s->sb.transaction_id ||
			    info[k].snap_time > s->sb.time)
				continue;
			if (d->source == DETAILS_INVENTED || is_better(d, &d->info, &info[k]))
				d->info = info[k];
			d->source = DETAILS_OLDER;
		}
	}
	free(details.data);
	return r;
}

int salvage_complete_details(struct salvage *s, struct err *err)
{
	bool missing = false;
	int r;

	for (size_t i = 0; i < s->nr_devs; i++)
		missing |= s->dev[i].source != DETAILS_LIVE;
	if (!missing)
		return 0;
	r = use_older_details(s, err);
	for (size_t i = 0; i < s->nr_devs && !r; i++) {
		struct sdevice *d = &s->dev[i];

		if (d->source == DETAILS_LIVE)
			continue;
		d->info.mapped_blocks = d->nr_mappings;
		if (d->source == DETAILS_INVENTED) {
			d->info.transaction = s->sb.transaction_id;
			d->info.creation_time = s->sb.time;
		}
		d->info.snap_time = s->sb.time;
	}
	return r;
}
