/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef PDATA_TREE_IMPL_H
#define PDATA_TREE_IMPL_H
/*
 * The state of a forest walk, private to its files: walk.c makes it and goes through the levels,
 * spine.c learns the heights, wave.c handles the nodes of one wave, model.c and expand.c their children, record.c
 * holds what is known of a node,
 * forest.c answers questions afterwards.
 *
 * Everything about a node is in arrays indexed by its block number: no hashing, no small
 * objects, and pages of the arrays that are never touched cost nothing.
 */
#include <string.h>

#include "pdata/tree/walk.h"

/* struct walk.flag: what is known of a block; workers set bits atomically */
enum {
	WALK_REACHED = 1,
	WALK_MULTI = 2,	  /* by two pointers or more */
	WALK_INHERIT = 4, /* some node above is WALK_MULTI */
	WALK_READ = 8,	  /* or lost, so that it will not be read */
	WALK_LOST = 16,	  /* its contents are unusable */
	WALK_RANGED = 32, /* has keys that its parents do not allow */
	WALK_DONE = 64,	  /* its keys (keys.h) are its own, no longer what is allowed */
	WALK_MARK = 128,  /* walk_mark() */
};
#define WALK_BAD (WALK_LOST | WALK_RANGED | WALK_MARK)

/* struct walk.height: height + 1, 0 = not reached */
#define HEIGHT_UNKNOWN 0x7f
#define HEIGHT_TAINT   0x80 /* something at or below it has WALK_BAD or a bad pointer */
#define HEIGHT_MASK    0x7f

#define CHUNK_SHIFT    19 /* 2 MiB: a huge page */
#define CHUNK_LEN      (1u << CHUNK_SHIFT)
#define NR_CHUNKS      8191
#define CHUNK_NODES    (CHUNK_LEN / (AT_GROUP + INNER_CHILDREN + 3 * INTERNAL_MAX) - 1)

/*
 * An internal node in the arena: head, then its children.  With INNER_LIKE, the place + 1 of another record,
 * its children are those of that one, but for INNER_PICK pairs of a number and a child.
 */
enum { INNER_NR, INNER_PICK, INNER_LIKE, INNER_SUM_LOW, INNER_SUM_HIGH, INNER_CHILDREN };
/* Most nodes are leaves: only groups of blocks with an internal node have places, which are in the arena, too. */
#define AT_GROUP 16u /* blocks */
#define EDGE_NONE UINT32_MAX

/* A node read before its parents were known: on the spine. */
struct spine_node {
	uint32_t block;
	uint64_t first, last; /* its own keys; first > last: none */
};

/* The first key of a node, and the complement of the last. */
struct keys {
	uint32_t first, nlast;
};
struct wide_keys {
	uint64_t first, nlast;
};

struct walk_worker {
	uint32_t chunk, used; /* of the arena; used == CHUNK_LEN: none */
	uint32_t min, max;    /* blocks reached */
	struct walk_fault *fault;
	size_t nr_faults, cap_faults;
	struct spine_node *spine;
	size_t nr_spine, cap_spine;
	uint32_t *underfull;
	size_t nr_underfull, cap_underfull;
} __attribute__((aligned(128)));

struct walk {
	struct walk_setup s;
	uint8_t *height, *flag;
	struct keys *key; /* allowed or (WALK_DONE) own ones: keys.h */
	struct wide_keys *wide;
	uint8_t *noted;	 /* a bit a block: its nlast is a note; or NULL: there are none */
	uint32_t *nattr; /* complement of the least attr */
	uint8_t *root;	 /* a bit a block: added as a root */
	uint32_t *at;	 /* by group: place in the arena + 1 of the places + 1 of its internal nodes, or 0 */
	uint32_t **chunk;
	_Atomic uint32_t nr_chunks;
	uint32_t max_chunks;
	struct model **model; /* model.c */
	unsigned model_shift; /* of a key's hash: the number of its model */
	_Atomic bool has_models;
	struct walk_worker *worker;
	unsigned nr_workers;
	uint32_t min, max;	  /* blocks reached */
	struct walk_fault *fault; /* merged and sorted, valid with @sorted */
	size_t nr_faults;
	uint8_t top; /* the greatest height[] */
	bool sorted, summed, tainted;
};

static inline void walk_set_flag(struct walk *w, uint64_t b, uint8_t flag)
{
	if ((__atomic_load_n(&w->flag[b], __ATOMIC_RELAXED) & flag) != flag)
		__atomic_fetch_or(&w->flag[b], flag, __ATOMIC_RELAXED);
}

/* record.c, expand.c, wave.c.  Those that return an int return 0 or -ENOMEM, without a text. */
/* The record at place @at - 1 of the arena. */
uint32_t *walk_record(const struct walk *w, uint32_t at);
/* The place + 1 in the arena of an internal node that was read, or 0; its record, or NULL. */
uint32_t walk_place(const struct walk *w, mblock_t b);
uint32_t *walk_inner(const struct walk *w, mblock_t b);
void walk_raise_u32(uint32_t *p, uint32_t v);
/* Is the block used by something other than these trees? */
bool walk_foreign(const struct walk *w, uint64_t b);
int walk_add_fault(struct walk_worker *me, const struct walk_fault *f);
/* The contents of @b are lost. */
int walk_lose(struct walk *w, struct walk_worker *me, uint32_t b, enum node_fault fault,
	      int io_error);
/* One more pointer to @b.  False: the block belongs to another kind of tree. */
bool walk_reach(struct walk *w, uint64_t b, uint32_t nattr, bool inherit);
/*
 * Compares the keys of @b, which are from @first to @last (@first > @last: it has none), with
 * those that its parents allow.  From now on its own keys stand there.
 */
int walk_judge(struct walk *w, struct walk_worker *me, uint32_t b, uint64_t first, uint64_t last);
/* @b was read before its parents were known; its keys are from @first to @last. */
int walk_note_spine(struct walk_worker *me, uint32_t b, uint64_t first, uint64_t last);
/* Joins in @w the workers' bounds of the blocks reached. */
void walk_merge_bounds(struct walk *w);
/*
 * Reads all nodes with this height[] that have not been read.  @level: their height, or -1 when
 * that is unknown because they are on the spine.  *none: there was no such node.  0 or -errno
 * with a text.
 */
int walk_read_height(struct walk *w, uint8_t height, int level, bool *none, struct err *err);

/* spine.c: learns the heights of all trees whose roots have HEIGHT_UNKNOWN.  0 or -errno. */
int walk_spine(struct walk *w, struct err *err);

/* forest.c: forgets results derived from the trees so far. */
void walk_forget(struct walk *w);

/*
 * The first block >= @from and <= @last of which height[] is @want and none of @unwanted is in
 * flag[]; @last + 1 when there is none.
 */
static inline uint64_t walk_next(const struct walk *w, uint64_t from, uint64_t last, uint8_t want,
				 uint8_t unwanted)
{
	uint64_t b, eight;

	for (b = from; b <= last; b++) {
		/* most of a device that is mostly free is skipped eight blocks at a time */
		for (; b + 8 <= last; b += 8) {
			memcpy(&eight, w->height + b, sizeof(eight));
			if (eight)
				break;
		}
		if ((w->height[b] & HEIGHT_MASK) == want && !(w->flag[b] & unwanted))
			return b;
	}
	return b;
}

#endif
