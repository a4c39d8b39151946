/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * A space map's changes, from memory into metadata blocks.
 *
 * Every changed bitmap needs a new place, and taking or freeing a place changes the metadata map.
 * For the data map that is a different map.  The metadata map changes its own bitmaps by it, so the
 * loop runs until every changed bitmap has a place.  It ends, because there are at most 255 bitmaps
 * and each gets one place.  Only then are the bitmaps copied out: so they count the places of all
 * that is written.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "pdata/map/edit.h"
#include "pdata/map/page.h"

#define PAGES_MAX 4096 /* pages kept by a trim: 32 MiB */
#define OVERFLOWS_MAX (256 * 1024)

/* Counts above two go to their tree; others leave it. */
static int flush_overflows(struct sm_edit *sm, struct err *err)
{
	CLEANUP(free_ptr) uint64_t *keys = NULL;
	struct umap todo = sm->overflows;
	int r = 0;

	if (!todo.nr)
		return 0;
	keys = umap_keys(&todo);
	if (!keys)
		return err_nomem(err, "reference counts");
	umap_init(&sm->overflows);
	for (size_t i = 0; !r && i < todo.nr; i++) {
		uint32_t count = (uint32_t)(umap_get(&todo, keys[i]) - 1);
		le32 value = le32_make(count);

		if (count)
			r = btree_insert(&sm->overflow, keys[i], &value, NULL, err);
		else
			r = btree_remove(&sm->overflow, keys[i], err);
		if (r == -ENOENT)
			r = 0; /* the count rose above two and fell again within the transaction */
	}
	umap_fini(&todo);
	return r;
}

/* The old place is free from the next transaction on. */
static int leave(struct sm_edit *sm, mblock_t at, struct err *err)
{
	uint32_t left;

	return at ? tm_dec(sm->tm, at, &left, err) : 0;
}

/* Gives each changed bitmap that has none a place; *nr: how many. */
static int place_pages(struct sm_edit *sm, size_t *nr, struct err *err)
{
	CLEANUP(free_ptr) uint64_t *keys = umap_keys(&sm->pages);
	size_t n = sm->pages.nr;
	void *data;
	int r;

	*nr = 0;
	if (!keys && n)
		return err_nomem(err, "space map");
	for (size_t i = 0; i < n; i++) {
		struct sm_page *p = umap_get_ptr(&sm->pages, keys[i]);

		if (!p->dirty || p->to)
			continue;
		r = tm_new(sm->tm, SALT_BITMAP, &p->to, &data, err);
		if (!r)
			r = leave(sm, p->at, err);
		if (r)
			return r;
		++*nr;
	}
	return 0;
}

/* Copies a bitmap to its new place and tells the index. */
static int put_page(struct sm_edit *sm, struct sm_page *p, struct err *err)
{
	struct disk_index_entry e = sm_page_entry(p);
	int r = tm_put_block(sm->tm, p->to, SALT_BITMAP, p->disk, err);

	if (r)
		return r;
	if (!sm->self)
		return btree_insert(&sm->index_tree, p->index, &e, NULL, err);
	sm->index[p->index] = e;
	return 0;
}

static int put_pages(struct sm_edit *sm, struct err *err)
{
	CLEANUP(free_ptr) uint64_t *keys = umap_keys(&sm->pages);
	size_t n = sm->pages.nr;
	int r = 0;

	if (!keys && n)
		return err_nomem(err, "space map");
	for (size_t i = 0; !r && i < n; i++) {
		struct sm_page *p = umap_get_ptr(&sm->pages, keys[i]);

		if (p->dirty)
			r = put_page(sm, p, err);
	}
	return r;
}

static int load_index(struct sm_edit *sm, struct err *err)
{
	uint32_t count;

	/* Asking for any count makes sure that the index has been read. */
	return sm->index_known ? 0 : sm_edit_count(sm, sm->bitmap_root, &count, err);
}

/* A place for every changed bitmap, and nodes for every changed count. */
static int settle(struct sm_edit *sm, struct err *err)
{
	size_t nr = 0;
	int r;

	do {
		r = flush_overflows(sm, err);
		if (!r)
			r = place_pages(sm, &nr, err);
	} while (!r && (nr || sm->overflows.nr));
	return r;
}

/* The index block takes the last place, as in the kernel's commits, unless that changes a bitmap which had not changed. */
static int commit_self(struct sm_edit *sm, struct err *err)
{
	mblock_t old = sm->formatting ? 0 : sm->bitmap_root, at;
	struct disk_index *index;
	void *data;
	int r = load_index(sm, err);

	if (!r)
		r = leave(sm, old, err);
	if (!r && !sm->index_first)
		r = settle(sm, err);
	if (!r)
		r = tm_new(sm->tm, SALT_INDEX, &at, &data, err);
	if (!r)
		r = settle(sm, err);
	if (!r)
		r = put_pages(sm, err);
	if (r)
		return r;
	index = data;
	memcpy(index->entry, sm->index, sizeof(index->entry));
	sm->bitmap_root = at;
	return 0;
}

static int commit_other(struct sm_edit *sm, struct err *err)
{
	size_t nr;
	int r = flush_overflows(sm, err);

	if (!r)
		r = place_pages(sm, &nr, err);
	if (!r)
		r = put_pages(sm, err);
	sm->bitmap_root = sm->index_tree.root;
	return r;
}

int sm_edit_commit(struct sm_edit *sm, struct sm_root *root, struct err *err)
{
	int r = 0;

	if (sm->changed)
		r = sm->self ? commit_self(sm, err) : commit_other(sm, err);
	*root = (struct sm_root){
		.nr_blocks = sm->nr_blocks,
		.nr_allocated = sm->nr_allocated,
		.bitmap_root = sm->bitmap_root,
		.ref_count_root = sm->overflow.root,
	};
	return r;
}

void sm_edit_end(struct sm_edit *sm)
{
	uint64_t key, value;

	for (size_t i = 0; (i = umap_next(&sm->pages, i, &key, &value));) {
		struct sm_page *p = (struct sm_page *)(uintptr_t)value;

		if (!p->dirty)
			continue;
		p->dirty = false;
		p->at = p->to;
		p->to = 0;
		memcpy(p->old, p->now, sizeof(p->old));
	}
	sm->committed_allocated = sm->nr_allocated;
	sm->nr_fresh = sm->nr_dirty = 0;
	sm->changed = sm->full = sm->formatting = false;
}

int sm_edit_trim(struct sm_edit *sm, struct err *err)
{
	uint64_t *keys;

	if (!sm->self && sm->overflows.nr > OVERFLOWS_MAX) {
		int r = flush_overflows(sm, err);

		if (r)
			return r;
	}
	if (sm->pages.nr - sm->nr_dirty <= PAGES_MAX)
		return 0;
	keys = umap_keys(&sm->pages);
	for (size_t i = 0, nr = sm->pages.nr; keys && i < nr; i++) {
		struct sm_page *p = umap_get_ptr(&sm->pages, keys[i]);

		if (p->dirty)
			continue;
		umap_del(&sm->pages, keys[i]);
		sm_page_free(p);
	}
	free(keys);
	sm->last = NULL;
	return 0;
}
