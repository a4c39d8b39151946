/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* The transaction id and the held metadata snapshot of a pool that is being changed. */
#include <errno.h>

#include "pool/edit/impl.h"

int edit_set_transaction_id(struct pool_edit *p, uint64_t old, uint64_t now, struct err *err)
{
	int r = edit_begin(p, err);

	if (r)
		return r;
	if (p->sb.transaction_id != old)
		return err_set(err, -EINVAL,
			       "the pool's transaction id is %llu, not %llu as the message says",
			       (unsigned long long)p->sb.transaction_id, (unsigned long long)old);
	p->sb.transaction_id = now;
	p->changed = true;
	return 0;
}

/*
 * The held snapshot: a copy of the superblock whose two roots count as used once more, so
 * that whatever changes them from now on makes copies.
 */
int edit_reserve_metadata_snap(struct pool_edit *p, struct err *err)
{
	struct superblock held;
	uint64_t key, value;
	mblock_t at;
	void *data;
	int r = edit_begin(p, err);

	if (!r && p->sb.held_root)
		return err_set(err, -EBUSY,
			       "a metadata snapshot is held already, at block %llu: release it "
			       "first",
			       (unsigned long long)p->sb.held_root);
	if (!r)
		r = edit_sync(p, err);
	if (!r)
		r = tm_new(p->tm, SALT_SUPERBLOCK, &at, &data, err);
	if (!r)
		r = tm_inc(p->tm, p->top.root, err);
	if (!r)
		r = tm_inc(p->tm, p->details.root, err);
	if (r)
		return r;
	held = p->sb;
	held.held_root = 0;
	held.data_sm = held.metadata_sm = (struct sm_root){ 0 };
	held.mapping_root = p->top.root;
	held.details_root = p->details.root;
	superblock_seal(&held, data, at);
	for (size_t i = 0; (i = umap_next(&p->devs, i, &key, &value));)
		((struct edit_dev *)(uintptr_t)value)->touched = false;
	p->sb.held_root = at;
	p->changed = true;
	return 0;
}

static int release_tree(struct pool_edit *p, const struct btree_type *type, mblock_t root,
			struct err *err)
{
	struct btree t = { p->tm, type, root };

	return btree_release(&t, err);
}

int edit_release_metadata_snap(struct pool_edit *p, struct err *err)
{
	struct superblock held;
	const void *data;
	uint32_t left;
	int r = edit_begin(p, err);

	if (r)
		return r;
	if (!p->sb.held_root)
		return err_set(err, -EINVAL, "no metadata snapshot is held");
	r = edit_sync(p, err);
	if (!r)
		r = tm_read(p->tm, p->sb.held_root, SALT_SUPERBLOCK, &data, err);
	if (!r && superblock_open(&held, data, p->sb.held_root) != SB_OK)
		r = err_set(err, -EUCLEAN, "block %llu does not hold a superblock",
			    (unsigned long long)p->sb.held_root);
	if (r)
		return err_prefix(err, r, "the held metadata snapshot");
	p->changed = true;
	r = release_tree(p, &p->top_type, held.mapping_root, err);
	if (!r)
		r = release_tree(p, &edit_details_type, held.details_root, err);
	if (!r)
		r = tm_dec(p->tm, p->sb.held_root, &left, err);
	p->sb.held_root = 0;
	return r;
}
