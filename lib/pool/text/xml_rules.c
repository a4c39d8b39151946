/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "pool/text/xml_rules.h"

#include <errno.h>
#include <stdlib.h>

#include "base/vec.h"

static const struct xml_def *defs_find(const struct xml_defs *d, uint64_t name)
{
	uint64_t at = umap_get(&d->by_name, name);

	return at ? &d->def[at - 1] : NULL;
}

/* There must be no def named @name yet. */
static int defs_add(struct xml_defs *d, uint64_t name, const struct xml_def *def)
{
	struct xml_def *new = vec_add(d->def, d->nr, d->cap);

	if (!new)
		return -ENOMEM;
	*new = *def;
	return umap_put(&d->by_name, name, d->nr);
}

int rules_init(struct xml_rules *r, const struct events *to, struct err *err)
{
	r->to = to;
	r->err = err;
	r->seen = calloc((MAX_DEV_ID + 1) / 8, 1);
	return r->seen ? 0 : err_nomem(err, "set of device ids");
}

void rules_fini(struct xml_rules *r)
{
	umap_fini(&r->defs.by_name);
	free(r->defs.def);
	free(r->seen);
}

/* Marks that what err_set() just returned is a broken rule. */
static int broken(struct xml_rules *r, int code)
{
	r->broken = true;
	return code;
}

#define BROKEN(r, ...) broken((r), err_set((r)->err, -EINVAL, __VA_ARGS__))
#define SEND(r, ev, ...) ((r)->to->ops->ev((r)->to->ctx, ##__VA_ARGS__, (r)->err))

static int send_batch(struct xml_rules *r)
{
	size_t nr = r->nr;

	r->nr = 0;
	return nr ? SEND(r, runs, r->batch, nr) : 0;
}

int rules_begin_pool(struct xml_rules *r, const struct pool_info *p,
		     const struct pool_overrides *o)
{
	r->pool = *p;
	if (o)
		pool_overrides_apply(o, &r->pool);
	p = &r->pool;
	if (!data_block_size_ok(p->data_block_size))
		return BROKEN(r,
			      "data block size of %u sectors: it must be a multiple of %d sectors "
			      "from %d to %d",
			      p->data_block_size, DATA_BLOCK_SECTORS_MIN, DATA_BLOCK_SECTORS_MIN,
			      DATA_BLOCK_SECTORS_MAX);
	if (p->time > MAX_TIME)
		return BROKEN(r, "time %u does not fit into the 24 bits of a mapping's time",
			      p->time);
	if (p->nr_data_blocks > MAX_NR_DATA_BLOCKS)
		return BROKEN(r, "nr_data_blocks %llu does not fit into 40 bits",
			      (unsigned long long)p->nr_data_blocks);
	return SEND(r, begin_pool, p);
}

int rules_begin_device(struct xml_rules *r, const struct device_info *d)
{
	uint8_t bit = (uint8_t)(1u << d->dev_id % 8);

	if (d->dev_id > MAX_DEV_ID)
		return BROKEN(r, "device id %u does not fit into 24 bits", d->dev_id);
	if (r->seen[d->dev_id / 8] & bit)
		return BROKEN(r, "device %u is defined twice", d->dev_id);
	r->seen[d->dev_id / 8] |= bit;
	if (d->creation_time > r->pool.time || d->snap_time > r->pool.time)
		return BROKEN(r, "device %u: %s %u is later than the pool's time %u", d->dev_id,
			      d->snap_time > r->pool.time ? "snap_time" : "creation_time",
			      MAX(d->snap_time, d->creation_time), r->pool.time);
	r->next = 0;
	return SEND(r, begin_device, d);
}

int rules_end_device(struct xml_rules *r)
{
	int e = send_batch(r);

	return e < 0 ? e : SEND(r, end_device);
}

int rules_begin_def(struct xml_rules *r, uint64_t name)
{
	if (defs_find(&r->defs, name))
		return BROKEN(r, "this <def> is defined twice");
	r->def_name = name;
	r->def_empty = true;
	r->def_begin = 0;
	r->next = 0;
	return SEND(r, begin_def, name);
}

/* The first run of a def is still in the batch, or rules_run_slow() has kept where it began. */
static void note_def_begin(struct xml_rules *r)
{
	if (r->def_empty && r->nr) {
		r->def_begin = r->batch[0].vbegin;
		r->def_empty = false;
	}
}

int rules_end_def(struct xml_rules *r)
{
	struct xml_def def;
	int e;

	note_def_begin(r);
	def = (struct xml_def){ r->def_begin, r->next };
	e = send_batch(r);
	if (e < 0)
		return e;
	if (defs_add(&r->defs, r->def_name, &def) < 0)
		return err_nomem(r->err, "table of shared parts");
	return SEND(r, end_def);
}

int rules_ref(struct xml_rules *r, uint64_t name)
{
	const struct xml_def *def = defs_find(&r->defs, name);
	int e;

	if (!def)
		return BROKEN(r, "<ref> to a <def> that is not defined before it");
	if (def->begin < def->end && def->begin < r->next)
		return BROKEN(r,
			      "the <def> of this <ref> begins at virtual block %llu, but block "
			      "%llu is already mapped: keys must ascend and not overlap",
			      (unsigned long long)def->begin, (unsigned long long)(r->next - 1));
	if (def->begin < def->end)
		r->next = def->end;
	e = send_batch(r);
	return e < 0 ? e : SEND(r, ref, name);
}

int rules_end_pool(struct xml_rules *r)
{
	return SEND(r, end_pool);
}

int rules_run_slow(struct xml_rules *r, const struct run *run)
{
	unsigned long long v = run->vbegin, d = run->dbegin, len = run->len;
	vblock_t end;
	int e;

	if (!len)
		return 0;
	if (run->vbegin < r->next)
		return BROKEN(r,
			      "mapping of virtual block %llu after block %llu: keys must ascend and "
			      "not overlap",
			      v, (unsigned long long)(r->next - 1));
	if (__builtin_add_overflow(run->vbegin, run->len, &end))
		return BROKEN(r, "mapping of %llu blocks from virtual block %llu runs past the "
				 "highest block number", len,
			      v);
	if (run->dbegin > r->pool.nr_data_blocks ||
	    run->len > r->pool.nr_data_blocks - run->dbegin)
		return BROKEN(r, "data blocks %llu + %llu are beyond the end of the data device (%llu)",
			      d, len, (unsigned long long)r->pool.nr_data_blocks);
	if (run->time > r->pool.time)
		return BROKEN(r, "mapping time is later than the pool's time %u", r->pool.time);
	note_def_begin(r);
	e = send_batch(r);
	if (e < 0)
		return e;
	r->batch[r->nr++] = *run;
	r->next = end;
	return 0;
}
