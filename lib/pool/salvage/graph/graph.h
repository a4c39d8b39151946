/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_SALVAGE_GRAPH_H
#define POOL_SALVAGE_GRAPH_H
/*
 * Every block of the metadata device and every node among them: what it is, what it points to, and which of that
 * fits together.  Nothing here knows which of the nodes are of the pool's last state.
 */
#include <errno.h>

#include "base/order.h"
#include "base/search.h"
#include "base/vec.h"
#include "dev/stream.h"
#include "pdata/block/csum.h"
#include "pool/format/format.h"
#include "pool/salvage/graph/node.h"

#define NONE UINT32_MAX

/* What a block turned out to be. */
enum block_kind {
	BLOCK_UNREAD,
	BLOCK_WANTED, /* on the list of what is read next */
	BLOCK_ZERO,
	BLOCK_JUNK, /* no kind of metadata */
	BLOCK_CUT,  /* past the end of a device that is shorter than its metadata */
	BLOCK_IO_ERROR,
	BLOCK_STRAY,   /* whole, but it carries another block's number */
	BLOCK_REFUSED, /* whole, but what is there is not believed */
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
	SN_VIRTUAL = 2, /* takes the place of a lost node; its children are those that were found */
	SN_LIVE = 4,	/* reached from the roots */
	SN_UNSORTED = 8, /* keys out of order: sorted when decoded */
	SN_LINKING = 16, /* being linked: reached again means a loop */
	SN_LINKED = 32,
	SN_MENDED = 64,	 /* header or bits were corrected */
	SN_TAKEN = 128,	 /* an orphan that was given to a parent */
	SN_BROKEN = 256, /* not all of its subtree can be read */
	SN_DENIED = 512, /* the space maps say that it is not part of this state */
	SN_HELD = 1024,	 /* reached from the held metadata snapshot */
	SN_MISPLACED = 2048, /* every parent that it should have expects another content in its block */
	SN_VOUCHED = 4096,   /* reached from a device whose count is right */
	SN_CHILD = 8192,     /* an internal node refers to it (graph_mark_children()) */
	SN_ROOT = 16384,     /* the top level names it: once parts of trees are assigned */
};

/* Is an orphan's place proved by numbers, likely by evidence, or open? */
enum certainty { CERTAINTY_PROVED, CERTAINTY_LIKELY, CERTAINTY_OPEN };

/* A node, in brief.  Its content stays on disk. */
struct snode {
	uint32_t block;	      /* NONE: a virtual node that nothing names */
	uint32_t edge;	      /* internal nodes and top-level leaves: first of nr_edges */
	uint64_t first, last; /* keys; once linked, @last is the subtree's */
	uint64_t nr_mappings; /* of the subtree, the impossible ones not counted */
	uint64_t max_data;    /* greatest data block of the subtree's mappings */
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

/* What was corrected by means of the checksum: a bit, a byte, or what the block does not use. */
struct mend {
	uint32_t at;
	uint16_t byte;
	uint8_t mask;	/* XOR */
	bool bit;	/* a single bit */
	uint8_t unused; /* enum block_kind: what it does not use, behind @used entries of a space map */
	uint16_t used;
};

/* Where the content of a block is, when it is not in its own place. */
struct moved {
	uint32_t block, at;
};

/* An intact block found in another place than its own. */
struct stray {
	uint32_t at, own;
	uint8_t kind;
	bool used; /* it is used as the block whose number it carries */
};

struct graph {
	struct io *io;
	struct jobs *jobs;
	struct stream stream;
	uint32_t refused; /* block whose content is not believed, 0: none */
	uint32_t nr_blocks;
	uint32_t nr_counted; /* of them by the superblock's metadata map, which is shorter where the device was extended since */
	bool no_memory; /* for a look at something: nothing may be concluded, salvage_new() ends with -ENOMEM */
	bool scanned;	/* the whole device was read */

	uint8_t *kind;	/* enum block_kind, by block */
	uint32_t *slot; /* node of a block, or NONE */
	struct snode *node;
	uint32_t nr_nodes;
	struct edge *edge;
	uint32_t nr_edges;
	size_t cap_nodes, cap_edges;
	struct vec mends, strays; /* sorted by location */
	struct vec moved;	  /* sorted by block */

