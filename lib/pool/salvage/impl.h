/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_SALVAGE_IMPL_H
#define POOL_SALVAGE_IMPL_H
/* What the files of the room share. */
#include "base/vec.h"
#include "dev/stream.h"
#include "pdata/block/csum.h"
#include "pool/salvage/salvage.h"
#include "pool/format/superblock.h"

#define NONE UINT32_MAX
#define COUNT_UNKNOWN UINT32_MAX	/* the space map could not be read there */
#define COUNT_MANY (UINT32_MAX - 1) /* three or more, how many is not known */

/* What a block turned out to be. */
enum block_kind {
	BLOCK_UNREAD,
	BLOCK_WANTED, /* on the list of what is read next */
	BLOCK_ZERO,
	BLOCK_JUNK, /* no kind of metadata */
	BLOCK_IO_ERROR,
	BLOCK_STRAY, /* whole, but it carries another block's number */
	BLOCK_NODE,
	BLOCK_BITMAP,
	BLOCK_INDEX,
	BLOCK_SUPER,
};

/* Which tree a node can belong to. */
enum tree {
	TREE_NONE, /* not known: an internal node without a good child */
	TREE_MAPPING,
	TREE_TOP,
	TREE_DETAILS,
	TREE_INDEX,
	TREE_OVERFLOW,
	TREE_EMPTY, /* an empty leaf of 8-byte values: a device's root or the top level */
};

enum snode_flags {
	SN_LEAF = 1,
	SN_VIRTUAL = 2,	  /* takes the place of a lost node; its children are those that were found */
	SN_LIVE = 4,	  /* reached from the roots */
	SN_UNSORTED = 8,  /* keys out of order: sorted when decoded */
	SN_LINKING = 16,  /* being linked: reached again means a loop */
	SN_LINKED = 32,
	SN_MENDED = 64,	  /* header or bits were corrected */
	SN_TAKEN = 128,	  /* an orphan that was given to a parent */
	SN_BROKEN = 256,  /* not all of its subtree can be read */
	SN_CLIPPED = 512, /* only what lies between first and last belongs there */
	SN_DENIED = 1024, /* the space maps say that it is not part of this state */
	SN_HELD = 2048,	  /* reached from the held metadata snapshot */
};

/* Is an orphan's place proved by numbers, likely by evidence, or open? */
enum certainty { CERTAINTY_PROVED, CERTAINTY_LIKELY, CERTAINTY_OPEN };

/* A node, in brief.  Its content stays on disk. */
struct snode {
	uint64_t first, last; /* keys; once linked, @last is the subtree's */
	uint64_t nr_mappings; /* of the subtree, the impossible ones not counted */
	uint64_t max_data;    /* greatest data block of the subtree's mappings */
	uint32_t block;	      /* NONE: a virtual node that nothing names */
	uint32_t edge;	      /* internal nodes and top-level leaves: first of nr_edges */
	uint32_t nr_edges;
	uint32_t min_time, max_time; /* of the subtree's mappings; 0 when there are none */
	uint16_t nr;		     /* entries */
	uint16_t nr_bad;	     /* leaf: impossible mappings */
	uint16_t flags;
	uint8_t tree, height;
	uint8_t certainty; /* enum certainty of its place */
};

struct edge {
	uint64_t key;
	uint32_t block; /* NONE: not a block of this device */
	uint32_t node;	/* index of the child when it fits, else NONE */
};

/* A bit or byte that was corrected by means of the checksum. */
struct mend {
	uint32_t at;
	uint16_t byte;
	uint8_t mask; /* XOR */
	bool bit;     /* a single bit */
};

/* An intact block found in another place than its own. */
struct stray {
	uint32_t own, at;
	uint8_t kind;
	bool used; /* it is used as the block whose number it carries */
};

enum details_source { DETAILS_LIVE, DETAILS_OLDER, DETAILS_INVENTED };

struct sdevice {
	struct device_info info;
	uint32_t root_block; /* NONE: not known */
	uint32_t root;	     /* node */
	uint8_t source;	     /* enum details_source */
	bool in_top;	     /* the top level named it */
	bool is_guess; /* only an older top level names it: dropped when no tree is found */
	bool id_invented;
	bool snap_time_raised;
	bool has_other_id; /* its details stood under this one: */
	uint32_t other_id;
	bool root_found; /* its lost root was found */
	bool root_given; /* the user chose it */
	uint64_t nr_mappings;
};

/* A part of a tree that cannot be read, and the virtual node in its place. */
struct gap {
	uint64_t begin, last; /* keys that belong there, inclusive */
	uint32_t node;
	uint32_t block; /* the lost block, or NONE */
	int height;	/* of the lost node, -1: not known */
	bool astray;	/* the node may exist: its parent points to a wrong block */
	uint8_t tree;
	uint8_t why; /* enum block_kind of the block's present content */
};

