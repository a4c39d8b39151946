/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Streams are found one after the other by their lengths; workers inflate them, run the
 * instructions and write the blocks.  A block may come only once, so the order in which
 * workers write does not matter; block 0 waits for the end.
 */
#include <errno.h>
#include <libdeflate.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/overflow.h"
#include "dev/signature.h"
#include "dev/writeback.h"
#include "pool/pack/pack.h"
#include "pool/pack/impl.h"
#include "pool/format/superblock.h"

typedef unsigned long long ull;

#define STREAM_MAX ((size_t)32 << 20)  /* bytes of a stream, deflated or inflated */
#define FIRST_CAP ((size_t)5 << 20)	/* what the streams of all packers so far inflate to, at most */
#define WRITE_BLOCKS 64
#define WRITE_FIRST 8 /* blocks of the first writes: a small pool touches little of the buffer */
#define RESERVE_BLOCKS ((mblock_t)1024) /* for which a new file gets space at a time */

struct unpack_worker {
	struct libdeflate_decompressor *inflate;
	uint8_t *packed, *coded;
	size_t packed_cap, coded_cap;
	uint8_t *blocks; /* WRITE_BLOCKS consecutive ones: [first, first + nr) */
	mblock_t first;
	size_t nr;
};

struct unpack_slot {
	uint64_t at; /* of the stream in the file */
	size_t len;
};

struct unpacker {
	struct io *in, *out;
	struct superblock_mark mark;
	bool zeroed; /* @out reads as zeros already */
	uint64_t nr_blocks, at;
	uint8_t *seen; /* a bit a block; set atomically */
	_Atomic uint64_t nr_seen, written;
	uint8_t *reserved; /* a bit for RESERVE_BLOCKS blocks; set atomically */
	_Atomic uint64_t nr_reserved; /* blocks */
	uint8_t superblock[MBLOCK_SIZE]; /* written by the worker that sets its bit in seen */
	struct unpack_worker *worker;
	unsigned nr_workers;
	struct unpack_slot *slot;
};

/* Says what @in is, judging by its beginning. */
static int not_packed(struct io *in, struct err *err)
{
	CLEANUP(free_ptr) uint8_t *head = io_alloc(SIGNATURE_LEN);
	size_t len = (size_t)MIN(in->size, SIGNATURE_LEN);
	const struct disk_superblock *sb = (const void *)head;
	const char *name = NULL;
	struct err ignored = { 0 };

	if (head && !io_read(in, head, len, 0, &ignored))
		name = len >= MBLOCK_SIZE && le64_get(sb->magic) == THIN_MAGIC ?
			       "a pool's metadata, which is not packed" :
			       signature_name(head, len);
	return err_set(err, -EINVAL, "Not a pack file: %s%s%s", in->name, name ? " holds " : "",
		       name ? name : "");
}

int pack_read_header(struct io *in, struct pack_header *h, struct err *err)
{
	le64 v[4];
	int e;

	if (in->size < sizeof(v))
		return err_set(err, -EINVAL, "Not a pack file: %s is too small", in->name);
	e = io_read(in, v, sizeof(v), 0, err);
	if (e < 0)
		return e;
	if (le64_get(v[0]) != PACK_MAGIC)
		return not_packed(in, err);
	if (le64_get(v[1]) != PACK_VERSION)
		return err_set(err, -EINVAL, "%s: unsupported pack file version (%llu).", in->name,
			       (ull)le64_get(v[1]));
	if (le64_get(v[2]) != MBLOCK_SIZE)
		return err_set(err, -EINVAL, "%s: block size is not %d", in->name, MBLOCK_SIZE);
	h->nr_blocks = le64_get(v[3]);
	if (!h->nr_blocks || h->nr_blocks > MAX_METADATA_BLOCKS)
		return err_set(err, -EINVAL, "%s: %llu blocks is not a possible metadata size", in->name,
			       (ull)h->nr_blocks);
	return 0;
}

