/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * The events so far are, in key order: leaves in the tree; then perhaps one shared leaf held back;
 * then pending entries, which are fewer than a third of a leaf as long as a leaf is held.  (A held
 * leaf that is itself too small is the device's first, and nothing is pending behind it.)
 */
#include "pool/build/device.h"

#include <errno.h>

#include "base/cleanup.h"
#include "pool/format/format.h"

#define MIN_LEAF NODE_MIN_ENTRIES(8)

int build_device_init(struct build_device *d, struct block_writer *w, struct refmap *data_counts,
		      struct err *err)
{
	*d = (struct build_device){ .data_counts = data_counts, .metadata_counts = w->counts };
	return btree_build_init(&d->tree, w, 8, err);
}

void build_device_fini(struct build_device *d)
{
	btree_build_fini(&d->tree);
}

/* Reads a shared leaf in order to copy it, and counts the data blocks of the copy. */
static int read_leaf(struct build_device *d, const struct shared_leaf *l, void *block,
		     struct node *n, struct err *err)
{
	enum node_fault f;
	int r = block_writer_read(d->tree.w, l->at, block, err);

	if (r < 0)
		return r;
	f = node_open(n, block, l->at, 8);
	if (f != NODE_OK || n->nr != l->nr)
		return err_set(err, -EIO, "block %llu, just written, reads back differently",
			       (unsigned long long)l->at);
	for (uint32_t i = 0; i < n->nr; i++)
		refmap_inc(d->data_counts, mapping_block(node_value64(n, i)));
	return 0;
}

/* Adds the held leaf to the tree without a copy. */
static int commit_held(struct build_device *d, struct err *err)
{
	if (!d->held)
		return 0;
	d->held = false;
	if (d->leaf.at < refmap_nr_blocks(d->metadata_counts))
		refmap_inc(d->metadata_counts, d->leaf.at);
	return btree_build_child(&d->tree, d->leaf.first_key, d->leaf.at, err);
}

/* Copies the held leaf in front of what is pending. */
static int copy_held(struct build_device *d, struct err *err)
{
	CLEANUP(free_ptr) void *block = io_alloc(MBLOCK_SIZE);
	struct node n;
	int r;

	if (!block)
		return err_nomem(err, "a leaf");
	r = read_leaf(d, &d->leaf, block, &n, err);
	if (r < 0)
		return r;
	d->held = false;
	btree_build_prepend(&d->tree, &n);
	return 0;
}

static int add_entries(struct build_device *d, uint64_t key, uint64_t nr, uint64_t value,
		       uint64_t step, struct err *err)
{
	int r = 0;

	if (d->held && btree_build_pending(&d->tree) + nr >= MIN_LEAF)
		r = commit_held(d, err);
	return r ? r : btree_build_add_run(&d->tree, key, nr, value, step, err);
}

/* Copies a leaf behind what is pending. */
static int copy_leaf(struct build_device *d, const struct shared_leaf *l, struct err *err)
{
	CLEANUP(free_ptr) void *block = io_alloc(MBLOCK_SIZE);
	struct node n;
	int r;

	if (!block)
		return err_nomem(err, "a leaf");
	r = read_leaf(d, l, block, &n, err);
	for (uint32_t i = 0; !r && i < n.nr; i++)
		r = add_entries(d, node_key(&n, i), 1, node_value64(&n, i), 0, err);
	return r;
}

/* A small leaf can stay only as long as it is the device's only leaf. */
static int no_longer_alone(struct build_device *d, struct err *err)
{
	struct shared_leaf l = d->leaf;

	if (!d->held || l.nr >= MIN_LEAF)
		return 0;
	d->held = false;
	return copy_leaf(d, &l, err);
}

int build_device_run(struct build_device *d, uint64_t key, uint64_t nr, uint64_t value,
		     uint64_t step, struct err *err)
{
	int r = 0;

	if (unlikely(d->held))
		r = no_longer_alone(d, err);
	return r ? r : add_entries(d, key, nr, value, step, err);
}

int build_device_leaf(struct build_device *d, const struct shared_leaf *l, struct err *err)
{
	uint32_t pending;
	bool first;
	int r;

	r = no_longer_alone(d, err);
	if (r < 0)
		return r;
	pending = btree_build_pending(&d->tree);
	first = !pending && !d->held;
	if (l->nr < MIN_LEAF && !first)
		return copy_leaf(d, l, err);
	if (pending && pending < MIN_LEAF) {
		if (!d->held)
			return copy_leaf(d, l, err);
		r = copy_held(d, err);
	} else {
		r = commit_held(d, err);
	}
	if (!r)
		r = btree_build_flush(&d->tree, err);
	d->held = true;
	d->leaf = *l;
	return r;
}

int build_device_finish(struct build_device *d, mblock_t *root, struct err *err)
{
	int r = 0;

	if (d->held && btree_build_pending(&d->tree))
		r = copy_held(d, err);
	else
		r = commit_held(d, err);
	d->held = false;
	return r ? r : btree_build_finish(&d->tree, root, err);
}
