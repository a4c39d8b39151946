/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Records by bucket, as few bytes as possible: fresh memory costs more time than the coding.
 *
 * A record is a head (the data block within the bucket, and three bits), the difference of the
 * virtual block to the record before it in 1, 2, 4 or 8 bytes, and, unless it is one
 * block with the same owners as the record before it, length and set: one byte and two where they are
 * that small.  The head has two or four bytes where bucket and bits fit into them.  Most runs of a fragmented pool take
 * four bytes, and others six to nine.
 *
 * The bytes of a bucket are a chain of chunks, chunks are cut from slabs.  A bucket's first chunk is small, as
 * many pools have few runs, and each chunk is as long as those before it together, up to CHUNK_MAX.  When all workers
 * together have used their limit, further records are coded into one chunk that is never read: so
 * the space that each bucket would have needed is known at the end.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/pages.h"
#include "base/vec.h"
#include "pool/rmap/impl.h"

#define CHUNK_MIN    64u
#define CHUNK_MAX    512u
#define SLAB_LEN ((size_t)2 << 20) /* a huge page */
#define RECORD_LEN   32u /* bytes of the longest record and more; as many may be touched for any */

#define HEAD_BITS 3u
#define HEAD_WIDTH 3u /* log2 of the bytes of the difference */
#define HEAD_MORE 4u  /* length and set follow */
#define LEN_BYTES    1u
#define SET_BYTES    2u
#define NARROW_SHIFT (16 - HEAD_BITS)
#define MEDIUM_SHIFT (32 - HEAD_BITS)

struct rmap_chunk {
	struct rmap_chunk *next;
	uint8_t *end; /* of the records, once there is a next chunk */
	uint8_t data[];
};
static_assert(CHUNK_MIN > sizeof(struct rmap_chunk) + RECORD_LEN, "a record begins in each chunk");

struct rmap_slab {
	struct rmap_slab *next;
	uint8_t *chunks; /* SLAB_LEN */
};

struct rmap_stream {
	uint8_t *at, *limit; /* no record begins at or after the limit */
	struct rmap_chunk *first, *last;
	uint64_t len; /* of all chunks */
	vblock_t v; /* of the record before */
	uint32_t set;
} __attribute__((aligned(64)));
static_assert(sizeof(struct rmap_stream) == 64, "one cache line");

int rmap_store_init(const struct rmap *m, struct rmap_store *s)
{
	s->stream_len = MAX(m->nr_buckets * sizeof(*s->stream), PAGES_LARGE);
	s->stream = pages_new(s->stream_len);
	s->waste = malloc(CHUNK_MAX);
	return s->stream && s->waste ? 0 : -ENOMEM;
}

static void free_slabs(struct rmap_slab *slab)
{
	while (slab) {
		struct rmap_slab *next = slab->next;

		free(slab->chunks);
		free(slab);
		slab = next;
	}
}

void rmap_store_fini(struct rmap_store *s)
{
	pages_free(s->stream, s->stream_len);
	free(s->waste);
	free(s->edge);
	free_slabs(s->slab);
	free_slabs(s->spare);
}

void rmap_store_clear(const struct rmap *m, struct rmap_store *s)
{
	memset(s->stream, 0, m->nr_buckets * sizeof(*s->stream));
	while (s->slab) {
		struct rmap_slab *slab = s->slab;

		s->slab = slab->next;
		slab->next = s->spare;
		s->spare = slab;
	}
}

