/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_RMAP_PRIVATE_H
#define POOL_RMAP_PRIVATE_H
/*
 * The parts of rmap: rmap.c reads leaves, store.c keeps their runs by buckets of data blocks,
 * chain.c joins the runs at the edges of leaves, lines.c makes the lines of a bucket, out.c writes
 * them.
 */
#include <stdatomic.h>

#include "pool/rmap/rmap.h"

#define RMAP_BUCKETS	4096u /* at most, of the data device */
#define RMAP_SHIFT_MIN	6u    /* a small device has fewer, each of 64 blocks */
#define RMAP_RECORD_MIN 3u /* bytes of the shortest record in a store */

/* A run that all devices of a set have. */
struct rmap_record {
	dblock_t d;
	vblock_t v;
	uint32_t len, set;
};

struct rmap_records {
	struct rmap_record *rec;
	size_t nr, cap;
};

/* The first or the last run of the leaves below a node, which may go on before or behind it. */
struct rmap_edge {
	vblock_t v;
	dblock_t d;
	uint32_t len; /* 0: none of interest */
};

/*
 * A worker keeps the edges of the leaves that it reads one behind the other.  A leaf's first edge that goes on from
 * the one that was kept last, with the same owners, only makes that longer: where runs are longer than
 * leaves, few edges are kept.  So an edge may begin before the leaf and end behind it, but it has all that
 * lies between.  The walk keeps a note for each leaf: the place of its first edge, the worker that has it, and
 * whether the edge behind it is the leaf's last one.
 */
struct rmap_kept_edge {
	uint64_t d : 40, len : 24;
	vblock_t v;
};
static_assert(sizeof(struct rmap_kept_edge) == 16, "a fragmented pool has two for each leaf");
#define RMAP_EDGE_MAX ((1u << 24) - 1) /* blocks */
#define RMAP_NOTE_TWO	 1u /* bits of a note */
#define RMAP_NOTE_AT	 1u /* where the place begins, and where the worker */
#define RMAP_NOTE_WORKER 24u
static_assert(2 * MAX_METADATA_BLOCKS <= 1u << (RMAP_NOTE_WORKER - RMAP_NOTE_AT), "all edges have a place");

/* What a worker has found: coded records by bucket (store.c). */
struct rmap_store {
	struct rmap_stream *stream; /* one a bucket */
	size_t stream_len;	    /* bytes */
	uint8_t *waste;		    /* where records go that are not kept */
	struct rmap_slab *slab;	    /* the slab that was made last */
	struct rmap_slab *spare;    /* slabs that can be used again */
	size_t slab_used;	    /* bytes of that slab in use */
	struct rmap_kept_edge *edge;
	size_t nr_edges, cap_edges;
	uint32_t edge_set; /* owners of the last one */
} __attribute__((aligned(128)));

struct rmap {
	struct forest *f;
	const struct runs *regions;
	const struct rmap_sink *sink;
	struct owners *owners;
	uint64_t most_owners; /* the most owners that a set has; at least 1 */
	dblock_t begin, end;	  /* hull of the regions, as far as the data device goes */
	unsigned shift;		  /* a bucket is 1 << shift data blocks */
	uint32_t nr_buckets;	  /* the last is of what lies behind the others */
	struct rmap_store *store; /* of each worker */
	unsigned nr_workers;
	uint64_t max_kept; /* bytes, of all workers together */
	_Atomic uint64_t nr_kept;

	/* one round: records of other buckets are not kept */
	uint32_t bucket_begin, bucket_end;
};

static inline uint32_t rmap_bucket(const struct rmap *m, dblock_t d)
{
	uint64_t b = (d - m->begin) >> m->shift;

	return b < m->nr_buckets ? (uint32_t)b : m->nr_buckets - 1;
}

static inline dblock_t rmap_bucket_begin(const struct rmap *m, uint32_t bucket)
{
	return m->begin + ((dblock_t)bucket << m->shift);
}

/* Calls fn for each part of the run that lies in a region. */
typedef int rmap_record_fn(struct rmap *m, void *ctx, const struct rmap_record *rec);
int rmap_clip(struct rmap *m, const struct rmap_record *rec, rmap_record_fn *fn, void *ctx);
/* Does any block of [@d, @d + @len) lie in a region? */
bool rmap_wanted(const struct rmap *m, dblock_t d, uint64_t len);

/*
 * All runs made of edges of leaves, joined and clipped, each for all devices that have it so.
 * Needs the notes about the leaves' edges.
 */
int rmap_chains(struct rmap *m, rmap_record_fn *fn, void *ctx);

int rmap_store_init(const struct rmap *m, struct rmap_store *s);
void rmap_store_fini(struct rmap_store *s);
/* Forgets all records but not the memory. */
void rmap_store_clear(const struct rmap *m, struct rmap_store *s);
/* Keeps a record of the round's buckets, as an rmap_record_fn with the store as its ctx. */
int rmap_store_put(struct rmap *m, void *store, const struct rmap_record *rec);
/* Bytes of a bucket's records in all stores, whether there was room to keep them or not. */
uint64_t rmap_bucket_bytes(const struct rmap *m, uint32_t bucket);
/* The bucket's records from all stores, in any order.  0 or -ENOMEM. */
int rmap_bucket_get(const struct rmap *m, uint32_t bucket, struct rmap_records *out);
int rmap_records_reserve(struct rmap_records *r, size_t more);

/* Gives the lines of the round's buckets to the sink, sorted. */
int rmap_out(struct rmap *m, struct err *err);

#endif