static int bad_stream(const struct unpacker *u, const struct unpack_slot *s, struct err *err,
		      const char *what)
{
	return err_set(err, -EBADMSG, "%s: the stream at byte %llu is damaged: %s", u->in->name,
		       (ull)s->at, what);
}

static int unpack_produce(void *ctx, size_t slot, struct err *err)
{
	struct unpacker *u = ctx;
	struct unpack_slot *s = &u->slot[slot];
	uint64_t left = u->in->size - u->at;
	le64 len;
	int e;

	if (!left)
		return 0;
	s->at = u->at;
	if (left < sizeof(len))
		return bad_stream(u, s, err, "the file ends inside the stream's length");
	e = io_read(u->in, &len, sizeof(len), u->at, err);
	if (e < 0)
		return e;
	left -= sizeof(len);
	if (!le64_get(len) || le64_get(len) > STREAM_MAX)
		return bad_stream(u, s, err, "its length is impossible");
	if (le64_get(len) > left)
		return bad_stream(u, s, err, "the file has been cut off");
	s->len = (size_t)le64_get(len);
	u->at += sizeof(len) + s->len;
	return 1;
}

static int worker_init(struct unpack_worker *w, struct err *err)
{
	if (w->inflate)
		return 0;
	w->blocks = io_alloc((size_t)WRITE_BLOCKS * MBLOCK_SIZE);
	w->inflate = libdeflate_alloc_decompressor();
	return w->blocks && w->inflate ? 0 : err_nomem(err, "unpacking");
}

static int reserve(uint8_t **buf, size_t *cap, size_t need, struct err *err)
{
	if (*cap >= need)
		return 0;
	free(*buf);
	*buf = malloc(need);
	*cap = *buf ? need : 0;
	return *buf ? 0 : err_nomem(err, "unpacking");
}

/* *@len: of the records in w->coded. */
static int inflate(struct unpacker *u, struct unpack_worker *w, const struct unpack_slot *s,
		   size_t *len, struct err *err)
{
	enum libdeflate_result r = LIBDEFLATE_INSUFFICIENT_SPACE;
	size_t used, cap = FIRST_CAP;
	int e = reserve(&w->packed, &w->packed_cap, s->len, err);

	if (!e)
		e = io_read(u->in, w->packed, s->len, s->at + 8, err);
	for (; !e && r == LIBDEFLATE_INSUFFICIENT_SPACE && cap <= STREAM_MAX; cap *= 2) {
		e = reserve(&w->coded, &w->coded_cap, cap, err);
		if (!e)
			r = libdeflate_zlib_decompress_ex(w->inflate, w->packed, s->len, w->coded,
							  w->coded_cap, &used, len);
	}
	if (e < 0)
		return e;
	if (r == LIBDEFLATE_INSUFFICIENT_SPACE)
		return bad_stream(u, s, err, "it inflates to more than a stream may hold");
	if (r != LIBDEFLATE_SUCCESS || used != s->len)
		return bad_stream(u, s, err, "it cannot be inflated");
	return 0;
}

static bool set_bit(uint8_t *bits, uint64_t i)
{
	uint8_t bit = (uint8_t)(1u << i % 8);

	return !(__atomic_fetch_or(&bits[i / 8], bit, __ATOMIC_RELAXED) & bit);
}

/*
 * Reserves space for the blocks around @b, as long as most of what was reserved got written: a pool
 * with a few blocks here and there shall not need much more space than its blocks, not even for a while.
 * Less than RESERVE_BLOCKS, all that a small pool has, is not worth the calls.
 */
static void reserve_space(struct unpacker *u, mblock_t b)
{
	mblock_t begin = b - b % RESERVE_BLOCKS, len = MIN(RESERVE_BLOCKS, u->nr_blocks - begin);

	if (len < RESERVE_BLOCKS || u->nr_reserved > u->nr_seen + u->nr_seen / 4 + RESERVE_BLOCKS ||
	    !set_bit(u->reserved, b / RESERVE_BLOCKS))
		return;
	u->nr_reserved += len;
	io_will_write(u->out, begin * MBLOCK_SIZE, len * MBLOCK_SIZE);
}