static int next_slab(struct rmap_store *s)
{
	struct rmap_slab *slab = s->spare;

	if (slab) {
		s->spare = slab->next;
	} else {
		slab = malloc(sizeof(*slab));
		if (!slab)
			return -ENOMEM;
		slab->chunks = aligned_alloc(SLAB_LEN, SLAB_LEN);
		if (!slab->chunks) {
			free(slab);
			return -ENOMEM;
		}
		/*
		 * a small pool uses little of its one slab, but a huge page would be cleared
		 * completely
		 */
		(void)madvise(slab->chunks, SLAB_LEN, s->slab ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	}
	slab->next = s->slab;
	s->slab = slab;
	s->slab_used = 0;
	return 0;
}

static int next_chunk(struct rmap *m, struct rmap_store *s, struct rmap_stream *to)
{
	const size_t len = MIN(CHUNK_MAX, to->len + CHUNK_MIN);
	struct rmap_chunk *c;

	to->len += len;
	if (to->last)
		to->last->end = to->at;
	if (atomic_fetch_add_explicit(&m->nr_kept, len, memory_order_relaxed) + len > m->max_kept) {
		to->at = s->waste;
		to->limit = s->waste + len - sizeof(*c) - RECORD_LEN;
		to->last = NULL;
		return 0;
	}
	if ((!s->slab || s->slab_used + len > SLAB_LEN) && next_slab(s))
		return -ENOMEM;
	c = (struct rmap_chunk *)(s->slab->chunks + s->slab_used);
	s->slab_used += len;
	c->next = NULL;
	if (to->last)
		to->last->next = c;
	else
		to->first = c;
	to->last = c;
	to->at = c->data;
	to->limit = (uint8_t *)c + len - RECORD_LEN;
	return 0;
}

static uint8_t *put(uint8_t *p, uint64_t v, unsigned width)
{
	le64 le = le64_make(v);

	memcpy(p, &le, sizeof(le)); /* more than wanted: there is room */
	return p + width;
}

static uint64_t get(const uint8_t *p, unsigned width)
{
	le64 le;

	memcpy(&le, p, sizeof(le));
	return le64_get(le) & UINT64_MAX >> (64 - 8 * width);
}

/* A number in @few bytes, or in four behind as many bits set. */
static uint8_t *put_small(uint8_t *p, uint32_t v, unsigned few)
{
	const uint32_t all = (UINT32_C(1) << 8 * few) - 1;

	if (likely(v < all))
		return put(p, v, few);
	return put(put(p, all, few), v, 4);
}

static uint32_t get_small(const uint8_t **p, unsigned few)
{
	const uint32_t all = (UINT32_C(1) << 8 * few) - 1;
	uint32_t v = (uint32_t)get(*p, few);

	*p += few;
	if (unlikely(v == all)) {
		v = (uint32_t)get(*p, 4);
		*p += 4;
	}
	return v;
}

/* What lies beyond the data device (damage) is in the last bucket, however far. */
static unsigned head_len(const struct rmap *m, uint32_t bucket)
{
	if (bucket == m->nr_buckets - 1 || m->shift > MEDIUM_SHIFT)
		return 8;
	return m->shift > NARROW_SHIFT ? 4 : 2;
}

int rmap_store_put(struct rmap *m, void *store, const struct rmap_record *rec)
{
	struct rmap_store *s = store;
	uint32_t b = rmap_bucket(m, rec->d);
	struct rmap_stream *to = &s->stream[b];
	uint64_t head, step, up;
	unsigned width;
	uint8_t *p;

	if (b < m->bucket_begin || b >= m->bucket_end)
		return 0;
	if (to->at >= to->limit && next_chunk(m, s, to))
		return -ENOMEM;
	up = rec->v - to->v;
	step = up << 1 ^ (up >> 63 ? UINT64_MAX : 0); /* small for small steps either way */
	width = step <= UINT8_MAX ? 0 : step <= UINT16_MAX ? 1 : step <= UINT32_MAX ? 2 : 3;
	head = (rec->d - rmap_bucket_begin(m, b)) << HEAD_BITS | width;
	to->v = rec->v;
	if (likely(rec->len == 1 && rec->set == to->set)) {
		p = put(to->at, head, head_len(m, b));
		to->at = put(p, step, 1u << width);
		return 0;
	}
	p = put(to->at, head | HEAD_MORE, head_len(m, b));
	p = put(p, step, 1u << width);
	to->at = put_small(put_small(p, rec->len, LEN_BYTES), rec->set, SET_BYTES);
	to->set = rec->set;
	return 0;
}

uint64_t rmap_bucket_bytes(const struct rmap *m, uint32_t bucket)
{
	uint64_t len = 0;

	for (unsigned w = 0; w < m->nr_workers; w++)
		len += m->store[w].stream[bucket].len;
	return len;
}

int rmap_records_reserve(struct rmap_records *r, size_t more)
{
	return vec_reserve(r->rec, r->cap, r->nr + more);
}

static int add_chunk(const uint8_t *p, const uint8_t *end, unsigned head_bytes, dblock_t begin,
		     struct rmap_record *last, struct rmap_records *out)
{
	struct rmap_record rec = *last;

	if (rmap_records_reserve(out, CHUNK_MAX / RMAP_RECORD_MIN))
		return -ENOMEM;
	while (p < end) {
		uint64_t head = get(p, head_bytes), step;
		unsigned width = 1u << (head & HEAD_WIDTH);

		p += head_bytes;
		step = get(p, width);
		p += width;
		rec.d = begin + (head >> HEAD_BITS);
		rec.v += step >> 1 ^ (step & 1 ? UINT64_MAX : 0);
		rec.len = 1;
		if (head & HEAD_MORE) {
			rec.len = get_small(&p, LEN_BYTES);
			rec.set = get_small(&p, SET_BYTES);
		}
		out->rec[out->nr++] = rec;
	}
	*last = rec;
	return 0;
}

int rmap_bucket_get(const struct rmap *m, uint32_t bucket, struct rmap_records *out)
{
	const dblock_t begin = rmap_bucket_begin(m, bucket);
	const unsigned len = head_len(m, bucket);

	out->nr = 0;
	for (unsigned w = 0; w < m->nr_workers; w++) {
		const struct rmap_stream *from = &m->store[w].stream[bucket];
		struct rmap_record last = { 0 };

		for (const struct rmap_chunk *c = from->first; c; c = c->next)
			if (add_chunk(c->data, c->next ? c->end : from->at, len, begin, &last, out))
				return -ENOMEM;
	}
	return 0;
}
