/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_SALVAGE_IMPL_H
#define POOL_SALVAGE_IMPL_H
/* The steps of the room, by file; salvage.c takes them one after another. */
#include "pool/salvage/graph/node.h"
#include "pool/salvage/state.h"

/* --- scan.c: reading and classifying --- */
int salvage_load(struct salvage *s, mblock_t *list, size_t nr, struct err *err);
/* Uses the content at @at as @block: 1, 0 when it is of no use, or -errno. */
int salvage_take_content(struct salvage *s, uint32_t block, uint32_t at, uint8_t kind,
			 struct err *err);
/* A node in the place of a lost one.  NONE: no memory. */
uint32_t salvage_add_virtual(struct salvage *s, uint8_t tree, int height, struct err *err);
/* Gives @node the @nr children.  0 or -errno. */
int salvage_add_edges(struct salvage *s, uint32_t node, const uint32_t *child, uint32_t nr,
		      struct err *err);

/* --- strays.c: where the content of a block is --- */
/* Everything that has not been read yet. */
int salvage_scan_all(struct salvage *s, struct err *err);
/* Counts the mappings to data blocks that do not exist (nr_data_blocks), leaf by leaf. */
int salvage_bound(struct salvage *s, struct err *err);

/* --- leaves.c --- */
/*
 * Calls @fn for each of the leaves of mappings that can be read: of many workers at once.  @list: uint32_t nodes,
 * which are sorted by where they are.
 */
typedef void salvage_leaf_fn(void *ctx, uint32_t node, const struct view *v);
int salvage_read_leaves(struct salvage *s, struct vec *list, salvage_leaf_fn *fn, void *ctx,
			struct err *err);

/* --- below.c --- */
enum answer { NO, YES, UNKNOWN };
/* Is @node in the tree at @root? */
enum answer graph_contains(const struct salvage *s, uint32_t root, uint32_t node);
bool salvage_is_below(const struct salvage *s, uint32_t root, uint32_t node);
/* The leaf below @root that @key belongs to, or NONE. */
uint32_t graph_leaf_for(const struct salvage *s, uint32_t root, uint64_t key);
/* Sets is_child[i] of each node that an internal node refers to. */
void salvage_mark_children(const struct salvage *s, uint8_t *is_child);

/* --- mend.c --- */
/*
 * Can one flipped bit or one changed byte explain the bad checksum of @block (at @at)?  Corrects
 * @block in place and fills @m.  Only blocks whose header otherwise makes sense.
 */
bool mend_block(uint8_t *block, uint32_t at, struct mend *m);
/* Puts mended bits right in a buffer read from @at. */
void salvage_apply_mends(const struct salvage *s, uint32_t at, void *buf);

/* --- super.c --- */
/* The copy of the superblock in @block, a held metadata snapshot's: false when none can be read there. */
bool salvage_read_copy(struct salvage *s, uint64_t block, struct superblock *out);
int salvage_read_super(struct salvage *s, struct err *err);
/* After the scan: block 0 may have been found elsewhere, or a bit of it put right. */
int salvage_read_super_again(struct salvage *s, struct err *err);
int salvage_make_header(struct salvage *s, struct err *err);

/* --- roots.c --- */
/* Without a superblock: looks for the newest roots, or for the state that the user's roots belong to. */
int salvage_find_roots(struct salvage *s, struct err *err);
/* Do the details at node @details tell of the devices at node @top, and of as many mappings each? */
bool salvage_roots_agree(struct salvage *s, uint32_t top, uint32_t details);

/* --- order.c: states found without a superblock --- */
/* The pool as one transaction left it: its roots, and what proves that they belong together. */
struct pool_state {
	uint32_t index, map_root, details_root, overflow_root, held;
	uint32_t reused;  /* blocks reused since, or that should have been: not the newest */
	uint32_t orphans; /* nodes of mappings in use that nothing points to: remains of another pool */
	bool is_older;	  /* it is older than the chosen state, or is the chosen one */
	bool dated;	  /* its details could be read, which tell: */
	uint32_t time;
	uint64_t transaction, mapped;
	uint64_t *live; /* a bit a block */
};
/* The newest of the states in which nothing was reused; the others are removed from the list. */
const struct pool_state *salvage_newest(const struct salvage *s, struct vec *states);
/* Are there states that may be newer than @best? */
bool salvage_has_rival(const struct salvage *s, struct vec *states, const struct pool_state *best);

/* --- claim.c: whose roots are used --- */
/*
 * The user's; those of a whole superblock, unless the nodes are of another state; those that a
 * damaged superblock names, when nothing contradicts them; or the newest that are found.  -EINVAL:
 * a block that the user gave is not a root; the text says what it is.
 */
int salvage_settle_roots(struct salvage *s, struct err *err);
/* The same for the trees of devices that the user gave. */
int salvage_check_taken(const struct salvage *s, struct err *err);
/* --- trees.c: linking and walking --- */
void salvage_link(struct salvage *s);
int salvage_walk_top(struct salvage *s, struct err *err);
/* Raises snap_times that are too low for mappings which devices share. */
int salvage_check_times(struct salvage *s, struct err *err);
int salvage_walk_details(struct salvage *s, struct err *err);
int salvage_walk_devices(struct salvage *s, struct err *err);
int salvage_walk_mapping(struct salvage *s, uint32_t node, struct err *err);
/* The sums of all trees that devices have, after gaps were filled. */
void salvage_sum_all(struct salvage *s);
/* Leaves out what would break the order of a device's keys. */
void salvage_order(struct salvage *s);

