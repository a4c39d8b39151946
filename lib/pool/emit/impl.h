/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_EMIT_PRIVATE_H
#define POOL_EMIT_PRIVATE_H
/*
 * The parts of emit: pool.c opens the trees of sound metadata as a source; items.c traverses a source's internal nodes in
 * memory and says what comes in which order (struct emit_item); leaves.c has the leaves of a batch of items read and
 * keeps their runs; emit.c gives the sink its events.
 */
#include "base/vec.h"
#include "pool/emit/source.h"

#define EMIT_BATCH_LEAVES 512
#define EMIT_BATCH_MORE	  2048 /* where leaves have few runs */
#define EMIT_BATCH_ITEMS 4096 /* of any kind; a few more may come at once */
#define EMIT_GROUP 8	      /* leaves that one worker renders at a time */

enum emit_kind {
	EMIT_LEAF,
	EMIT_BEGIN_DEF,
	EMIT_END_DEF,
	EMIT_BEGIN_DEVICE,
	EMIT_END_DEVICE,
	EMIT_REF,
};

struct emit_item {
	enum emit_kind kind;
	enum node_fault fault; /* of a leaf: known once it was read */
	uint32_t slot;	       /* of a leaf, in the batch */
	size_t dev;	       /* index of the device */
	mblock_t node;	       /* leaf, or the first one of a def */
};

/* The next items, as many as one read takes. */
struct emit_items {
	struct emit_item *item;
	size_t nr, cap;
	size_t nr_leaves; /* items of kind EMIT_LEAF */
	mblock_t *list;	  /* ascending, each once */
	size_t nr_list, cap_list;
};

struct emit_frame {
	mblock_t node;
	const uint32_t *child;
	uint32_t nr, i;
	uint32_t room[INTERNAL_MAX]; /* for the children */
};

#define EMIT_DEPTH (2 * BTREE_MAX_DEPTH) /* a rescued tree may be higher than a sound one */

/* Where the traversal stands. */
struct emit_place {
	bool in_defs; /* they come first, in a traversal of their own */
	bool over;    /* the traversal */
	mblock_t def, leaf; /* 0: none is being traversed */
	size_t dev;
	bool in_device;
	int depth;
	struct emit_frame *frame; /* EMIT_DEPTH, not cleared: nearly all pages stay untouched */
};

/* A leaf of a batch. */
struct emit_slot {
	struct run *run; /* part of emit_batch.kept */
	uint32_t nr_runs;
	enum node_fault fault;
};

/* Items, and their leaves as they were read. */
struct emit_batch {
	struct emit_items items;
	size_t pos; /* items before this one are in a lane */
	struct emit_slot *slot;
	struct run *kept; /* in the order of reading */
	_Atomic size_t nr_kept;
	size_t kept_cap; /* leaves */
};

/* What one worker makes of a group of leaves. */
struct emit_lane {
	size_t begin, nr; /* items */
	bool leaves;	  /* the items are sound leaves; else they are of other kinds */
	/*
	 * Part of emitter.run, for a sink that takes text: the first run of the leaves, those that are not
	 * in @text yet, the last one.
	 */
	struct run *run;
	size_t nr_runs;
	bool any; /* run */
	uint64_t first_key, last_key;
	uint64_t nr_outside;	      /* mappings beyond the data device */
	struct run outside;	      /* the first of them */
	bool disorder;		      /* the leaves' keys do not ascend */
	struct outbuf text;	      /* the inner runs */
};

struct emitter {
	const struct emit_source *src;
	const struct emit_options *opt;
	const struct events *to;
	struct sharing *sharing; /* NULL: everything inline */
	struct jobs *apart;	 /* for a sink without text: reading and telling, a thread each */

	struct emit_place place;
	size_t batch_leaves; /* of the next batch */
	/* one that is being read and one that is being told; the same one where one waits for the other */
	struct emit_batch batch[2], *reading, *telling;
	struct emit_lane *lane;
	struct run *run; /* of all lanes */
	size_t nr_lanes;

	/* the def or device being told */
	bool in_def, def_told;
	mblock_t def;
	struct vec empty; /* of mblock_t: defs without mappings; they are marked when all defs were told */
	uint32_t dev_id;
	bool has_last;
	uint64_t last_key;
	uint64_t nr_outside;
	struct run outside;

	bool skipped; /* a node, or a pointer to one */
};

/* The block of a leaf, which names the def that begins there. */
static inline mblock_t emit_block(const struct emitter *e, mblock_t leaf)
{
	return e->src->block(e->src->ctx, leaf);
}

/*
 * Fills @it with what comes next of the defs, or of the devices; it stays empty when nothing does.
 * The devices come after all defs have been told: they need to know which leaves could not be read.
 * 0 or -ENOMEM.
 */
int emit_items_fill(struct emitter *e, struct emit_items *it, struct err *err);
void emit_items_fini(struct emit_items *it);

/* Reads the leaves of e->reading and judges them. */
int emit_leaves_read(struct emitter *e, struct err *err);
void emit_leaves_fini(struct emit_batch *b);
/* Cuts the next group off e->telling into @l: 1, or 0 when there is none. */
int emit_lane_take(struct emitter *e, struct emit_lane *l);
/* Joins the runs of its leaves and renders them; any thread. */
int emit_lane_render(const struct emitter *e, struct emit_lane *l, struct err *err);

#endif
