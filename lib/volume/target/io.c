/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Requests: read, write, discard, zero, and what is where. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/overflow.h"
#include "volume/map/holes.h"
#include "volume/target/impl.h"

#define ZERO_MAX (1u << 20)
#define UNMAP_BLOCKS 4096 /* unmapped in one go: that many leaves at most are copied for it */
#define UNMAP_BLOCKS_SHORT 64 /* the same when metadata space is short */
#define UNMAP_METADATA 128 /* metadata blocks that this may take */

int target_check_range(const struct target_dev *d, uint64_t len, uint64_t at, struct err *err)
{
	uint64_t end;

	if (!add_overflow(at, len, &end) && end <= d->size)
		return 0;
	return err_set(err, -EINVAL, "device %u: offset %llu, length %llu lie beyond the end (%llu)",
		       d->id, (unsigned long long)at, (unsigned long long)len,
		       (unsigned long long)d->size);
}

/*
 * Where the byte @at is, and in *n for how many bytes, at most @max, that goes on in one
 * piece: unmapped, or mapped to data blocks that follow each other.
 */
static int find_piece(struct target_dev *d, uint64_t at, uint64_t max, struct spot *s,
		      uint64_t *n, struct err *err)
{
	uint64_t bs = d->t->block_size, got = bs - at % bs;
	vblock_t v = at / bs;
	struct spot next;
	int r = target_lookup(d, v, s, err);

	for (dblock_t k = 1; !r && got < max; k++, got += bs) {
		r = target_lookup(d, v + k, &next, err);
		if (r || next.kind != s->kind)
			break;
		if (s->kind != SPOT_NONE && next.block != s->block + k)
			break;
	}
	*n = MIN(got, max);
	return r;
}

int target_read(struct target_dev *d, void *buf, size_t len, uint64_t at, struct err *err)
{
	uint64_t bs = d->t->block_size, n;
	struct spot s;
	int r = target_check_range(d, len, at, err);

	if (r)
		return r;
	pthread_rwlock_rdlock(&d->t->io);
	for (uint8_t *p = buf; !r && len; p += n, at += n, len -= n) {
		r = find_piece(d, at, len, &s, &n, err);
		if (r)
			break;
		if (s.kind == SPOT_NONE)
			r = target_read_origin(d, p, n, at, err);
		else
			r = io_read(d->t->data, p, n, s.block * bs + at % bs, err);
	}
	pthread_rwlock_unlock(&d->t->io);
	return r;
}

/* Writes as much as can be written at once; *n: how much. */
static int write_piece(struct target_dev *d, const uint8_t *p, size_t len, uint64_t at,
		       bool last, uint64_t *n, struct err *err)
{
	uint64_t bs = d->t->block_size;
	struct spot s;
	int r;

	if (!d->t->data_writable)
		return err_set(err, -EROFS, "the pool can only be read");
	r = target_lookup(d, at / bs, &s, err);
	if (!r && s.kind == SPOT_OWN)
		r = find_piece(d, at, len, &s, n, err);
	if (r)
		return r;
	if (s.kind == SPOT_OWN)
		return io_write(d->t->data, p, *n, s.block * bs + at % bs, err);
	*n = MIN(len, bs - at % bs); /* new places are found block by block */
	return target_provision(d, p, *n, at, last, err);
}

int target_write(struct target_dev *d, const void *buf, size_t len, uint64_t at, struct err *err)
{
	struct target *t = d->t;
	const uint8_t *p = buf;
	bool last = false;
	uint64_t n;
	int r = target_check_range(d, len, at, err);

	while (!r && len) {
		pthread_rwlock_rdlock(&t->io);
		while (len) {
			r = write_piece(d, p, len, at, last, &n, err);
			if (r)
				break;
			p += n;
			at += n;
			len -= n;
			last = false;
		}
		pthread_rwlock_unlock(&t->io);
		if (r != -EAGAIN)
			break;
		r = target_flush(t, err); /* gives back what this transaction has freed */
		last = true;
	}
	if (t->failed)
		target_give_up(t);
	return r;
}

static int first_mapped(void *ctx, vblock_t v, const struct mapping *m)
{
	(void)m;
	*(vblock_t *)ctx = v;
	return 1;
}

/*
 * Room for one step of a discard of *nr blocks, of fewer when space is short; io is held
 * exclusively.  A discard gives space back, so it may use the reserve.
 */
static int unmap_space(struct target *t, uint64_t *nr, struct err *err)
{
	struct edit_space s;
	int r;

	*nr = UNMAP_BLOCKS;
	edit_space(t->pool, &s);
	if (s.metadata_usable >= s.metadata_wanted + UNMAP_METADATA)
		return 0;
	r = target_commit_locked(t, err);
	if (r)
		return r;
	edit_space(t->pool, &s);
	if (s.metadata_left >= s.metadata_wanted + UNMAP_METADATA)
		return 0;
	*nr = UNMAP_BLOCKS_SHORT;
	return s.metadata_left >= s.metadata_wanted ? 0 : target_space(t, true, err);
}

