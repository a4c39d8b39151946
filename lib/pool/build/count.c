/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* How many blocks build takes: by numbers alone, and by the events. */
#include <errno.h>
#include <stdlib.h>

#include "base/le.h"
#include "base/overflow.h"
#include "pdata/map/write.h"
#include "pool/build/impl.h"

int build_too_small(struct err *err, uint64_t needs, uint64_t has)
{
	if (needs > MAX_METADATA_BLOCKS)
		return err_set(err, -ERANGE,
			       "needs %llu metadata blocks, more than the format's limit of %llu",
			       (unsigned long long)needs, (unsigned long long)MAX_METADATA_BLOCKS);
	return err_set(err, -ERANGE, "too small: needs at least %llu blocks, has %llu",
		       (unsigned long long)needs, (unsigned long long)has);
}

uint64_t build_with_metadata_map(uint64_t others, uint64_t nr_metadata_blocks)
{
	uint64_t n = others + sm_write_metadata_blocks(MAX(nr_metadata_blocks, (uint64_t)1));

	while (n > nr_metadata_blocks && others + sm_write_metadata_blocks(n) != n)
		n = others + sm_write_metadata_blocks(n);
	return n;
}

uint64_t build_min_blocks(uint64_t nr_devices, uint64_t nr_mappings, uint64_t nr_data_blocks,
			  uint64_t nr_metadata_blocks)
{
	uint64_t leaves = MAX(div_up(nr_mappings, NODE_MAX_ENTRIES(8)), nr_devices);

	if (!nr_devices)
		leaves = 0;
	return build_blocks_around(leaves + div_up(leaves - nr_devices, INTERNAL_MAX), nr_devices,
				   nr_data_blocks, nr_metadata_blocks);
}

uint64_t build_blocks_around(uint64_t nr_nodes, uint64_t nr_devices, uint64_t nr_data_blocks,
			     uint64_t nr_metadata_blocks)
{
	uint64_t n = 1 + nr_nodes;

	n += btree_build_nr_nodes(nr_devices, 8);
	n += btree_build_nr_nodes(nr_devices, sizeof(struct disk_details));
	n += sm_write_data_blocks(nr_data_blocks);
	return build_with_metadata_map(n, MIN(nr_metadata_blocks, MAX_METADATA_BLOCKS));
}

struct counter {
	struct build_defs defs;
	uint64_t nr_data_blocks;
	uint64_t nr_devices;
	uint64_t nr_nodes;    /* of all mapping trees, at least */
	uint64_t nr_more;     /* nodes more, at most, as shared leaves are not full, and small parts are copied */
	uint64_t nr_mappings; /* of all devices; of a shared part once for each device */
	uint64_t own, referred; /* mappings of the current device, or of the current def */
	uint64_t between;	/* mappings of the device since the last shared part */
	uint64_t leaves;	/* of the device, at most; those of shared parts, too */
};

static uint64_t nr_leaves(uint64_t mappings)
{
	return div_up(mappings, NODE_MAX_ENTRIES(8));
}

static uint64_t nodes_above(uint64_t leaves)
{
	return btree_build_nr_nodes(leaves * NODE_MAX_ENTRIES(8), 8) - leaves;
}

static int count_begin_pool(void *ctx, const struct pool_info *p, struct err *err)
{
	struct counter *c = ctx;

	(void)err;
	c->nr_data_blocks = p->nr_data_blocks;
	return 0;
}

static int count_begin_def(void *ctx, uint64_t name, struct err *err)
{
	struct counter *c = ctx;

	c->own = 0;
	return build_defs_begin(&c->defs, name) < 0 ? err_nomem(err, "shared parts") : 0;
}

/* Only how many mappings it has is kept, in the place of the last key. */
static int count_end_def(void *ctx, struct err *err)
{
	struct counter *c = ctx;

	(void)err;
	build_defs_end(&c->defs, c->own, 0);
	c->nr_nodes += nr_leaves(c->own);
	return 0;
}

