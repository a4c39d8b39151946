/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef PDATA_BTREE_EDIT_H
#define PDATA_BTREE_EDIT_H
/*
 * A btree that is looked up and changed within a transaction (map/transaction.h).
 *
 * A change walks down from the root and shadows each node on its way.  A node that was
 * shared leaves its children with one more reference: the type's @inc counts them (child
 * nodes are counted by the tree itself).  Full nodes are split, and thin ones merged, on the
 * way down, so that a change never has to walk up again.  The fill rules are those of the
 * kernel: doc/format.md, section 5.1.
 *
 * Errors: -ENOENT where said; -EUCLEAN, -EBADMSG for bad nodes; -EXFULL, -EIO.  After any
 * other error than -ENOENT the tree may be half changed in memory: abort the transaction.
 * Threads: one at a time.
 */
#include "pdata/tree/tm.h"

struct btree_type {
	const char *name; /* "mapping tree of device 7" */
	uint32_t value_size;
	/*
	 * Adds, or removes, one reference to what each of the @nr @values means; NULL: values mean
	 * nothing.  @dec may trim the cache and change other trees.
	 */
	int (*inc)(void *ctx, const void *values, uint32_t nr, struct err *err);
	int (*dec)(void *ctx, const void *values, uint32_t nr, struct err *err);
	/* Do both mean the same thing?  Then replacing one by the other counts nothing. NULL: never. */
	bool (*same)(const void *a, const void *b);
	void *ctx;
};

struct btree {
	struct tm *tm;
	const struct btree_type *type; /* outlives the tree */
	mblock_t root;		       /* changes with the first change in a transaction */
};

/* A new tree without entries. */
int btree_make(struct btree *t, struct err *err);

/* The value of @key.  -ENOENT (without a text). */
int btree_lookup(const struct btree *t, uint64_t key, void *value, struct err *err);
/* The first entry with a key >= @key.  -ENOENT. */
int btree_lookup_next(const struct btree *t, uint64_t key, uint64_t *found, void *value,
		      struct err *err);

/* The greatest key.  -ENOENT. */
int btree_last_key(const struct btree *t, uint64_t *key, struct err *err);

/* How btree_each() hands out entries; a return other than 0 stops and is returned. */
typedef int btree_each_fn(void *ctx, uint64_t key, const void *value);
/* The entries with keys in [begin, end), ascending.  @fn must not touch the tree. */
int btree_each(const struct btree *t, uint64_t begin, uint64_t end, btree_each_fn *fn, void *ctx,
	       struct err *err);

/*
 * Inserts or replaces.  The reference that @value carries goes over to the tree; a replaced
 * value loses its own.  *inserted (may be NULL): the key is new.
 */
int btree_insert(struct btree *t, uint64_t key, const void *value, bool *inserted,
		 struct err *err);
/* Replaces the value of an existing key without counting anything.  -ENOENT. */
int btree_overwrite(struct btree *t, uint64_t key, const void *value, struct err *err);
/* Makes the path to @key, which exists, this transaction's own.  -ENOENT. */
int btree_touch(struct btree *t, uint64_t key, struct err *err);

/* -ENOENT. */
int btree_remove(struct btree *t, uint64_t key, struct err *err);
/* All keys in [begin, end); *nr of them. */
int btree_remove_range(struct btree *t, uint64_t begin, uint64_t end, uint64_t *nr,
		       struct err *err);

/* Gives up one reference to the whole tree at @t->root; trims the cache. */
int btree_release(const struct btree *t, struct err *err);

#endif