static int flush_blocks(struct unpacker *u, struct unpack_worker *w, struct err *err)
{
	const size_t nr = w->nr;
	const uint64_t len = nr * MBLOCK_SIZE, at = w->first * MBLOCK_SIZE;
	int e;

	w->nr = 0;
	if (!nr || !u->out)
		return 0;
	reserve_space(u, w->first);
	reserve_space(u, w->first + nr - 1);
	e = io_write(u->out, w->blocks, len, at, err);
	if (!e)
		writeback_add(&u->written, u->out, len, at);
	return e;
}

static int take_block(struct unpacker *u, struct unpack_worker *w, const struct unpack_slot *s,
		      mblock_t b, struct err *err)
{
	uint8_t *data = w->blocks + w->nr * MBLOCK_SIZE;
	char what[80];
	uint64_t most;
	int e;

	if (b >= u->nr_blocks || !set_bit(u->seen, b)) {
		snprintf(what, sizeof(what),
			 b < u->nr_blocks ? "block %llu occurs twice" :
					    "block %llu is beyond the end of the metadata",
			 (ull)b);
		return bad_stream(u, s, err, what);
	}
	u->nr_seen++;
	if (!b) {
		memcpy(u->superblock, data, MBLOCK_SIZE);
		return 0;
	}
	if (w->nr && b != w->first + w->nr) {
		e = flush_blocks(u, w, err);
		if (e < 0)
			return e;
		memcpy(w->blocks, data, MBLOCK_SIZE);
	}
	if (!w->nr)
		w->first = b;
	w->nr++;
	most = MIN(MAX(WRITE_FIRST, u->nr_seen / 4), WRITE_BLOCKS);
	return w->nr >= most ? flush_blocks(u, w, err) : 0;
}

static int unpack_work(void *ctx, unsigned worker, size_t slot, struct err *err)
{
	struct unpacker *u = ctx;
	struct unpack_worker *w = &u->worker[worker];
	const struct unpack_slot *s = &u->slot[slot];
	const uint8_t *p, *end;
	const char *fault;
	size_t len = 0;
	mblock_t b;
	int e = worker_init(w, err);

	if (!e)
		e = inflate(u, w, s, &len, err);
	if (e < 0)
		return e;
	for (p = w->coded, end = p + len; p < end;) {
		fault = pack_decode(&p, end, &b, w->blocks + w->nr * MBLOCK_SIZE);
		if (fault)
			return bad_stream(u, s, err, fault);
		e = take_block(u, w, s, b, err);
		if (e < 0)
			return e;
	}
	return flush_blocks(u, w, err);
}

static bool has_bit(const uint8_t *bits, uint64_t i)
{
	return bits[i / 8] >> i % 8 & 1;
}

/* Makes the blocks [b, end) read as zeros.  @zeros: made when first needed. */
static int zero_blocks(struct unpacker *u, mblock_t b, mblock_t end, uint8_t **zeros,
		       struct err *err)
{
	uint64_t at = b * MBLOCK_SIZE, len = (end - b) * MBLOCK_SIZE;

	if (!io_punch(u->out, at, len, NULL) || u->zeroed)
		return 0;
	if (!*zeros) {
		*zeros = io_alloc((size_t)PACK_GROUP * MBLOCK_SIZE);
		if (!*zeros)
			return err_nomem(err, "zeros");
		memset(*zeros, 0, (size_t)PACK_GROUP * MBLOCK_SIZE);
	}
	return io_write(u->out, *zeros, len, at, err);
}

/*
 * Blocks that the file does not hold read as zeros, whatever the device held before, and take no
 * space in a new file.
 */