static int count_begin_device(void *ctx, const struct device_info *d, struct err *err)
{
	struct counter *c = ctx;

	(void)d;
	(void)err;
	c->nr_devices++;
	c->own = c->referred = c->between = c->leaves = 0;
	return 0;
}

static int count_runs(void *ctx, const struct run *run, size_t nr, struct err *err)
{
	struct counter *c = ctx;

	(void)err;
	for (size_t i = 0; i < nr; i++) {
		c->own += run[i].len;
		c->between += run[i].len;
	}
	return 0;
}

/* Mappings between shared parts are written as leaves of their own, with a copy of a neighbour if they are few. */
static void add_between(struct counter *c)
{
	uint64_t leaves = c->between ? nr_leaves(c->between) + 1 : 0;

	c->nr_more += leaves;
	c->leaves += leaves;
	c->between = 0;
}

static int count_ref(void *ctx, uint64_t name, struct err *err)
{
	struct counter *c = ctx;
	uint32_t begin, end;
	const struct build_def *def = build_defs_find(&c->defs, name, &begin, &end);

	if (!def)
		return err_set(err, -EINVAL, "ref to undefined def %llu",
			       (unsigned long long)name);
	c->referred += def->last_key;
	c->leaves += nr_leaves(def->last_key);
	if (def->last_key < NODE_MIN_ENTRIES(8))
		c->between += def->last_key;
	else
		add_between(c);
	return 0;
}

static int count_end_device(void *ctx, struct err *err)
{
	struct counter *c = ctx;
	uint64_t all = c->own + c->referred;

	(void)err;
	c->nr_nodes += nodes_above(MAX(nr_leaves(all), (uint64_t)1));
	c->nr_nodes += c->referred ? nr_leaves(c->own) : MAX(nr_leaves(all), (uint64_t)1);
	c->nr_mappings += all;
	if (c->referred) {
		add_between(c);
		c->nr_more += nodes_above(c->leaves);
	}
	return 0;
}

static int count_end_pool(void *ctx, struct err *err)
{
	(void)ctx;
	(void)err;
	return 0;
}

static const struct events_ops count_ops = {
	.begin_pool = count_begin_pool,
	.begin_def = count_begin_def,
	.end_def = count_end_def,
	.begin_device = count_begin_device,
	.runs = count_runs,
	.ref = count_ref,
	.end_device = count_end_device,
	.end_pool = count_end_pool,
};

int build_count_new(struct events *e, struct err *err)
{
	struct counter *c = calloc(1, sizeof(*c));

	if (!c)
		return err_nomem(err, "counter");
	*e = (struct events){ .ops = &count_ops, .ctx = c };
	return 0;
}

/* A count is large from three on: no more than a third of the mappings can have one, nor of the pointers to nodes. */
static uint64_t most_blocks(const struct counter *c)
{
	uint64_t nr_nodes = c->nr_nodes + c->nr_more;

	nr_nodes += btree_build_nr_nodes(MIN(c->nr_mappings / 3, c->nr_data_blocks), sizeof(le32));
	nr_nodes += btree_build_nr_nodes(nr_nodes, sizeof(le32));
	return build_blocks_around(nr_nodes, c->nr_devices, c->nr_data_blocks, 0);
}

void build_count_all(const struct events *e, struct build_counts *n)
{
	const struct counter *c = e->ctx;

	*n = (struct build_counts){
		.nr_blocks = build_blocks_around(c->nr_nodes, c->nr_devices, c->nr_data_blocks, 0),
		.nr_blocks_most = most_blocks(c),
		.nr_data_blocks = c->nr_data_blocks,
		.nr_devices = c->nr_devices,
	};
}

void build_count_free(struct events *e)
{
	struct counter *c = e->ctx;

	if (!c)
		return;
	build_defs_fini(&c->defs);
	free(c);
	e->ctx = NULL;
}
