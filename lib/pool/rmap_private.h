/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef POOL_RMAP_PRIVATE_H
#define POOL_RMAP_PRIVATE_H
/*
 * The parts of rmap: rmap.c reads leaves and sorts their runs into buckets of data blocks,
 * rmap_chain.c joins the runs at the edges of leaves device by device, rmap_out.c
 * makes the lines of a bucket.
 */
#include <stdatomic.h>

#include "pool/owners.h"
#include "pool/rmap.h"

#define RMAP_BUCKETS 65536u

/* A run that all devices of a set have. */
struct rmap_record {
	dblock_t d;
	vblock_t v;
	uint32_t len, set;
};

/* The first and the last run of a leaf, which may go on in its neighbours; len 0: none of interest. */
struct rmap_edge {
	vblock_t v;
	dblock_t d;
	uint32_t len;
};

struct rmap_edges {
	struct rmap_edge first, last; /* the same when @single */
	bool single;
};

/* What each worker gathers in the first reading. */
struct rmap_worker {
	uint32_t *hist; /* records by bucket */
	struct rmap_record *record;
	size_t nr, cap;
} __attribute__((aligned(128)));

struct rmap {
	struct forest *f;
	const struct runs *regions;
	const struct rmap_sink *sink;
	struct owners *owners;
	struct rmap_edges *edges; /* by metadata block */
	dblock_t begin, end;	  /* hull of the regions, as far as the data device goes */
	unsigned shift;		  /* a bucket is 1 << shift data blocks */
	struct rmap_worker *worker;
	unsigned nr_workers;
	uint64_t max_kept;	  /* records that the first reading may keep */
	_Atomic uint64_t nr_kept;
	uint64_t *nr_in; /* records of each bucket */

	/* one round */
	uint32_t bucket_begin, bucket_end;
	struct rmap_record *record; /* kept from round to round */
	size_t cap_records;
	_Atomic uint64_t *fill; /* of each bucket of the round: where the next record goes */
	uint64_t *start;	/* ... and where the first one is; one more at the end */
};

static inline uint32_t rmap_bucket(const struct rmap *m, dblock_t d)
{
	uint64_t b = (d - m->begin) >> m->shift;

	return b < RMAP_BUCKETS ? (uint32_t)b : RMAP_BUCKETS - 1;
}

/* Calls fn for each part of the run that lies in a region. */
typedef int rmap_record_fn(struct rmap *m, void *ctx, const struct rmap_record *rec);
int rmap_clip(struct rmap *m, const struct rmap_record *rec, rmap_record_fn *fn, void *ctx);
/* Does any of it lie in a region? */
bool rmap_wanted(const struct rmap *m, dblock_t d, uint64_t len);

/* All runs made of edges of leaves, joined, clipped, with the set of one device. */
int rmap_chains(struct rmap *m, rmap_record_fn *fn, void *ctx);
/* Before the first rmap_chains(): which leaves have edges of interest. */
void rmap_mark_edges(struct rmap *m, const mblock_t *leaf, size_t nr);

/* Sorts the round's buckets and gives their lines to the sink. */
int rmap_out(struct rmap *m, struct err *err);

#endif