/* --- space.c: the metadata space map --- */
int salvage_read_counts(struct salvage *s, struct err *err);
void salvage_count_edges(struct salvage *s);
/*
 * Does the bitmap have as many free entries as the index says of it?  Another number is that of an older copy.
 * One more or less, or entries past the end of the map that are not counted, is what other programs wrote.
 */
bool salvage_bitmap_fits(const struct disk_bitmap *map, uint32_t nr_free, uint64_t index,
			 uint64_t nr_blocks);
/* Does the superblock say another number of metadata blocks in use than the counts do?  All must be known. */
bool salvage_counts_differ(const struct salvage *s);
/* Are there blocks whose count is not known? */
bool salvage_has_unknown(const struct salvage *s);
/* The number of references without a parent; COUNT_UNKNOWN; or COUNT_MANY: it has three, and may have had more. */
uint32_t salvage_missing_refs(const struct salvage *s, uint32_t block);

/* --- generations.c: when was a block written? --- */
#define NEVER_SEEN   255
#define BEHIND_INDEX 8 /* number of blocks that a commit may write after its index block */
int generations_read(struct salvage *s, struct err *err);

/* --- evidence.c: evidence for a node below a device --- */
enum evidence_kind {
	EV_COUNT,
	EV_NAMED,
	EV_HERE,
	EV_ONCE,
	EV_ALIKE,
	EV_SAME,
	EV_NEXT,
	EV_FRESH,
	EV_BORN,
	EV_SHARED,
	EV_MAYBE_GONE,
	EV_YOUNGER,
	EV_FREED,
	EV_GONE,
	NR_EVIDENCE,
};
struct weight {
	int points;
	const char *text; /* "the node ..." */
	const char *why;
};
extern const struct weight evidence[NR_EVIDENCE];
struct voice {
	int score;
	uint16_t says; /* a bit a kind */
};
struct voice evidence_hear(struct salvage *s, const struct sdevice *d, uint32_t node,
			   uint32_t parent, bool unknown);

struct old_root {
	uint32_t dev_id, root, top; /* top: the top-level leaf that says so */
};
int old_roots_read(struct salvage *s, struct err *err);
/* The height of the device's newest older root, -1: there is none. */
int old_roots_height(const struct salvage *s, uint32_t dev_id);

/* --- gaps.c --- */
int salvage_fill_gaps(struct salvage *s, struct err *err);

/* --- data.c: the data space map as a witness --- */
int salvage_data_begin(struct salvage *s, struct err *err);
/* One reference less to @b, if it has any. */
struct refmap;
void data_take_block(struct refmap *m, uint64_t b);
/* Do all data blocks that the leaves below @node map lack a mapping?  Also true if not known. */
bool salvage_data_allows(struct salvage *s, uint32_t node);
void salvage_data_take(struct salvage *s, uint32_t node);
/* Do all counts agree now? */
bool salvage_data_settled(const struct salvage *s);
void salvage_data_end(struct salvage *s);

/* Two different sets of references to data blocks almost certainly have different sums of these. */
static inline uint64_t data_mark(uint64_t block)
{
	uint64_t x = (block + 1) * 0x9e3779b97f4a7c15u;

	return x * (x >> 32 | 1);
}

/* The counts of the data map, NULL when it is lost; *known: by bitmap.  Both are the caller's. */
int salvage_data_counts(struct salvage *s, struct refmap **count, uint8_t **known, struct err *err);

/* --- witness.c: do the space maps agree with the trees? --- */
int salvage_agreement(struct salvage *s, struct err *err);
/* Marks reached nodes that cannot be of this state (SN_DENIED); *nr: how many. */
int salvage_deny(struct salvage *s, uint32_t *nr, struct err *err);

/* --- devices.c: devices that the top level lost --- */
int devices_guess(struct salvage *s, struct err *err);
int devices_settle(struct salvage *s, struct err *err);
int devices_add_gaps(struct salvage *s, struct err *err);

/* The last block that the newest commit wrote. */
static inline uint32_t state_cursor(const struct salvage *s)
{
	return s->sb.metadata_sm.bitmap_root && s->sb.metadata_sm.bitmap_root < s->nr_blocks ?
		       (uint32_t)s->sb.metadata_sm.bitmap_root :
		       s->cursor;
}

/* How many blocks were written since @block; the kernel writes upwards, then from the front. */
static inline uint32_t block_age(const struct salvage *s, uint32_t block)
{
	uint32_t cursor = state_cursor(s);

	return cursor >= block ? cursor - block : cursor + s->nr_blocks - block;
}

/* --- details.c --- */
int salvage_read_details(struct salvage *s, uint32_t node, struct vec *out, struct err *err);
/* The same of one leaf.  @buf: room for a block. */
int salvage_read_details_leaf(struct salvage *s, uint32_t node, struct vec *out, void *buf,
			      struct err *err);
/* Gives the devices the trees that the user chose for them. */
int salvage_take_given(struct salvage *s, struct err *err);
int salvage_complete_details(struct salvage *s, struct err *err);
int salvage_join_details(struct salvage *s, struct err *err);
/* Puts @device in place; the list is sorted by id. */
int salvage_insert_device(struct salvage *s, const struct sdevice *device, struct err *err);

/* --- under.c --- */
/* Searches for an older pool that this empty one may have been formatted over: s->over. */
int salvage_look_under(struct salvage *s, struct err *err);

/* --- verdict.c --- */
int salvage_judge(struct salvage *s, struct err *err);

#endif
