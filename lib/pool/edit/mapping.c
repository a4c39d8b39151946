/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Mappings and data blocks of a pool that is being changed. */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "pool/edit/impl.h"

static struct mapping unpack(const struct edit_dev *d, const void *value)
{
	le64 v;
	uint32_t time;

	memcpy(&v, value, sizeof(v));
	time = mapping_time(le64_get(v));
	return (struct mapping){ mapping_block(le64_get(v)), time,
				 d->info.snap_time > time };
}

int edit_lookup(struct pool_edit *p, uint32_t id, vblock_t v, struct mapping *out,
		struct err *err)
{
	struct edit_dev *d;
	le64 value;
	int r = edit_dev_get(p, id, &d, err);

	if (!r)
		r = tm_trim(p->tm, err);
	if (!r)
		r = btree_lookup(&d->map, v, &value, err);
	if (r)
		return r;
	*out = unpack(d, &value);
	if (out->block >= p->data.nr_blocks)
		return err_set(err, -EUCLEAN,
			       "device %u: block %llu is mapped to data block %llu, beyond the "
			       "pool's %llu (run 'thin_check POOL' for details)",
			       id, (unsigned long long)v, (unsigned long long)out->block,
			       (unsigned long long)p->data.nr_blocks);
	return 0;
}

struct each {
	struct edit_dev *dev;
	edit_mapping_fn *fn;
	void *ctx;
};

static int each_value(void *ctx, uint64_t key, const void *value)
{
	struct each *e = ctx;
	struct mapping m = unpack(e->dev, value);

	return e->fn(e->ctx, key, &m);
}

int edit_each_mapping(struct pool_edit *p, uint32_t id, vblock_t begin, vblock_t end,
		      edit_mapping_fn *fn, void *ctx, struct err *err)
{
	struct each e = { .fn = fn, .ctx = ctx };
	int r = edit_dev_get(p, id, &e.dev, err);

	if (!r)
		r = tm_trim(p->tm, err);
	return r ? r : btree_each(&e.dev->map, begin, end, each_value, &e, err);
}

int edit_mapped_end(struct pool_edit *p, uint32_t id, vblock_t *end, struct err *err)
{
	struct edit_dev *d;
	uint64_t last;
	int r = edit_dev_get(p, id, &d, err);

	if (r)
		return r;
	r = btree_last_key(&d->map, &last, err);
	*end = r ? 0 : last + 1;
	if (!r && !*end)
		return err_set(err, -EUCLEAN, "device %u has mappings at impossible offsets", id);
	return r == -ENOENT ? 0 : r;
}

int edit_alloc_data(struct pool_edit *p, dblock_t *block, struct err *err)
{
	int r = edit_begin(p, err);

	if (r)
		return r;
	p->changed = true;
	return sm_edit_alloc(&p->data, block, err);
}

int edit_free_data(struct pool_edit *p, dblock_t block, struct err *err)
{
	uint32_t left;

	return sm_edit_dec(&p->data, block, &left, err);
}

int edit_map(struct pool_edit *p, uint32_t id, vblock_t v, dblock_t block, struct err *err)
{
	le64 value = le64_make(mapping_pack(block, p->sb.time));
	struct edit_dev *d;
	bool inserted;
	int r = edit_begin(p, err);

	if (!r && p->sb.time > MAX_TIME)
		r = err_set(err, -EUCLEAN,
			    "the pool's snapshot clock is past its end (%u): 'thin_dump POOL -o "
			    "FILE' and 'thin_restore -i FILE -o NEW' renumber all times",
			    p->sb.time);
	if (!r)
		r = edit_dev_touch(p, id, &d, err);
	if (r)
		return r;
	d->root_changed = true;
	r = btree_insert(&d->map, v, &value, &inserted, err);
	if (!r && inserted) {
		d->info.mapped_blocks++;
		d->info_changed = true;
	}
	return r;
}

int edit_unmap(struct pool_edit *p, uint32_t id, vblock_t begin, vblock_t end, uint64_t *nr,
	       struct err *err)
{
	struct edit_dev *d;
	uint64_t removed, first;
	le64 value;
	int r = edit_begin(p, err);

	if (nr)
		*nr = 0;
	if (!r)
		r = edit_dev_get(p, id, &d, err);
	if (!r)
		r = btree_lookup_next(&d->map, begin, &first, &value, err);
	if (r == -ENOENT && !umap_get(&p->devs, id))
		return r;
	if (r == -ENOENT || (!r && first >= end))
		return 0;
	if (!r)
		r = edit_dev_touch(p, id, &d, err);
	if (r)
		return r;
	d->root_changed = true;
	r = btree_remove_range(&d->map, begin, end, &removed, err);
	d->info.mapped_blocks -= MIN(removed, d->info.mapped_blocks);
	d->info_changed = true;
	if (nr)
		*nr = removed;
	return r;
}

void edit_collect_freed(struct pool_edit *p, struct runs *freed)
{
	p->freed = freed;
}

int edit_data_count(struct pool_edit *p, dblock_t block, uint32_t *count, struct err *err)
{
	return sm_edit_count(&p->data, block, count, err);
}
