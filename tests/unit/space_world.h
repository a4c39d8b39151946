/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef UNIT_SPACE_WORLD_H
#define UNIT_SPACE_WORLD_H
/* A metadata device in memory with the map of its own blocks and one of data blocks, without any pool around them. */
#include "dev/io.h"
#include "pdata/block/csum.h"
#include "pdata/map/transaction.h"

static struct err err;

struct world {
	struct io *io;
	struct transaction *t;
	struct sm_edit data;
	struct sm_root data_root, self_root; /* of the last commit */
};

static int world_commit(struct world *w)
{
	struct sm_root data, self;
	int r = sm_edit_commit(&w->data, &data, &err);

	if (!r)
		r = transaction_prepare(w->t, &self, &err);
	if (!r)
		r = transaction_write(w->t, &err);
	if (r)
		return r;
	sm_edit_end(&w->data);
	transaction_end(w->t);
	w->data_root = data;
	w->self_root = self;
	return 0;
}

static void world_close(struct world *w)
{
	sm_edit_fini(&w->data);
	transaction_free(w->t);
	w->t = NULL;
}

/* As the next process finds it. */
static int world_open(struct world *w)
{
	int r = transaction_open(w->io, &w->self_root, &w->t, &err);

	return r ? r : sm_edit_init(&w->data, transaction_tm(w->t), false, &w->data_root, &err);
}

static void world_abort(struct world *w)
{
	transaction_abort(w->t, &w->self_root);
	sm_edit_abort(&w->data, &w->data_root);
}

/* A new one on @io, committed. */
static int world_make(struct world *w, struct io *io, uint64_t nr_data)
{
	int r;

	*w = (struct world) { .io = io };
	r = transaction_format(io, io->size / MBLOCK_SIZE, &w->t, &err);
	if (!r)
		r = sm_edit_format(&w->data, transaction_tm(w->t), false, &err);
	if (!r)
		r = sm_edit_grow(&w->data, nr_data, &err);
	return r ? r : world_commit(w);
}

static uint8_t *world_block(struct io *mem, mblock_t b)
{
	return (uint8_t *)io_mem_data(mem) + b * MBLOCK_SIZE;
}

#endif
