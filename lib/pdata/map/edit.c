/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "pdata/map/edit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/overflow.h"
#include "pdata/map/page.h"

static const struct btree_type overflow_type = {
	.name = "overflow counts",
	.value_size = sizeof(le32),
};

static const struct btree_type index_type = {
	.name = "data index",
	.value_size = sizeof(struct disk_index_entry),
};

static void take_root(struct sm_edit *sm, const struct sm_root *root)
{
	sm->nr_blocks = root->nr_blocks;
	sm->nr_allocated = sm->committed_allocated = root->nr_allocated;
	sm->bitmap_root = sm->index_tree.root = root->bitmap_root;
	sm->overflow.root = root->ref_count_root;
}

static int init(struct sm_edit *sm, struct tm *tm, bool self, struct err *err)
{
	*sm = (struct sm_edit){
		.tm = tm,
		.self = self,
		.what = self ? "metadata" : "data",
		.overflow = { .tm = tm, .type = &overflow_type },
		.index_tree = { .tm = tm, .type = &index_type },
	};
	umap_init(&sm->pages);
	umap_init(&sm->overflows);
	if (!self)
		return 0;
	sm->index = calloc(MAX_METADATA_BITMAPS, sizeof(*sm->index));
	return sm->index ? 0 : err_nomem(err, "index of the metadata space map");
}

int sm_edit_init(struct sm_edit *sm, struct tm *tm, bool self, const struct sm_root *root,
		 struct err *err)
{
	int r = init(sm, tm, self, err);

	take_root(sm, root);
	return r;
}

int sm_edit_format(struct sm_edit *sm, struct tm *tm, bool self, struct err *err)
{
	int r = init(sm, tm, self, err);

	if (r)
		return r;
	sm->formatting = sm->changed = true;
	sm->index_known = true;
	if (self)
		return 0; /* transaction_format() makes its trees */
	r = btree_make(&sm->index_tree, err);
	return r ? r : btree_make(&sm->overflow, err);
}

static void drop_pages(struct sm_edit *sm)
{
	uint64_t key, value;

	for (size_t i = 0; (i = umap_next(&sm->pages, i, &key, &value));)
		sm_page_free((struct sm_page *)(uintptr_t)value);
	umap_fini(&sm->pages);
	sm->last = NULL;
}

void sm_edit_fini(struct sm_edit *sm)
{
	drop_pages(sm);
	umap_fini(&sm->overflows);
	free(sm->index);
	sm->index = NULL;
}

void sm_edit_abort(struct sm_edit *sm, const struct sm_root *root)
{
	drop_pages(sm);
	umap_fini(&sm->overflows);
	sm->index_known = sm->full = sm->changed = sm->formatting = false;
	sm->nr_fresh = sm->nr_dirty = 0;
	take_root(sm, root);
}

static int read_index(struct sm_edit *sm, struct err *err)
{
	const struct disk_index *disk;
	uint64_t nr = MIN(div_up(sm->nr_blocks, ENTRIES_PER_BITMAP), MAX_METADATA_BITMAPS);
	const void *data;
	int r;

	if (sm->index_known)
		return 0;
	r = tm_read(sm->tm, sm->bitmap_root, SALT_INDEX, &data, err);
	if (r)
		return r;
	disk = data;
	memset(sm->index, 0, sizeof(disk->entry));
	memcpy(sm->index, disk->entry, nr * sizeof(*disk->entry)); /* the rest may be junk */
	sm->index_known = true;
	return 0;
}

/* The index entry of a bitmap that is not in memory, as the last commit left it. */
static int read_entry(struct sm_edit *sm, uint64_t i, struct disk_index_entry *e, struct err *err)
{
	int r;

	if (sm->self) {
		if (i >= MAX_METADATA_BITMAPS)
			return err_set(err, -EUCLEAN, "the metadata space map has too many blocks");
		r = read_index(sm, err);
		if (!r)
			*e = sm->index[i];
		return r;
	}
	r = btree_lookup(&sm->index_tree, i, e, err);
	if (r == -ENOENT)
		return err_set(err, -EUCLEAN, "the %s space map has no bitmap for blocks from %llu on",
			       sm->what, (unsigned long long)i * ENTRIES_PER_BITMAP);
	return r;
}

static uint32_t page_end(const struct sm_edit *sm, uint64_t i)
{
	return (uint32_t)MIN(sm->nr_blocks - i * ENTRIES_PER_BITMAP, ENTRIES_PER_BITMAP);
}

static struct sm_page *find_page(struct sm_edit *sm, uint64_t i)
{
	struct sm_page *p;

