/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Devices of a pool that is being changed, and their mappings.
 *
 * The trees nest: an entry of the top level is the root of a device's tree, whose entries are
 * data blocks.  What counts a reference is an entry in a node, once for each node (doc/format.md,
 * section 6.3), so the types' callbacks carry the counts from one level to the next.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "pool/edit/impl.h"

int edit_begin(struct pool_edit *p, struct err *err)
{
	if (!p->write)
		return err_set(err, -EROFS, "the pool is opened for reading only");
	return tm_trim(p->tm, err);
}

static uint64_t value64(const void *values, uint32_t i)
{
	le64 v;

	memcpy(&v, (const uint8_t *)values + i * sizeof(v), sizeof(v));
	return le64_get(v);
}

static int data_inc(void *ctx, const void *values, uint32_t nr, struct err *err)
{
	struct pool_edit *p = ctx;
	int r = 0;

	for (uint32_t i = 0; !r && i < nr; i++)
		r = sm_edit_inc(&p->data, mapping_block(value64(values, i)), err);
	return r;
}

static int data_dec(void *ctx, const void *values, uint32_t nr, struct err *err)
{
	struct pool_edit *p = ctx;
	uint32_t left;
	int r = 0;

	for (uint32_t i = 0; !r && i < nr; i++) {
		dblock_t b = mapping_block(value64(values, i));

		r = sm_edit_dec(&p->data, b, &left, err);
		if (!r && !left && p->freed && runs_add(p->freed, b, b + 1))
			return err_nomem(err, "freed blocks");
	}
	return r ? r : sm_edit_trim(&p->data, err);
}

/* Do two mappings refer to the same data block?  Their times may differ. */
static bool same_block(const void *a, const void *b)
{
	return mapping_block(value64(a, 0)) == mapping_block(value64(b, 0));
}

static struct btree_type mapping_type(struct pool_edit *p, const char *name)
{
	return (struct btree_type){
		.name = name,
		.value_size = sizeof(le64),
		.inc = data_inc,
		.dec = data_dec,
		.same = same_block,
		.ctx = p,
	};
}

static int tree_inc(void *ctx, const void *values, uint32_t nr, struct err *err)
{
	struct pool_edit *p = ctx;
	int r = 0;

	for (uint32_t i = 0; !r && i < nr; i++)
		r = tm_inc(p->tm, value64(values, i), err);
	return r;
}

static int tree_dec(void *ctx, const void *values, uint32_t nr, struct err *err)
{
	struct pool_edit *p = ctx;
	struct btree_type type = mapping_type(p, "device's mapping tree");
	int r = 0;

	for (uint32_t i = 0; !r && i < nr; i++) {
		struct btree t = { p->tm, &type, value64(values, i) };

		r = btree_release(&t, err);
	}
	return r;
}

void edit_top_type(struct pool_edit *p)
{
	p->top_type = (struct btree_type){
		.name = "top-level mapping tree",
		.value_size = sizeof(le64),
		.inc = tree_inc,
		.dec = tree_dec,
		.ctx = p,
	};
}

static void forget(struct edit_dev *d)
{
	free(d);
}

static void edit_dev_forget(struct pool_edit *p, uint32_t id)
{
	struct edit_dev *d = umap_get_ptr(&p->devs, id);

	if (!d)
		return;
	forget(d);
	umap_del(&p->devs, id);
}

void edit_dev_forget_all(struct pool_edit *p)
{
	uint64_t key, value;

	for (size_t i = 0; (i = umap_next(&p->devs, i, &key, &value));)
		forget((struct edit_dev *)(uintptr_t)value);
	umap_fini(&p->devs);
}

static int no_such_device(uint32_t id, struct err *err)
{
	return err_set(err, -ENOENT, "device %u does not exist; 'thin_ls POOL' lists the devices", id);
}

static int add_dev(struct pool_edit *p, const struct device_info *info, mblock_t root,
		   struct edit_dev **out, struct err *err)
{
	struct edit_dev *d = calloc(1, sizeof(*d));

	if (!d || umap_put(&p->devs, info->dev_id, (uintptr_t)d)) {
		free(d);
		return err_nomem(err, "device");
	}
	d->pool = p;
	d->info = *info;
	snprintf(d->name, sizeof(d->name), "mapping tree of device %u", info->dev_id);
	d->type = mapping_type(p, d->name);
	d->map = (struct btree){ p->tm, &d->type, root };
	*out = d;
	return 0;
}

int edit_dev_get(struct pool_edit *p, uint32_t id, struct edit_dev **out, struct err *err)
{
	struct edit_dev *known = umap_get_ptr(&p->devs, id);
	struct disk_details disk;
	struct device_info info;
	le64 root;
	int r;

	if (known) {
		*out = known;
		return 0;
	}
	r = btree_lookup(&p->details, id, &disk, err);
	if (r == -ENOENT)
		return no_such_device(id, err);
	if (!r)
		r = btree_lookup(&p->top, id, &root, err);
	if (r == -ENOENT)
		return err_set(err, -EUCLEAN,
			       "device %u has details but no mapping tree (run 'thin_check POOL' "
			       "for details)",
			       id);
	if (r)
		return r;
	device_info_decode(&info, id, &disk);
	return add_dev(p, &info, le64_get(root), out, err);
}

int edit_dev_touch(struct pool_edit *p, uint32_t id, struct edit_dev **out, struct err *err)
{
	struct edit_dev *d;
	int r = edit_dev_get(p, id, &d, err);

	if (r)
		return r;
	*out = d;
	p->changed = true;
	if (d->touched)
		return 0;
	r = btree_touch(&p->top, id, err);
	if (r == -ENOENT)
		return err_set(err, -EUCLEAN,
			       "device %u has no mapping tree (run 'thin_check POOL' for details)", id);
	d->touched = !r;
	return r;
}

