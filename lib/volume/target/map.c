/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Provisions blocks. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "dev/writeback.h"
#include "volume/target/impl.h"

#define COPY_MAX (1u << 20)

int target_read_origin(struct target_dev *d, void *buf, size_t len, uint64_t at, struct err *err)
{
	size_t there = at < d->origin_size ? (size_t)MIN(len, d->origin_size - at) : 0;

	memset((uint8_t *)buf + there, 0, len - there);
	if (!there)
		return 0;
	return io_read(d->origin, buf, there, at, err);
}

int target_space(struct target *t, bool last, struct err *err)
{
	struct edit_space s;

	edit_space(t->pool, &s);
	if (s.metadata_usable >= s.metadata_wanted)
		return 0;
	if (!last)
		return -EAGAIN;
	return err_set(err, -EXFULL,
		       "out of metadata space: %llu of %llu blocks are free, and the kernel keeps "
		       "some of them in reserve: delete snapshots, or give the pool a larger metadata device",
		       (unsigned long long)s.metadata_free, (unsigned long long)s.metadata_total);
}

/* A data block to fill.  meta is held. */
static int take_block(struct target *t, bool last, dblock_t *block, struct err *err)
{
	struct edit_space s;
	int r;

	if (!t->writable || t->failed)
		return err_set(err, -EROFS, "the pool is read-only");
	r = target_space(t, last, err);
	if (r)
		return r;
	t->changed = true;
	r = edit_alloc_data(t->pool, block, err);
	if (r == -EXFULL) {
		edit_space(t->pool, &s);
		return last || !s.data_free ? r : -EAGAIN;
	}
	if (r)
		t->failed = true;
	return r;
}

struct fill {
	struct target_dev *d;
	struct spot from;
	dblock_t to;
	const uint8_t *buf; /* the write, at offset @at of the block */
	size_t len;
	uint64_t at;
	uint64_t start; /* of the block in the device, bytes */
};

/* Reads the old contents of the block. */
static int read_old(const struct fill *f, uint8_t *to, size_t len, uint64_t at, struct err *err)
{
	if (f->from.kind == SPOT_SHARED)
		return io_read(f->d->t->data, to, len, f->from.block * f->d->t->block_size + at,
			       err);
	return target_read_origin(f->d, to, len, f->start + at, err);
}

/* Bytes [at, at+len) of the new block: old contents with the write over them. */
static int fill_piece(const struct fill *f, uint8_t *piece, size_t len, uint64_t at,
		      struct err *err)
{
	uint64_t begin = MAX(at, f->at), end = MIN(at + len, f->at + f->len);
	uint64_t to = f->to * f->d->t->block_size + at;
	int r;

	if (begin == at && end == at + len)
		return io_write(f->d->t->data, f->buf + (at - f->at), len, to, err);
	r = read_old(f, piece, len, at, err);
	if (r)
		return r;
	if (begin < end)
		memcpy(piece + (begin - at), f->buf + (begin - f->at), end - begin);
	return io_write(f->d->t->data, piece, len, to, err);
}

/*
 * How much of the block must be filled: without zeroing, the part behind the origin's end keeps old
 * bytes.
 */
static uint64_t fill_len(const struct fill *f)
{
	const struct target_dev *d = f->d;

	if (f->from.kind == SPOT_SHARED || !d->t->opt.skip_zeroing)
		return d->t->block_size;
	if (f->start >= d->origin_size)
		return 0;
	return MIN(d->t->block_size, d->origin_size - f->start);
}

/* Pieces of [0, len) of the new block. */
static int fill_pieces(const struct fill *f, uint64_t len, struct err *err)
{
	CLEANUP(free_ptr) uint8_t *piece = NULL;
	uint64_t at, n;
	int r = 0;

	if (!len)
		return 0;
	piece = io_alloc(MIN(len, COPY_MAX));
	if (!piece)
		return err_nomem(err, "copying a block");
	for (at = 0; !r && at < len; at += n) {
		n = MIN(len - at, COPY_MAX);
		r = fill_piece(f, piece, n, at, err);
	}
	return r;
}

static int fill_block(const struct fill *f, struct err *err)
{
	struct target *t = f->d->t;
	struct fill old = *f;
	int r = 0;

	if (f->len < t->block_size && fill_len(f) == t->block_size)
		return fill_pieces(f, t->block_size, err);
	if (f->len < t->block_size) {
		old.len = 0;
		r = fill_pieces(&old, fill_len(f), err);
	}
	return r ? r : io_write(t->data, f->buf, f->len, f->to * t->block_size + f->at, err);
}

/* The block's cell is held. */
static int provision(struct fill *f, vblock_t v, bool last, struct err *err)
{
	struct target *t = f->d->t;
	int r, r2;

	pthread_mutex_lock(&t->meta);
	r = take_block(t, last, &f->to, err);
	pthread_mutex_unlock(&t->meta);
	if (r)
		return r;
	r = fill_block(f, err);
	pthread_mutex_lock(&t->meta);
	if (r) {
		r2 = edit_free_data(t->pool, f->to, NULL);
	} else {
		r = r2 = edit_map(t->pool, f->d->id, v, f->to, err);
		if (!r)
			target_moved(t, f->d->id, v, f->to);
	}
	if (r2)
		t->failed = true;
	pthread_mutex_unlock(&t->meta);
	return r;
}

static pthread_mutex_t *cell_of(struct target_dev *d, vblock_t v)
{
	return &d->t->cell[(v * 31 + d->id) % NR_CELLS];
}

int target_provision(struct target_dev *d, const void *buf, size_t len, uint64_t at, bool last,
		     struct err *err)
{
	uint64_t bs = d->t->block_size;
	vblock_t v = at / bs;
	struct fill f = {
		.d = d, .buf = buf, .len = len, .at = at % bs, .start = v * bs,
	};
	pthread_mutex_t *cell = cell_of(d, v);
	int r;

	pthread_mutex_lock(cell);
	r = target_lookup(d, v, &f.from, err); /* another request may have been faster */
	if (!r && f.from.kind == SPOT_OWN)
		r = io_write(d->t->data, buf, len, f.from.block * bs + f.at, err);
	else if (!r)
		r = provision(&f, v, last, err);
	pthread_mutex_unlock(cell);
	/* the next commit will wait for what new blocks hold */
	if (!r && f.from.kind != SPOT_OWN)
		writeback_add(&d->t->filled, d->t->data, bs, f.to * bs);
	return r;
}
