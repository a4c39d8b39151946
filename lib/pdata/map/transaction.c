/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "pdata/map/transaction.h"

#include <stdlib.h>

struct transaction {
	struct space space; /* first: the map as the trees see it */
	struct tm *tm;
	struct sm_edit map;
};

static struct sm_edit *map_of(struct space *s)
{
	return &((struct transaction *)s)->map;
}

static int space_alloc(struct space *s, mblock_t *b, struct err *err)
{
	return sm_edit_alloc(map_of(s), b, err);
}

static int space_inc(struct space *s, mblock_t b, struct err *err)
{
	return sm_edit_inc(map_of(s), b, err);
}

static int space_dec(struct space *s, mblock_t b, uint32_t *left, struct err *err)
{
	return sm_edit_dec(map_of(s), b, left, err);
}

static int space_count(struct space *s, mblock_t b, uint32_t *count, struct err *err)
{
	return sm_edit_count(map_of(s), b, count, err);
}

static int space_is_fresh(struct space *s, mblock_t b, struct err *err)
{
	return sm_edit_is_fresh(map_of(s), b, err);
}

static int space_trim(struct space *s, struct err *err)
{
	return sm_edit_trim(map_of(s), err);
}

static const struct space_ops metadata_space = {
	.alloc = space_alloc,
	.inc = space_inc,
	.dec = space_dec,
	.count = space_count,
	.is_fresh = space_is_fresh,
	.trim = space_trim,
};

static struct transaction *new_transaction(struct io *io)
{
	struct transaction *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->space.ops = &metadata_space;
	t->tm = tm_make(io, &t->space);
	if (!t->tm) {
		free(t);
		return NULL;
	}
	return t;
}

int transaction_open(struct io *io, const struct sm_root *root, struct transaction **out,
		     struct err *err)
{
	struct transaction *t = new_transaction(io);
	int r;

	if (!t)
		return err_nomem(err, "transaction");
	r = sm_edit_init(&t->map, t->tm, true, root, err);
	if (r) {
		transaction_free(t);
		return r;
	}
	*out = t;
	return 0;
}

int transaction_format(struct io *io, uint64_t nr_blocks, struct transaction **out, struct err *err)
{
	struct transaction *t = new_transaction(io);
	uint64_t zero;
	int r;

	if (!t)
		return err_nomem(err, "transaction");
	r = sm_edit_format(&t->map, t->tm, true, err);
	if (!r)
		r = sm_edit_grow(&t->map, nr_blocks, err);
	if (!r)
		r = sm_edit_alloc(&t->map, &zero, err); /* the superblock */
	if (!r)
		r = btree_make(&t->map.overflow, err);
	if (r) {
		transaction_free(t);
		return r;
	}
	*out = t;
	return 0;
}

void transaction_free(struct transaction *t)
{
	if (!t)
		return;
	sm_edit_fini(&t->map);
	tm_free(t->tm);
	free(t);
}

struct tm *transaction_tm(struct transaction *t)
{
	return t->tm;
}

struct sm_edit *transaction_map(struct transaction *t)
{
	return &t->map;
}

int transaction_prepare(struct transaction *t, struct sm_root *root, struct err *err)
{
	int r = sm_edit_commit(&t->map, root, err);

	return r ? err_prefix(err, r, "metadata space map") : 0;
}

int transaction_write(struct transaction *t, struct err *err)
{
	return tm_write(t->tm, err);
}

void transaction_end(struct transaction *t)
{
	sm_edit_end(&t->map);
	tm_end(t->tm);
}

void transaction_abort(struct transaction *t, const struct sm_root *root)
{
	tm_drop(t->tm);
	sm_edit_abort(&t->map, root);
}