	uint64_t nr_data_blocks; /* UINT64_MAX: not known */
	uint32_t newest_time;	 /* of the mappings, once linked */
	uint64_t mapped_sum; /* sum of data_mark() over the mappings of all leaves that were read */
};

/* All zero before.  0 or -ENOMEM; graph_fini() in both cases. */
int graph_init(struct graph *g, struct io *io, struct jobs *jobs);
void graph_fini(struct graph *g);
/* The metadata have that many blocks: what the device is too short for is lost.  0 or -ENOMEM. */
int graph_extend(struct graph *g, uint64_t nr_blocks);

/* What is wrong with a block that is not whole: "block N ...". */
const char *graph_kind_text(enum block_kind kind);

/* Of a variable that a block is read to: it takes no memory that could be lacking. */
#define BLOCK_ALIGNED __attribute__((aligned(MBLOCK_SIZE)))

/* @p; notes that there is none. */
static inline void *graph_noted(struct graph *g, void *p)
{
	g->no_memory |= !p;
	return p;
}

static inline uint32_t node_of(const struct graph *g, uint64_t block)
{
	return block < g->nr_blocks ? g->slot[block] : NONE;
}

/* Is an intact block of another kind there? */
static inline bool graph_has_other(const struct graph *g, uint64_t block, enum block_kind kind)
{
	return block < g->nr_blocks && g->kind[block] >= BLOCK_NODE && g->kind[block] != kind;
}

/* Is the block a node that the roots reach? */
static inline bool graph_is_live(const struct graph *g, uint64_t block)
{
	const uint32_t i = node_of(g, block);

	return i != NONE && g->node[i].flags & SN_LIVE;
}

/* Is node @i what its block holds, and was not found to belong elsewhere since? */
static inline bool graph_is_there(const struct graph *g, uint32_t i)
{
	return node_of(g, g->node[i].block) == i;
}

/* Child @k of internal node @n, NONE: it is lost. */
static inline uint32_t graph_child(const struct graph *g, const struct snode *n, uint32_t k)
{
	return g->edge[n->edge + k].node;
}

/* Two different sets of references to data blocks almost certainly have different sums of these. */
static inline uint64_t data_mark(uint64_t block)
{
	uint64_t x = (block + 1) * 0x9e3779b97f4a7c15u;

	return x * (x >> 32 | 1);
}

/* --- scan.c: reading and classifying --- */
/* By its checksum: BLOCK_JUNK, or one that is intact. */
enum block_kind graph_kind_of(const void *data);
int graph_load(struct graph *g, mblock_t *list, size_t nr, struct err *err);
/* Uses the content at @at as @block: 1, 0 when it is of no use, or -errno. */
int graph_take_content(struct graph *g, uint32_t block, uint32_t at, uint8_t kind, struct err *err);
/* A node in the place of a lost one.  NONE: no memory. */
uint32_t graph_add_virtual(struct graph *g, uint8_t tree, int height, struct err *err);
/* Gives @node the @nr children.  0 or -errno. */
int graph_add_edges(struct graph *g, uint32_t node, const uint32_t *child, uint32_t nr,
		    struct err *err);

/* --- strays.c: where the content of a block is --- */
/* Everything that has not been read yet. */
int graph_scan_all(struct graph *g, struct err *err);
/* Behind the metadata, which have @nr_blocks, is nothing but zeros, if that is so: the device was extended since. */
void graph_end_before_zeros(struct graph *g, uint64_t nr_blocks);
/* Counts the mappings to data blocks that do not exist (nr_data_blocks), leaf by leaf. */
void graph_bound(struct graph *g);
/* Was a field of the node put right, such as its number, though its checksum was right? */
bool graph_had_wrong_field(const struct graph *g, const struct snode *n);
/* The content of @block, wherever it is, mended.  0, or -errno when it cannot be read. */
int graph_get(const struct graph *g, uint32_t block, void *buf, struct err *err);
/* The same, of a block of @kind.  False: no such block is there. */
bool graph_get_kind(const struct graph *g, uint64_t block, enum block_kind kind, void *buf);
/* What graph_take_stray() changed. */
struct stray_undo {
	uint32_t block[2]; /* its own, and where it is */
	uint32_t where;	   /* the content of its own was */
	uint32_t nr_nodes, nr_edges, slot[2];
	uint8_t kind[2];
	uint16_t flags[2];
	uint64_t mapped_sum;
};
/*
 * Takes an intact block in the wrong place for the one whose number it carries, though something else is intact there; where it stands nothing is
 * left.  1, 0 when it is of no use, or -errno.  No node was added since when it is left again.
 */
int graph_take_stray(struct graph *g, const struct stray *st, struct stray_undo *undo, struct err *err);
int graph_leave_stray(struct graph *g, const struct stray_undo *undo, struct err *err);
/* Takes each of two blocks' contents for the other's.  0 or -ENOMEM. */
int graph_exchange(struct graph *g, uint32_t a, uint32_t b, struct err *err);
/* Opens the content of node @i, which is read to @buf.  False: it cannot be read. */
bool graph_view(const struct graph *g, uint32_t i, void *buf, struct view *v);
/* Where the content of @block is. */
uint32_t graph_where(const struct graph *g, uint32_t block);

/* --- leaves.c --- */
/*
 * Calls @fn for each of the leaves of mappings that can be read: of many workers at once.  @list: uint32_t nodes,
 * which are sorted by where they are.
 */
typedef void graph_leaf_fn(void *ctx, uint32_t node, const struct view *v);
int graph_read_leaves(struct graph *g, struct vec *list, graph_leaf_fn *fn, void *ctx,
		      struct err *err);

/*
 * Calls @fn for each leaf below @node whose values have @value_size bytes, in the order of keys, until one returns
 * not 0, or cannot be read: then that is returned.
 */
typedef int graph_view_fn(void *ctx, const struct view *v);
int graph_each_leaf(const struct graph *g, uint32_t node, uint32_t value_size, graph_view_fn *fn, void *ctx,
		    struct err *err);

/* What the index of space map @map says of its bitmap @i. */
struct bitmap_entry {
	const struct sm_root *map;
	uint64_t i, block;
	uint32_t nr_free; /* entries of the bitmap */
};
typedef void graph_bitmap_fn(void *ctx, const struct bitmap_entry *e);
/*
 * How many bitmaps the index block @index of a metadata map names, 0: it is not there.  They are fewer than the device has room
 * for where it was extended, and the kernel has not grown the map since.
 */
uint32_t graph_nr_bitmaps(const struct graph *g, uint64_t index);
/* Calls @fn for each bitmap of a metadata map.  False: its index block is not there. */
bool graph_each_in_index(const struct graph *g, const struct sm_root *map, graph_bitmap_fn *fn, void *ctx);
/* And of a data map, whose index is the tree at @node: 0, or -errno where a part of it cannot be read. */
int graph_each_in_index_tree(const struct graph *g, const struct sm_root *map, uint32_t node, graph_bitmap_fn *fn, void *ctx);

/* --- mend.c --- */
/*
 * Can one flipped bit, one changed byte, or bytes that are not used and were zero explain the bad checksum of @block (at @at)?
 * Corrects @block in place and fills @m.  Only blocks whose header otherwise makes sense.
 */
bool mend_block(const struct graph *g, uint8_t *block, uint32_t at, struct mend *m);
/*
 * Is a node in use of which only bytes were mended that it does not use?  A write may have been torn: then the rest is an older
 * content of the block.
 */
bool graph_may_be_torn(const struct graph *g);
/* What was mended in the block at @at, NULL: nothing. */
const struct mend *graph_mend_at(const struct graph *g, uint32_t at);
/* Puts right what was mended in a buffer read from @at. */
void graph_apply_mends(const struct graph *g, uint32_t at, void *buf);

/* --- link.c: which child fits below which parent? --- */
static inline bool tree_fits(uint8_t child, uint8_t tree)
{
	return child == tree || (child == TREE_EMPTY && (tree == TREE_MAPPING || tree == TREE_TOP));
}

static inline bool is_top_leaf(const struct snode *n)
{
	return n->flags & SN_LEAF && n->nr_edges;
}

/*
 * A leaf whose only value can be a block of this device or a mapping to data block 0: it is read as
 * a leaf of the top level, and its position shows when it is a mapping.
 */
static inline bool may_be_mapping(const struct snode *n)
{
	return n->tree == TREE_TOP && is_top_leaf(n) && n->nr == 1;
}

static inline uint64_t last_key_of(const struct graph *g, const struct snode *n, uint32_t i,
				   uint64_t last)
{
	return i + 1 < n->nr_edges ? g->edge[n->edge + i + 1].key - 1 : last;
}

/* The leaf holds one mapping to data block 0. */
void graph_make_mapping(struct graph *g, struct snode *n);
/* Adds the sums of the subtree at @c to those of its parent @n. */
void graph_add_sums(struct snode *n, const struct snode *c);

void graph_link(struct graph *g);
/*
 * Gives child @k of internal node @node its own first key there: all edges of the node are sorted anew.  False: it has that key, or not all children
 * fit then; the caller puts the node's edges and flags back.
 */
bool graph_mend_key(struct graph *g, uint32_t node, uint32_t k);

/* --- below.c --- */
enum answer { NO, YES, UNKNOWN };
/*
 * From @root down to the node of @height where @key belongs.  It ends before at a virtual node, a leaf, or a node all of
 * whose keys are above @key.  NONE: the part is lost.
 */
uint32_t graph_descend(const struct graph *g, uint32_t root, uint64_t key, int height);
/* Is @node in the tree at @root? */
enum answer graph_contains(const struct graph *g, uint32_t root, uint32_t node);
/*
 * Calls @fn for each device that the top level at @top names, in the order of keys, until it returns not 0: then that
 * is returned.
 */
typedef int graph_device_fn(void *ctx, uint64_t id, uint32_t root);
int graph_each_device(const struct graph *g, uint32_t top, graph_device_fn *fn, void *ctx);
/* Is something below node @i missing or dropped?  @memo: a byte a node, all zero at first, or HOLES_SOME where the caller has a reason. */
enum { HOLES_UNKNOWN, HOLES_NONE, HOLES_SOME };
bool graph_has_holes(const struct graph *g, uint32_t i, uint8_t *memo, unsigned depth);
/* How many mappings can be in the lost parts below node @i at most?  @memo: a number a node, all zero at first. */
uint64_t graph_room(const struct graph *g, uint32_t i, uint64_t *memo, unsigned depth);
/* Sets @flag in each node of the tree at @root, and of the trees that it names when it is a top level. */
void graph_mark(struct graph *g, uint32_t root, enum snode_flags flag);
void graph_unmark(struct graph *g, enum snode_flags flag);
/* Sets SN_CHILD in each node that an internal node refers to now, one with the flags @of. */
void graph_mark_children(struct graph *g, enum snode_flags of);

#endif
