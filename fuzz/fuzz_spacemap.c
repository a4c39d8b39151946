/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Reading both space maps of an image. */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "fuzz.h"
#include "image.h"
#include "pdata/map/read.h"
#include "pdata/tree/walk.h"
#include "pool/format/superblock.h"

struct load {
	struct sm_index index;
	struct refmap *map;
	_Atomic uint64_t bad; /* index of a bad bitmap + 1 */
	bool overflow;	      /* the tree of counts above two is being walked */
};

static int load_leaf(void *ctx, unsigned worker, mblock_t block, uint32_t attr,
		     const struct node *n)
{
	struct load *l = ctx;
	le32 count;

	(void)worker;
	(void)block;
	(void)attr;
	if (!l->overflow) {
		sm_index_take(&l->index, n);
		return 0;
	}
	for (uint32_t i = 0; i < n->nr; i++) {
		memcpy(&count, node_value(n, i), sizeof(count));
		if (node_key(n, i) < refmap_nr_blocks(l->map) && le32_get(count) >= 3)
			refmap_set(l->map, node_key(n, i), le32_get(count));
	}
	return 0;
}

static int load_bitmap(void *ctx, unsigned worker, uint64_t index, const struct disk_bitmap *bm,
		       int status)
{
	struct load *l = ctx;

	(void)worker;
	if (status < 0)
		l->bad = index + 1;
	else
		refmap_from_bitmap(l->map, index, bm->bits);
	return 0;
}

/* Walks a small tree with one worker, as its leaves are noted in one place. */
static int load_tree(struct stream *s, struct load *l, mblock_t root, uint32_t value_size,
		     struct err *err)
{
	struct jobs *one = jobs_new(1);
	struct stream serial;
	struct walk_setup setup = { .stream = &serial,
				    .leaf_value_size = value_size,
				    .leaf = load_leaf,
				    .ctx = l,
				    .nr_blocks =
					    MIN(s->io->size / MBLOCK_SIZE, MAX_METADATA_BLOCKS) };
	struct walk_root r = { .block = root };
	const struct walk_fault *f;
	struct walk *w;
	size_t nr;
	int ret = -ENOMEM;

	if (!one)
		return err_nomem(err, "space map");
	stream_init(&serial, s->io, one);
	w = walk_new(&setup, err);
	if (w)
		ret = walk_add(w, &r, 1, err);
	if (!ret) {
		f = walk_faults(w, &nr);
		if (nr)
			ret = err_set(err, -EUCLEAN, "node at block %llu %s",
				      (unsigned long long)f->block, node_fault_text(f->fault));
	}
	walk_free(w);
	jobs_free(one);
	return ret;
}

static int load_index(struct stream *s, const struct sm_root *root, bool metadata, struct load *l,
		      struct err *err)
{
	CLEANUP(free_ptr) void *buf = NULL;
	int r;

	if (!metadata)
		return load_tree(s, l, root->bitmap_root, sizeof(struct disk_index_entry), err);
	buf = io_alloc(MBLOCK_SIZE);
	if (!buf)
		return err_nomem(err, "index block");
	if (root->bitmap_root >= s->io->size / MBLOCK_SIZE)
		return err_set(err, -EUCLEAN, "the index block lies beyond the device");
	r = io_read(s->io, buf, MBLOCK_SIZE, root->bitmap_root * MBLOCK_SIZE, err);
	if (r < 0)
		return r;
	if (sm_index_decode(&l->index, buf, root->bitmap_root))
		return err_set(err, -EBADMSG, "the index at block %llu has a bad checksum",
			       (unsigned long long)root->bitmap_root);
	return 0;
}

static int load_all(struct stream *s, const struct sm_root *root, bool metadata, struct load *l,
		    struct err *err)
{
	int r = load_index(s, root, metadata, l, err);

	for (uint64_t i = 0; !r && i < l->index.nr; i++)
		if (!l->index.entry[i].present)
			r = err_set(err, -EUCLEAN, "bitmap %llu is missing from the index",
				    (unsigned long long)i);
	if (!r)
		r = sm_read_bitmaps(s, &l->index, load_bitmap, l, err);
	if (!r && l->bad)
		r = err_set(err, -EBADMSG, "bitmap %llu at block %llu cannot be used",
			    (unsigned long long)(l->bad - 1),
			    (unsigned long long)l->index.entry[l->bad - 1].block);
	l->overflow = true;
	return r ? r : load_tree(s, l, root->ref_count_root, 4, err);
}

/* Reads a whole map, which must be sound, as thin_check reads its parts. */
static int load_map(struct stream *s, const struct sm_root *root, bool metadata,
		    struct refmap **out, struct err *err)
{
	struct load l = { .overflow = false };
	uint64_t max =
		metadata ? MAX_METADATA_BLOCKS : s->io->size / MBLOCK_SIZE * ENTRIES_PER_BITMAP;
	const char *what = metadata ? "metadata space map" : "data space map";
	int r = -ENOMEM;

	if (root->nr_blocks > max)
		return err_set(err, -EUCLEAN, "%s: %llu blocks are impossible", what,
			       (unsigned long long)root->nr_blocks);
	l.map = refmap_new(root->nr_blocks, false);
	if (!l.map)
		err_nomem(err, "counts");
	else if (!sm_index_init(&l.index, root->nr_blocks, err))
		r = load_all(s, root, metadata, &l, err);
	sm_index_fini(&l.index);
	if (!r && refmap_failed(l.map))
		r = err_nomem(err, "counts");
	if (!r)
		*out = steal_ptr(&l.map);
	refmap_free(l.map);
	return r ? err_prefix(err, r, "%s", what) : 0;
}

static void load(struct io *io, const struct sm_root *root, bool metadata)
{
	struct refmap *counts = NULL;
	struct err err = { 0 };
	struct stream s;

	stream_init(&s, io, NULL);
	if (load_map(&s, root, metadata, &counts, &err) < 0)
		MUST(!counts && err.text[0]);
	else
		MUST(refmap_nr_blocks(counts) == root->nr_blocks &&
		     refmap_nr_allocated(counts) <= root->nr_blocks);
	refmap_free(counts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct io *io = image_new(data, len);
	struct superblock sb;

	if (superblock_open(&sb, io_mem_data(io), 0) == SB_OK) {
		load(io, &sb.metadata_sm, true);
		load(io, &sb.data_sm, false);
	}
	io_free(io);
	return 0;
}
