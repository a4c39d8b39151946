/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "volume/open/activate.h"

#include <errno.h>

#include "base/cleanup.h"
#include "dev/dev.h"

DEFINE_CLEANUP(pool_cleanup, struct pool_edit, edit_free)
DEFINE_CLEANUP(io_cleanup, struct io, io_free)

/* The pool's length is what the kernel goes by; it must lie within the data device. */
static int data_blocks(const struct table *t, uint64_t *nr, struct err *err)
{
	CLEANUP(io_cleanup) struct io *data = NULL;
	int r;

	/* only for its size; a program that serves the pool holds it already */
	r = dev_open(t->pool->data.path, DEV_FORCE | DEV_BUFFERED, &data, err);
	if (r)
		return err_prefix(err, r, "data device");
	if (data->size >> SECTOR_SHIFT < t->pool->length)
		return err_set(err, -EINVAL,
			       "data device '%s' has %llu sectors, but the table gives the pool "
			       "%llu: give it that size "
			       "again, or correct the LENGTH in the table",
			       t->pool->data.path, (unsigned long long)(data->size >> SECTOR_SHIFT),
			       (unsigned long long)t->pool->length);
	*nr = t->pool->length / t->pool->data_block_size;
	return 0;
}

static int grow(struct pool_edit *p, const struct pool_arg *arg, struct io *metadata,
		struct err *err)
{
	const struct table *t = arg->table;
	uint64_t nr = 0;
	int r;

	r = pool_arg_fits(arg, edit_superblock(p)->data_block_size, err);
	if (!r)
		r = data_blocks(t, &nr, err);
	if (!r)
		r = edit_grow_metadata(p, metadata->size / MBLOCK_SIZE, err);
	return r ? r : edit_grow_data(p, nr, err);
}

int activate_pool(const struct pool_arg *arg, struct io *metadata, bool force,
		  struct pool_edit **out, struct err *err)
{
	CLEANUP(pool_cleanup) struct pool_edit *p = NULL;
	int r;

	r = edit_open(metadata, true, &p, err);
	if (r == -ENODATA && arg->table) {
		r = pool_arg_trust_numbers(arg, NULL, force, err);
		if (!r)
			r = edit_format(metadata, arg->table->pool->data_block_size, &p, err);
	} else if (r == -ENODATA) {
		return err_set(err, r,
			       "'%s' is unformatted (its first block is zero): give a table file "
			       "with the block size, and it is formatted",
			       arg->metadata);
	}
	if (!r && arg->table)
		r = grow(p, arg, metadata, err);
	if (!r)
		*out = steal_ptr(&p);
	return r;
}
