/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Blocks that are fixed in place: read as they were checked, sealed, written. */
#include <errno.h>

#include "pdata/tree/walk.h"
#include "pool/check/fix_impl.h"

int fix_read_block(struct fix *x, mblock_t b, enum csum_salt salt)
{
	int r = io_read(x->io, x->buf, MBLOCK_SIZE, b * MBLOCK_SIZE, x->err);

	if (!r && csum_verify(x->buf, b, salt))
		r = err_set(x->err, -EUCLEAN, FIX_BLOCK_CHANGED,
			    (unsigned long long)b);
	return r;
}

int fix_write_block(struct fix *x, mblock_t b, enum csum_salt salt)
{
	csum_seal(x->buf, b, salt);
	return io_write(x->io, x->buf, MBLOCK_SIZE, b * MBLOCK_SIZE, x->err);
}

static int note_leaf(void *ctx, unsigned worker, mblock_t block, uint32_t attr,
		     const struct node *n)
{
	(void)ctx;
	(void)worker;
	(void)block;
	(void)attr;
	(void)n;
	return 0;
}

int fix_list_leaves(struct fix *x, mblock_t at, uint32_t value_size, mblock_t **list, size_t *nr)
{
	struct walk_root root = { .block = at };
	struct walk_setup setup = { .nr_blocks = MIN(x->io->size / MBLOCK_SIZE, MAX_METADATA_BLOCKS),
				    .leaf_value_size = value_size,
				    .leaf = note_leaf };
	struct stream s;
	struct walk *w;
	size_t nr_faults;
	int r;

	stream_init(&s, x->io, x->jobs);
	setup.stream = &s;
	w = walk_new(&setup, x->err);
	if (!w)
		return -ENOMEM;
	r = walk_add(w, &root, 1, x->err);
	if (!r)
		r = walk_leaves(w, list, nr, x->err);
	if (!r && walk_faults(w, &nr_faults) && nr_faults)
		r = err_set(x->err, -EUCLEAN, FIX_BLOCK_CHANGED, (unsigned long long)at);
	walk_free(w);
	return r;
}