/* What both space maps say of all that the devices' trees reach now. */
struct agreement {
	bool has_data;	  /* the data map could be read */
	bool data_whole;  /* all of it */
	uint64_t missing; /* data blocks with more references than mappings found */
	uint64_t excess;  /* data blocks with more mappings than references */
	uint64_t unsure;  /* data blocks with many, of which the exact count is lost */
	bool data_exact;  /* each data block has just as many mappings as it counts, and the superblock agrees */
	uint64_t orphans; /* nodes of mappings that have fewer parents than the metadata map counts */
	uint64_t strange; /* superblock pointers and numbers that contradict the blocks */
	uint64_t strange_map; /* the same of the metadata map, and nodes that it denies */
};

struct salvage {
	struct io *io;
	struct jobs *jobs;
	struct stream stream;
	struct salvage_options opt;
	uint32_t nr_blocks;

	uint8_t *kind;	/* enum block_kind, by block */
	uint32_t *slot; /* node of a block, or NONE */
	struct snode *node;
	uint32_t nr_nodes, cap_nodes;
	struct edge *edge;
	uint32_t nr_edges, cap_edges;
	struct vec mends, strays; /* sorted by location */
	struct vec moved;	  /* strays that stand in for their block, sorted by it */
	bool scanned;		  /* the whole device was read */

	/* superblock */
	struct superblock sb;
	enum sb_fault sb_fault;
	bool sb_mended, sb_found; /* found elsewhere */
	bool sb_fields;		  /* its fields are right, only the bytes around them are damaged */
	struct pool_overrides likely; /* what the damaged superblock seems to say */
	struct superblock claim; /* all fields of a damaged superblock that looks like one */
	bool has_claim;
	bool claim_used; /* the roots that it names are intact, and are used */
	uint32_t own_index; /* an index block that is not looked at in the search for states; 0: none */
	struct {
		bool found;
		uint32_t map_root, details_root; /* 0: not found */
		uint64_t nr_devices, nr_mappings;
	} over; /* an older pool that this empty one was formatted over */
	bool other_state; /* the superblock is intact, but of another state than the nodes */
	bool chosen; /* the user's roots are others than the superblock's */
	bool has_sb;		  /* fields below come from a superblock, else from search */
	uint64_t nr_data_blocks;  /* UINT64_MAX: not known */
	uint32_t max_time;	  /* newest time seen in what is kept */
	struct pool_info info;
	struct outbuf explained;    /* lines of --explain */
	struct outbuf header_notes; /* what was missing from the superblock */
	bool header_invented;

	/* reference counts as stored, by block; COUNT_UNKNOWN */
	uint32_t *count;
	uint32_t *found; /* edges found */
	bool has_counts;
	bool counts_searched; /* from a bitmap that no index names */
	uint8_t *gen;	      /* by block: number of states for which it has certainly been in use */
	uint8_t *gen_max;     /* and at most */
	uint8_t *seen;	      /* by block: 0 in use now, else the newest older state that used it; NEVER_SEEN */
	uint8_t *trusted;     /* by block: an intact older state used it */
	uint32_t nr_past;     /* older states that were found */
	uint32_t past_age;    /* age of the newest of them */
	struct vec commits;   /* uint32_t: ages of index blocks, ascending */

	uint64_t mapped_sum; /* sum of data_mark() over the mappings of all leaves that were read */
	struct refmap *data_missing; /* by data block: references that nothing found accounts for */
	/* by node, nr_seen of them: its mappings were subtracted; else the last question about it */
	uint32_t *data_seen;
	uint32_t nr_seen, data_asked; /* the last question */
	bool data_begun;

	uint32_t map_root, details_root; /* nodes */
	struct vec gaps;		 /* struct gap */
	struct vec old_roots;		 /* struct old_root, by device, newest first */
	bool has_old_roots;
	uint32_t nr_compared; /* leaves by content */
	uint32_t cursor; /* where the newest state found without a superblock ends */
	struct sdevice *dev;
	size_t nr_devs, cap_devs;
	uint64_t nr_mappings, nr_bad;
	bool details_lost; /* a part of the details tree is missing */
	bool top_lost;
	bool from_snapshot; /* the held snapshot's trees had to be used */
	bool guessed;	    /* the metadata space map could not decide */
	bool newer_lost;    /* the roots were searched for, and newer ones may be lost */
	bool rivals;	    /* of two states found without a superblock either may be the newer */
	bool uncertain;	    /* choices were made that nothing confirms */
	bool unconfirmed;   /* nodes were chosen that only the data map can confirm */
	bool times_raised;
	bool count_differs; /* a device's details have another number than its tree */
	struct agreement agrees;
	bool mappings_back; /* all mappings of all devices; details or fields may be rebuilt */
	bool lossless, intact;
};

static inline struct gap *gap_at(const struct salvage *s, size_t i)
{
	return (struct gap *)s->gaps.data + i;
}

static inline uint32_t node_of(const struct salvage *s, uint64_t block)
{
	return block < s->nr_blocks ? s->slot[block] : NONE;
}

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

