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
#define PROVISION_MAX 16 /* blocks in one go: so long other requests wait for their cells */

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
	return err_set(err, -ENOSPC,
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
	if (r == -ENOSPC) {
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

/* Blocks that are written whole: those that lie side by side on the data device, in one piece. */
static int fill_whole(const struct fill *f, const dblock_t *to, size_t nr, struct err *err)
{
	uint64_t bs = f->d->t->block_size;
	size_t k, n;
	int r = 0;

	for (k = 0; !r && k < nr; k += n) {
		for (n = 1; k + n < nr && to[k + n] == to[k] + n;)
			n++;
		r = io_write(f->d->t->data, f->buf + k * bs, n * bs, to[k] * bs, err);
	}
	return r;
}

/* Data blocks to fill: at least one, at most *nr, which becomes how many there are.  meta is held. */
static int take_blocks(struct target *t, bool last, dblock_t *to, size_t *nr, struct err *err)
{
	size_t want = *nr;
	struct edit_space s;
	int r;

	edit_space(t->pool, &s);
	*nr = 0;
	do {
		r = take_block(t, last, &to[*nr], err);
		if (!r)
			++*nr;
		/* each needs the metadata space that take_block() asked for once */
	} while (!r && *nr < want && s.metadata_usable / s.metadata_wanted > *nr);
	return *nr && !t->failed ? 0 : r;
}

/* meta is held. */
static int map_blocks(struct target_dev *d, vblock_t v, const dblock_t *to, size_t nr, struct err *err)
{
	int r = 0;

	for (size_t k = 0; !r && k < nr; k++) {
		r = edit_map(d->t->pool, d->id, v + k, to[k], err);
		if (!r)
			target_moved(d->t, d->id, v + k, to[k]);
	}
	return r;
}

/* meta is held. */
static int give_back(struct target *t, const dblock_t *to, size_t nr)
{
	int r = 0;

	for (size_t k = 0; !r && k < nr; k++)
		r = edit_free_data(t->pool, to[k], NULL);
	return r;
}

/* The blocks' cells are held.  *nr, which becomes how many were done: more than one are written whole. */
static int provision(struct fill *f, vblock_t v, bool last, size_t *nr, struct err *err)
{
	struct target *t = f->d->t;
	dblock_t to[PROVISION_MAX];
	int r, r2;

	pthread_mutex_lock(&t->meta);
	r = take_blocks(t, last, to, nr, err);
	pthread_mutex_unlock(&t->meta);
	if (r)
		return r;
	f->to = to[0];
	r = *nr > 1 ? fill_whole(f, to, *nr, err) : fill_block(f, err);
	pthread_mutex_lock(&t->meta);
	if (r)
		r2 = give_back(t, to, *nr);
	else
		r = r2 = map_blocks(f->d, v, to, *nr, err);
	if (r2)
		t->failed = true;
	pthread_mutex_unlock(&t->meta);
	return r;
}

/* A bit for each cell of the blocks [v, v+nr). */
static uint64_t cells_of(const struct target_dev *d, vblock_t v, size_t nr)
{
	uint64_t cells = 0;

	_Static_assert(NR_CELLS == 64, "the cells fit into a word");
	for (size_t k = 0; k < nr; k++)
		cells |= UINT64_C(1) << ((v + k) * 31 + d->id) % NR_CELLS;
	return cells;
}

/* Cells are locked in the order of their numbers, so that two requests never wait for each other. */
static void lock_cells(struct target *t, uint64_t cells)
{
	for (; cells; cells &= cells - 1)
		pthread_mutex_lock(&t->cell[__builtin_ctzll(cells)]);
}

static void unlock_cells(struct target *t, uint64_t cells)
{
	for (; cells; cells &= cells - 1)
		pthread_mutex_unlock(&t->cell[__builtin_ctzll(cells)]);
}

/* How many blocks from @v on, at most *nr, have no data block of their own; *first: the block @v. */
static int find_missing(struct target_dev *d, vblock_t v, size_t *nr, struct spot *first, struct err *err)
{
	struct spot s;
	size_t k = 0;
	int r = target_lookup(d, v, first, err);

	for (s = *first; !r && s.kind != SPOT_OWN && ++k < *nr;)
		r = target_lookup(d, v + k, &s, err);
	*nr = k;
	return r;
}

int target_provision(struct target_dev *d, const void *buf, size_t len, uint64_t at, bool last,
		     uint64_t *n, struct err *err)
{
	uint64_t bs = d->t->block_size, cells;
	vblock_t v = at / bs;
	size_t nr = at % bs ? 1 : MIN(MAX(len / bs, 1), PROVISION_MAX);
	struct fill f = {
		.d = d, .buf = buf, .len = MIN(len, bs - at % bs), .at = at % bs, .start = v * bs,
	};
	int r;

	cells = cells_of(d, v, nr);
	lock_cells(d->t, cells);
	r = find_missing(d, v, &nr, &f.from, err); /* another request may have been faster */
	if (!r && !nr)
		r = io_write(d->t->data, buf, f.len, f.from.block * bs + f.at, err);
	else if (!r)
		r = provision(&f, v, last, &nr, err);
	unlock_cells(d->t, cells);
	/* the next commit will wait for what new blocks hold */
	if (!r && nr)
		writeback_add(&d->t->filled, d->t->data, nr * bs, f.to * bs);
	*n = nr > 1 ? nr * bs : f.len;
	return r;
}