/* Does one step and moves *begin on.  io is held exclusively. */
static int unmap_some(struct target_dev *d, vblock_t *begin, vblock_t end, struct err *err)
{
	struct target *t = d->t;
	vblock_t from = 0, to;
	uint64_t nr;
	int r = edit_each_mapping(t->pool, d->id, *begin, end, first_mapped, &from, err);

	if (r < 0)
		return r;
	*begin = end;
	if (!r)
		return 0;
	r = unmap_space(t, &nr, err);
	if (r)
		return r;
	to = *begin = MIN(from + nr, end);
	edit_collect_freed(t->pool, t->opt.no_passdown ? NULL : &t->freed);
	t->changed = true;
	r = edit_unmap(t->pool, d->id, from, to, NULL, err);
	edit_collect_freed(t->pool, NULL);
	target_forget(t, d->id, from, to);
	if (r)
		t->failed = true;
	return r;
}

static int unmap(struct target_dev *d, vblock_t begin, vblock_t end, struct err *err)
{
	struct target *t = d->t;
	int r = 0;

	while (!r && begin < end) {
		pthread_rwlock_wrlock(&t->io);
		if (!t->writable || t->failed)
			r = err_set(err, -EROFS, "the pool is read-only");
		else
			r = unmap_some(d, &begin, end, err);
		pthread_rwlock_unlock(&t->io);
	}
	if (t->failed)
		target_give_up(t);
	return r;
}

int target_discard(struct target_dev *d, uint64_t len, uint64_t at, struct err *err)
{
	uint64_t bs = d->t->block_size;
	int r = target_check_range(d, len, at, err);

	if (r || d->t->opt.ignore_discard)
		return r;
	return unmap(d, div_up(at, bs), (at + len) / bs, err);
}

static int write_zeros(struct target_dev *d, uint64_t len, uint64_t at, struct err *err)
{
	CLEANUP(free_ptr) void *zeros = NULL;
	uint64_t n;
	int r = 0;

	if (!len)
		return 0;
	zeros = io_alloc(MIN(len, ZERO_MAX));
	if (!zeros)
		return err_nomem(err, "zeros");
	memset(zeros, 0, MIN(len, ZERO_MAX));
	for (; !r && len; at += n, len -= n) {
		n = MIN(len, ZERO_MAX);
		r = target_write(d, zeros, n, at, err);
	}
	return r;
}

/*
 * Do the bytes at @at read as zeros where nothing is mapped?  *len: of how many that is true, at most as many as it was.  Of the
 * origin's bytes only those of a hole count.
 */
static bool is_zero_below(const struct target_dev *d, uint64_t *len, uint64_t at)
{
	struct holes holes;
	uint64_t of_origin, n;
	bool is_data;

	if (at >= d->origin_size)
		return true;
	of_origin = MIN(*len, d->origin_size - at);
	holes_init(&holes, d->origin);
	n = holes_segment(&holes, at, of_origin, &is_data);
	if (is_data || n < of_origin)
		*len = n;
	return !is_data;
}

/* Zeros over part of one block: none are needed where it is unmapped and reads as zeros. */
static int zero_part(struct target_dev *d, uint64_t len, uint64_t at, struct err *err)
{
	struct spot s = { SPOT_OWN, 0 };
	uint64_t alike = len;
	int r = 0;

	if (!len)
		return 0;
	if (is_zero_below(d, &alike, at) && alike == len) {
		pthread_rwlock_rdlock(&d->t->io);
		r = target_lookup(d, at / d->t->block_size, &s, err);
		pthread_rwlock_unlock(&d->t->io);
	}
	return r || s.kind == SPOT_NONE ? r : write_zeros(d, len, at, err);
}

/* The whole blocks from byte @from to byte @to. */
static int zero_whole(struct target_dev *d, uint64_t from, uint64_t to, struct err *err)
{
	const uint64_t bs = d->t->block_size;
	uint64_t n;
	int r = 0;

	for (; from < to && !r; from += n) {
		n = to - from;
		if (is_zero_below(d, &n, from) && n >= bs) {
			n = n / bs * bs;
			r = unmap(d, from / bs, (from + n) / bs, err);
		} else {
			n = MIN(round_up(n, bs), to - from);
			r = write_zeros(d, n, from, err);
		}
	}
	return r;
}

int target_zero(struct target_dev *d, uint64_t len, uint64_t at, bool may_unmap, struct err *err)
{
	uint64_t bs = d->t->block_size, end = at + len;
	uint64_t from, to; /* the whole blocks */
	int r = target_check_range(d, len, at, err);

	if (r)
		return r;
	/* Where new blocks are not zeroed, zeros last only as data: a later write to another part of
	 * an unmapped block would let old bytes shine through. */
	if (!may_unmap || d->t->opt.ignore_discard || d->t->opt.skip_zeroing)
		return write_zeros(d, len, at, err);
	from = round_up(at, bs);
	to = end / bs * bs;
	if (from > to)
		return zero_part(d, len, at, err);
	r = zero_part(d, from - at, at, err);
	if (!r)
		r = zero_whole(d, from, to, err);
	return r ? r : zero_part(d, end - to, to, err);
}