	if (sm->last && sm->last->index == i)
		return sm->last;
	p = umap_get_ptr(&sm->pages, i);
	if (p)
		sm->last = p;
	return p;
}

static int add_page(struct sm_edit *sm, struct sm_page *p, struct err *err)
{
	if (umap_put(&sm->pages, p->index, (uintptr_t)p)) {
		sm_page_free(p);
		return err_nomem(err, "space map");
	}
	sm->last = p;
	return 0;
}

/* The bitmap that covers block @i * ENTRIES_PER_BITMAP, read if need be. */
static int get_page(struct sm_edit *sm, uint64_t i, struct sm_page **out, struct err *err)
{
	struct disk_index_entry e;
	struct sm_page *p = find_page(sm, i);
	int r;

	if (p) {
		*out = p;
		return 0;
	}
	r = read_entry(sm, i, &e, err);
	if (r)
		return r;
	p = sm_page_new(i);
	if (!p)
		return err_nomem(err, "space map");
	p->at = le64_get(e.blocknr);
	r = tm_read_uncached(sm->tm, p->at, SALT_BITMAP, p->disk, err);
	if (r) {
		sm_page_free(p);
		return err_prefix(err, r, "bitmap %llu of the %s space map",
				  (unsigned long long)i, sm->what);
	}
	sm_page_loaded(p, page_end(sm, i));
	*out = p;
	return add_page(sm, p, err);
}

static int page_of(struct sm_edit *sm, uint64_t b, struct sm_page **p, uint32_t *i,
		   struct err *err)
{
	*i = (uint32_t)(b % ENTRIES_PER_BITMAP);
	if (b >= sm->nr_blocks)
		return err_set(err, -EUCLEAN, "%s block %llu lies beyond the end (%llu blocks)",
			       sm->what, (unsigned long long)b, (unsigned long long)sm->nr_blocks);
	return get_page(sm, b / ENTRIES_PER_BITMAP, p, err);
}

static int overflow_count(struct sm_edit *sm, uint64_t b, uint32_t *count, struct err *err)
{
	uint64_t known = umap_get(&sm->overflows, b);
	le32 n;
	int r;

	if (known > 1) {
		*count = (uint32_t)(known - 1);
		return 0;
	}
	r = known ? -ENOENT : btree_lookup(&sm->overflow, b, &n, err);
	if (r == -ENOENT || (!r && le32_get(n) < 3))
		return err_set(err, -EUCLEAN,
			       "%s block %llu is marked as used more than twice, but its count is missing",
			       sm->what, (unsigned long long)b);
	if (!r)
		*count = le32_get(n);
	return r;
}

int sm_edit_count(struct sm_edit *sm, uint64_t b, uint32_t *count, struct err *err)
{
	struct sm_page *p;
	uint32_t i;
	int r = page_of(sm, b, &p, &i, err);

	if (r)
		return r;
	*count = sm_page_get(p, i);
	return *count == 3 ? overflow_count(sm, b, count, err) : 0;
}

/* Changes a count from @old to @new (never both above two and equal). */
static int set_count(struct sm_edit *sm, struct sm_page *p, uint64_t b, uint32_t old, uint32_t new,
		     struct err *err)
{
	uint32_t i = (uint32_t)(b % ENTRIES_PER_BITMAP);

	if ((old > 2 || new > 2) && umap_put(&sm->overflows, b, new > 2 ? new + UINT64_C(1) : 1))
		return err_nomem(err, "reference counts");
	sm->changed = true;
	if (old > 2 && new > 2)
		return 0;
	sm_page_set(p, i, MIN(new, 3u));
	if (!p->dirty) {
		p->dirty = true;
		sm->nr_dirty++;
	}
	if (!old) {
		sm->nr_allocated++;
		sm->nr_fresh += !sm_page_was_used(p, i);
	} else if (!new) {
		sm->nr_allocated -= sm->nr_allocated > 0;
		if (!sm_page_was_used(p, i)) {
			sm->nr_fresh--;
			sm->full = false;
		}
	}
	return 0;
}

static int change(struct sm_edit *sm, uint64_t b, int by, uint32_t *left, struct err *err)
{
	struct sm_page *p;
	uint32_t i, count;
	int r = page_of(sm, b, &p, &i, err);

	if (!r)
		r = sm_edit_count(sm, b, &count, err);
	if (r)
		return r;
	if (by < 0 && !count)
		return err_set(err, -EUCLEAN, "%s block %llu is counted as free but still in use",
			       sm->what, (unsigned long long)b);
	if (by > 0 && count == UINT32_MAX)
		return err_set(err, -EUCLEAN, "%s block %llu is used too often", sm->what,
			       (unsigned long long)b);
	*left = count + (uint32_t)by;
	return set_count(sm, p, b, count, *left, err);
}