/* --- place.c: where the content of a block is --- */
/* Everything that has not been read yet. */
int salvage_scan_all(struct salvage *s, struct err *err);
/* Counts the mappings to data blocks that do not exist (nr_data_blocks), leaf by leaf. */
int salvage_bound(struct salvage *s, struct err *err);
/* The content of @block, wherever it is, mended.  0, or -errno when it cannot be read. */
int salvage_get(const struct salvage *s, uint32_t block, void *buf, struct err *err);
/* Where the content of @block is. */
uint32_t salvage_where(const struct salvage *s, uint32_t block);

/* --- node.c: one node, leniently --- */
struct view {
	const uint8_t *keys, *values;
	uint32_t nr, value_size;
	bool leaf, unsorted, mended;
};
bool view_open(struct view *v, const void *block);
static inline uint64_t view_key(const struct view *v, uint32_t i)
{
	le64 k;

	memcpy(&k, v->keys + (size_t)i * 8, 8);
	return le64_get(k);
}
static inline uint64_t view_value(const struct view *v, uint32_t i)
{
	le64 k;

	memcpy(&k, v->values + (size_t)i * v->value_size, 8);
	return le64_get(k);
}
/*
 * The runs of a mapping leaf in key order, without those whose data block is not below
 * @nr_data_blocks and without keys out of order.  @run: room for 252.  Returns how many runs there are.
 */
uint32_t view_runs(const struct view *v, uint64_t nr_data_blocks, struct run *run);
/* Leaves out what is not in [@begin, @last]; returns how many runs are left. */
uint32_t runs_clip(struct run *run, uint32_t nr, uint64_t begin, uint64_t last);

/* --- leaves.c --- */
/*
 * Calls @fn for each of the leaves of mappings that can be read: of many workers at once.  @list: uint32_t nodes,
 * which are sorted by where they are.
 */
typedef void salvage_leaf_fn(void *ctx, uint32_t node, const struct view *v);
int salvage_read_leaves(struct salvage *s, struct vec *list, salvage_leaf_fn *fn, void *ctx,
			struct err *err);

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
bool salvage_read_copy(const struct salvage *s, uint64_t block, struct superblock *out);
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
struct state {
	uint32_t index, map_root, details_root, overflow_root, held;
	uint32_t reused;  /* blocks reused since, or that should have been: not the newest */
	uint32_t orphans; /* nodes of mappings in use that nothing points to: remains of another pool */
	bool is_older;	  /* it is older than the chosen state, or is the chosen one */
	bool dated;	  /* its details could be read, which tell: */
	uint32_t time;
	uint64_t transaction, mapped;
	uint64_t *live; /* a bit a block */
};
static inline bool bit(const uint64_t *set, uint32_t b)
{
	return set[b / 64] >> b % 64 & 1;
}
/* The newest of the states in which nothing was reused; the others are removed from the list. */
const struct state *salvage_newest(const struct salvage *s, struct vec *states);
/* Are there states that may be newer than @best? */
bool salvage_has_rival(const struct salvage *s, struct vec *states, const struct state *best);

/* --- claim.c: whose roots are used --- */
/*
 * The user's; those of a whole superblock, unless the nodes are of another state; those that a
 * damaged superblock names, when nothing contradicts them; or the newest that are found.  -EINVAL:
 * a block that the user gave is not a root; the text says what it is.
 */
int salvage_settle_roots(struct salvage *s, struct err *err);
static inline bool has_given_roots(const struct salvage *s)
{
	return s->opt.has_mapping_root || s->opt.has_details_root;
}
/* The same for the trees of devices that the user gave. */
int salvage_check_taken(const struct salvage *s, struct err *err);
/* Gives the devices the trees that the user chose for them. */
int salvage_take_given(struct salvage *s, struct err *err);
/* Sets is_child[i] of each node that an internal node refers to. */
void salvage_mark_children(const struct salvage *s, uint8_t *is_child);
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
/* The number of references without a parent; or COUNT_UNKNOWN. */
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
int kin_read(struct salvage *s, struct err *err);
/* Is @node in the tree at @root? */
bool salvage_is_below(const struct salvage *s, uint32_t root, uint32_t node);
/* The height of the device's newest older root, -1: there is none. */
int kin_height(const struct salvage *s, uint32_t dev_id);

/* --- places.c --- */
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
struct sdevice *salvage_find_device(const struct salvage *s, uint32_t id);
int salvage_complete_details(struct salvage *s, struct err *err);
int salvage_join_details(struct salvage *s, struct err *err);
/* Puts @device in place; the list is sorted by id. */
int salvage_insert_device(struct salvage *s, const struct sdevice *device, struct err *err);

/* --- under.c --- */
/* Searches for an older pool that this empty one may have been formatted over: s->over. */
int salvage_look_under(struct salvage *s, struct err *err);

/* --- verdict.c --- */
int salvage_judge(struct salvage *s, struct err *err);
/* Is something below node @i missing or dropped?  @memo: a byte a node, all zero at first. */
bool salvage_has_holes(const struct salvage *s, uint32_t i, uint8_t *memo, unsigned depth);

#endif
