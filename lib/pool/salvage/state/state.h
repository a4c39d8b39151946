/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_SALVAGE_STATE_H
#define POOL_SALVAGE_STATE_H
/* Which of the states that the device holds is salvaged? */
#include "pool/salvage/witness/counts.h"

enum roots_source {
	ROOTS_NAMED,   /* by the superblock, by the user, or by none: then they were searched for */
	ROOTS_CLAIMED, /* those that a damaged superblock names are intact, and are used */
	ROOTS_OTHER,   /* the superblock is intact, but of another state than the nodes */
};

enum succession {
	UNRELATED,    /* they have no tree and no device in common */
	LATER_UNRELATED, /* so it is, but the other one has a later time or transaction, and wrote over a block of the first */
	COMES_BEFORE, /* or nothing tells, as one of the two is not there */
	MAY_COME_AFTER,
	COMES_AFTER,
};

static inline bool may_come_after(enum succession s)
{
	return s == MAY_COME_AFTER || s == LATER_UNRELATED;
}

/* The superblock's state, which may be one of those on the device. */
struct own_state {
	const struct superblock *sb;
	uint64_t *wrong;   /* a bit a block: it names that for its roots or bitmaps, and something else is there, intact */
	uint32_t nr_wrong; /* roots among them */
	bool wrong_bitmap; /* or a bitmap is */
};

struct state {
	struct graph *graph;
	struct super *super;
	struct counts *counts;
	enum roots_source roots;
	bool rivals;	    /* without a superblock: another state than that which was found may be the pool's */
	bool rival;	    /* its index block is there */
	bool anew;	    /* the state that was found was written anew, and the kernel has not written since */
	const struct own_state *own;  /* is looked for among the others */
	bool outdated;		      /* it is there: its roots are of an older state than the superblock */
	enum succession after;	      /* does the state that was found come after it? */
	struct {
		bool found;
		uint32_t map_root, details_root; /* 0: not found */
		struct details_sum sum;
	} over; /* an older pool that this empty one was formatted over */
};

/* --- roots.c --- */
/*
 * Without a superblock: looks for the newest roots, or for the state that the user's roots belong to.  @own: an index block
 * that is not looked at, 0: none.
 */
int state_find_roots(struct state *state, uint64_t own, struct err *err);
/* Reads the counts of the superblock's state.  *reused: something of it was, or should have been, reused since, or is later than it. */
int state_look_at_own(struct counts *counts, bool *reused, struct err *err);
/* Do the details at node @details tell of just the devices at node @top, and of as many mappings each? */
bool state_roots_agree(struct graph *g, uint32_t top, uint32_t details);

/* --- order.c: states found without a superblock --- */
/* The pool as one transaction left it: its roots, and what proves that they belong together. */
struct pool_state {
	uint32_t index, map_root, details_root, overflow_root, held; /* 0: it is not there */
	uint32_t reused;  /* blocks reused since, or that should have been: not the newest */
	bool row;	  /* its blocks are one at the device's front: a program wrote it anew, and the kernel has not written since */
	bool dated;	  /* its details could be read, which tell: */
	struct details_sum sum;
	uint64_t *live; /* a bit a block */
};
/*
 * The newest of those in which nothing was reused; NULL: there is none.  @rival: the pool may have been in another state, with other
 * trees.  @after: does it come after @own?  *spoilt: one of the others is newer by where it was written, so it was not reused but spoilt.
 */
const struct pool_state *order_newest(struct state *state, struct vec *states, bool *spoilt);

/* --- later.c --- */
/*
 * Did a later commit than that of @best write something, and is its index block lost?  A bit a block: @used by a state whose counts
 * are there, @judged: its index block.
 */
bool state_has_later(struct graph *g, const struct pool_state *best, const uint64_t *used, const uint64_t *judged);

/* --- claim.c: whose roots are used --- */
/* -EINVAL: a block that the user gave is not a root; the text says what it is. */
int state_settle_roots(struct state *state, struct err *err);
/* The same for the trees of devices that the user gave. */
int state_check_taken(const struct super *super, struct err *err);

/* All that the superblock names is whole, but it was damaged itself: is the newest state on the device another one?  @rival, @outdated. */
int state_look_for_newer(struct state *state, struct err *err);

/* May a block have been lost that a newer state than the salvaged one used? */
bool state_newer_may_be_lost(const struct state *state);
/* The roots were searched for, and newer ones may be lost; or they are older than the superblock. */
bool state_has_newer(const struct state *state);

/* --- under.c --- */
/* Searches for an older pool that this empty one may have been formatted over: @over. */
int state_look_under(struct state *state, struct err *err);

#endif