int sm_edit_inc(struct sm_edit *sm, uint64_t b, struct err *err)
{
	uint32_t now;

	return change(sm, b, 1, &now, err);
}

int sm_edit_dec(struct sm_edit *sm, uint64_t b, uint32_t *left, struct err *err)
{
	return change(sm, b, -1, left, err);
}

int sm_edit_is_fresh(struct sm_edit *sm, uint64_t b, struct err *err)
{
	struct sm_page *p;
	uint32_t i;
	int r = page_of(sm, b, &p, &i, err);

	return r ? r : !sm_page_was_used(p, i);
}

/* Does the index say that bitmap @i has no free block? */
static int is_full(struct sm_edit *sm, uint64_t i, struct err *err)
{
	struct disk_index_entry e;
	int r;

	if (find_page(sm, i))
		return 0;
	r = read_entry(sm, i, &e, err);
	return r ? r : !le32_get(e.nr_free);
}

/* Takes the first free block of [begin, end): 1; 0 when there is none. */
static int take_from(struct sm_edit *sm, uint64_t begin, uint64_t end, uint64_t *b,
		     struct err *err)
{
	struct sm_page *p;
	int r;

	for (uint64_t i = begin / ENTRIES_PER_BITMAP; begin < end; i++) {
		uint64_t base = i * ENTRIES_PER_BITMAP;
		uint32_t to = (uint32_t)MIN(end - base, ENTRIES_PER_BITMAP), at = to;

		r = is_full(sm, i, err);
		if (r < 0)
			return r;
		if (!r) {
			r = get_page(sm, i, &p, err);
			if (r)
				return r;
			at = sm_page_find(p, (uint32_t)(begin - base), to);
		}
		if (at < to) {
			*b = base + at;
			r = set_count(sm, p, *b, 0, 1, err);
			return r ? r : 1;
		}
		begin = base + ENTRIES_PER_BITMAP;
	}
	return 0;
}

int sm_edit_alloc(struct sm_edit *sm, uint64_t *b, struct err *err)
{
	int r = 0;

	if (!sm->full) {
		r = take_from(sm, MIN(sm->cursor, sm->nr_blocks), sm->nr_blocks, b, err);
		if (!r)
			r = take_from(sm, 0, MIN(sm->cursor, sm->nr_blocks), b, err);
	}
	if (r < 0)
		return r;
	if (!r) {
		sm->full = true;
		return err_set(err, -EXFULL, "no free %s block (%llu in all)", sm->what,
			       (unsigned long long)sm->nr_blocks);
	}
	sm->cursor = *b + 1;
	return 0;
}

uint64_t sm_edit_usable(const struct sm_edit *sm)
{
	uint64_t used = sm->committed_allocated + sm->nr_fresh;

	return sm->nr_blocks > used ? sm->nr_blocks - used : 0;
}

uint64_t sm_edit_free_blocks(const struct sm_edit *sm)
{
	return sm->nr_blocks > sm->nr_allocated ? sm->nr_blocks - sm->nr_allocated : 0;
}

/* A bitmap that the map does not have yet. */
static int new_page(struct sm_edit *sm, uint64_t i, struct err *err)
{
	struct sm_page *p = sm_page_new(i);

	if (!p)
		return err_nomem(err, "space map");
	p->dirty = true;
	sm->nr_dirty++;
	return add_page(sm, p, err);
}

int sm_edit_grow(struct sm_edit *sm, uint64_t nr_blocks, struct err *err)
{
	uint64_t have = div_up(sm->nr_blocks, ENTRIES_PER_BITMAP);
	uint64_t want = div_up(nr_blocks, ENTRIES_PER_BITMAP);
	struct sm_page *p;
	int r;

	if (nr_blocks < sm->nr_blocks || (sm->self && want > MAX_METADATA_BITMAPS))
		return err_set(err, -EINVAL, "a %s space map cannot go from %llu to %llu blocks",
			       sm->what, (unsigned long long)sm->nr_blocks,
			       (unsigned long long)nr_blocks);
	if (sm->nr_blocks % ENTRIES_PER_BITMAP) {
		/*
		 * Loading the page cleared the bits behind the old end; the cleared bits must reach
		 * the disk now.
		 */
		r = get_page(sm, have - 1, &p, err);
		if (r)
			return r;
		sm->nr_dirty += !p->dirty;
		p->dirty = true;
	}
	for (uint64_t i = have; i < want; i++) {
		r = new_page(sm, i, err);
		if (r)
			return r;
	}
	sm->nr_blocks = nr_blocks;
	sm->changed = true;
	sm->full = false;
	return 0;
}