static int put_details(struct pool_edit *p, struct edit_dev *d, struct err *err)
{
	struct disk_details disk;
	int r;

	device_info_encode(&d->info, &disk);
	r = btree_insert(&p->details, d->info.dev_id, &disk, NULL, err);
	if (!r)
		d->info_changed = false;
	return r;
}

int edit_sync(struct pool_edit *p, struct err *err)
{
	CLEANUP(free_ptr) uint64_t *ids = umap_keys(&p->devs);
	int r = 0;

	if (!ids && p->devs.nr)
		return err_nomem(err, "devices");
	for (size_t i = 0; !r && i < p->devs.nr; i++) {
		struct edit_dev *d = umap_get_ptr(&p->devs, ids[i]);

		if (d->root_changed) {
			le64 root = le64_make(d->map.root);

			r = btree_overwrite(&p->top, ids[i], &root, err);
			d->root_changed = false;
		}
		if (!r && d->info_changed)
			r = put_details(p, d, err);
	}
	return r;
}

static int must_not_exist(struct pool_edit *p, uint32_t id, struct err *err)
{
	struct disk_details disk;
	le64 root;
	int r;

	if (id > MAX_DEV_ID)
		return err_set(err, -EINVAL, "device id %u is too large: ids go up to %u", id,
			       MAX_DEV_ID);
	if (umap_get(&p->devs, id))
		return err_set(err, -EEXIST, "device %u exists already", id);
	r = btree_lookup(&p->details, id, &disk, err);
	if (r == -ENOENT)
		r = btree_lookup(&p->top, id, &root, err);
	if (!r)
		return err_set(err, -EEXIST, "device %u exists already", id);
	return r == -ENOENT ? 0 : r;
}

/* Enters a new device with the tree at @root, whose reference becomes the top level's. */
static int enter(struct pool_edit *p, const struct device_info *info, mblock_t root,
		 struct err *err)
{
	le64 value = le64_make(root);
	struct edit_dev *d;
	int r = btree_insert(&p->top, info->dev_id, &value, NULL, err);

	if (!r)
		r = add_dev(p, info, root, &d, err);
	if (!r)
		r = put_details(p, d, err);
	return r;
}

int edit_create_thin(struct pool_edit *p, uint32_t id, struct err *err)
{
	struct btree t = { .tm = p->tm };
	struct btree_type type = mapping_type(p, "device's mapping tree");
	struct device_info info = {
		.dev_id = id,
		.transaction = p->sb.transaction_id,
		.creation_time = p->sb.time,
		.snap_time = p->sb.time,
	};
	int r = edit_begin(p, err);

	if (!r)
		r = must_not_exist(p, id, err);
	if (r)
		return r;
	p->changed = true;
	t.type = &type;
	r = btree_make(&t, err);
	return r ? r : enter(p, &info, t.root, err);
}

int edit_create_snap(struct pool_edit *p, uint32_t id, uint32_t origin, struct err *err)
{
	struct device_info info;
	struct edit_dev *o;
	int r = edit_begin(p, err);

	if (!r)
		r = must_not_exist(p, id, err);
	if (r)
		return r;
	r = edit_dev_get(p, origin, &o, err);
	if (r == -ENOENT)
		return err_set(err, r, "origin device %u does not exist; 'thin_ls POOL' lists the devices", origin);
	if (!r && p->sb.time >= MAX_TIME)
		return err_set(err, -EINVAL,
			       "the pool's snapshot clock has reached its end (%u): 'thin_dump "
			       "POOL -o FILE' and 'thin_restore -i FILE -o NEW' renumber all "
			       "times",
			       p->sb.time);
	/* Shadow its path first: until then its root may have fewer references than users. */
	if (!r)
		r = edit_dev_touch(p, origin, &o, err);
	if (!r)
		r = tm_inc(p->tm, o->map.root, err);
	if (r)
		return r;
	p->sb.time++;
	o->info.snap_time = p->sb.time;
	o->info_changed = true;
	info = (struct device_info){
		.dev_id = id,
		.mapped_blocks = o->info.mapped_blocks,
		.transaction = p->sb.transaction_id,
		.creation_time = p->sb.time,
		.snap_time = p->sb.time,
	};
	return enter(p, &info, o->map.root, err);
}

int edit_delete(struct pool_edit *p, uint32_t id, struct err *err)
{
	struct edit_dev *d;
	int r = edit_begin(p, err);

	if (!r)
		r = edit_dev_touch(p, id, &d, err);
	if (!r)
		r = edit_sync(p, err);
	if (r)
		return r;
	edit_dev_forget(p, id);
	r = btree_remove(&p->details, id, err);
	if (!r)
		r = btree_remove(&p->top, id, err);
	return r == -ENOENT ? no_such_device(id, err) : r;
}

int edit_device(struct pool_edit *p, uint32_t id, struct device_info *out, struct err *err)
{
	struct edit_dev *d;
	int r = edit_dev_get(p, id, &d, err);

	if (!r)
		*out = d->info;
	return r;
}

struct each_device {
	edit_device_fn *fn;
	void *ctx;
};

static int each_details(void *ctx, uint64_t id, const void *value)
{
	struct each_device *e = ctx;
	struct device_info d;

	device_info_decode(&d, (uint32_t)id, value);
	return e->fn(e->ctx, &d);
}

int edit_each_device(struct pool_edit *p, edit_device_fn *fn, void *ctx, struct err *err)
{
	struct each_device e = { fn, ctx };
	int r = edit_sync(p, err);

	if (!r)
		r = tm_trim(p->tm, err);
	return r ? r : btree_each(&p->details, 0, UINT64_MAX, each_details, &e, err);
}