static int zero_gaps(struct unpacker *u, struct err *err)
{
	CLEANUP(free_ptr) uint8_t *zeros = NULL;
	mblock_t b, end;
	int e = 0;

	for (b = 1; b < u->nr_blocks && !e; b = end) {
		bool there = has_bit(u->seen, b);
		bool spaced = has_bit(u->reserved, b / RESERVE_BLOCKS);

		for (end = b + 1; end < u->nr_blocks && end - b < PACK_GROUP; end++)
			if (has_bit(u->seen, end) != there ||
			    has_bit(u->reserved, end / RESERVE_BLOCKS) != spaced)
				break;
		if (!there && (spaced || !u->zeroed))
			e = zero_blocks(u, b, end, &zeros, err);
	}
	return e;
}

static int write_superblock(struct unpacker *u, struct err *err)
{
	CLEANUP(free_ptr) void *block = io_alloc(MBLOCK_SIZE);
	int e = io_flush(u->out, err);

	if (e < 0)
		return e;
	if (!block)
		return err_nomem(err, "superblock");
	memcpy(block, u->superblock, MBLOCK_SIZE);
	superblock_mark_ends(&u->mark);
	e = io_write(u->out, block, MBLOCK_SIZE, 0, err);
	return e < 0 ? e : io_flush(u->out, err);
}

static void fill_stats(struct unpacker *u, struct unpack_stats *st)
{
	enum sb_fault fault;
	struct superblock sb;

	st->nr_blocks = u->nr_seen;
	st->has_superblock = u->seen[0] & 1;
	st->nr_allocated = 0;
	fault = superblock_open(&sb, u->superblock, 0);
	st->superblock_is_zero = fault == SB_ALL_ZERO;
	if (fault == SB_OK)
		st->nr_allocated = MIN(sb.metadata_sm.nr_allocated, u->nr_blocks);
}

static int unpacker_init(struct unpacker *u, struct jobs *jobs, struct err *err)
{
	u->nr_workers = jobs_nr(jobs);
	u->worker = calloc(u->nr_workers, sizeof(*u->worker));
	u->slot = calloc(u->nr_workers + 2, sizeof(*u->slot));
	u->seen = calloc(u->nr_blocks / 8 + 1, 1);
	u->reserved = calloc(u->nr_blocks / RESERVE_BLOCKS / 8 + 1, 1);
	return u->worker && u->slot && u->seen && u->reserved ? 0 : err_nomem(err, "unpacking");
}

static void unpacker_free(struct unpacker *u)
{
	unsigned i;

	for (i = 0; u->worker && i < u->nr_workers; i++) {
		free(u->worker[i].blocks);
		free(u->worker[i].packed);
		free(u->worker[i].coded);
		if (u->worker[i].inflate)
			libdeflate_free_decompressor(u->worker[i].inflate);
	}
	free(u->worker);
	free(u->slot);
	free(u->seen);
	free(u->reserved);
	free(u);
}

int unpack_file(struct io *in, const struct pack_header *h, const struct unpack_output *out,
		struct jobs *jobs, struct unpack_stats *stats, struct err *err)
{
	struct unpacker *u = calloc(1, sizeof(*u));
	struct jobs_pipe pipe = { .produce = unpack_produce, .work = unpack_work, .ctx = u };
	int e;

	if (!u)
		return err_nomem(err, "unpacking");
	u->in = in;
	u->out = out->io;
	u->mark = out->mark;
	u->zeroed = out->zeroed;
	u->nr_blocks = h->nr_blocks;
	u->at = PACK_HEADER_LEN;
	e = unpacker_init(u, jobs, err);
	pipe.nr_slots = u->nr_workers + 2;
	if (!e && u->out)
		e = superblock_invalidate(u->out, &u->mark, err);
	if (!e)
		e = jobs_pipe(jobs, &pipe, err);
	if (!e && u->out)
		e = zero_gaps(u, err);
	if (!e && u->out)
		e = write_superblock(u, err);
	if (!e)
		fill_stats(u, stats);
	unpacker_free(u);
	return e;
}
