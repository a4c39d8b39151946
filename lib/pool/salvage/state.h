/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_SALVAGE_STATE_H
#define POOL_SALVAGE_STATE_H
/* What is known of the damaged metadata: blocks, nodes, devices, gaps, and how far all of it agrees. */
#include "base/search.h"
#include "base/vec.h"
#include "dev/stream.h"
#include "pdata/block/csum.h"
#include "pool/format/superblock.h"
#include "pool/salvage/salvage.h"

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
	SN_DENIED = 512,  /* the space maps say that it is not part of this state */
	SN_HELD = 1024,	  /* reached from the held metadata snapshot */
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
	bool no_memory; /* for a look at something: nothing may be concluded, salvage_new() ends with -ENOMEM */

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
	uint64_t index_free;  /* blocks that the index says are free */
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
	size_t nr_looks;		 /* through them */
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

/* @p; notes that there is none. */
static inline void *salvage_noted(struct salvage *s, void *p)
{
	s->no_memory |= !p;
	return p;
}

static inline struct gap *gap_at(const struct salvage *s, size_t i)
{
	return (struct gap *)s->gaps.data + i;
}

static inline uint32_t node_of(const struct salvage *s, uint64_t block)
{
	return block < s->nr_blocks ? s->slot[block] : NONE;
}

/* The edge of internal node @n whose keys @key is one of; NONE: it lies before all of them. */
static inline uint32_t edge_for(const struct salvage *s, const struct snode *n, uint64_t key)
{
	uint32_t k = search_first(x, n->nr_edges, s->edge[n->edge + x].key > key);

	return k ? n->edge + k - 1 : NONE;
}

static inline bool has_given_roots(const struct salvage *s)
{
	return s->opt.has_mapping_root || s->opt.has_details_root;
}

/* The content of @block, wherever it is, mended.  0, or -errno when it cannot be read. */
int salvage_get(const struct salvage *s, uint32_t block, void *buf, struct err *err);
/* Where the content of @block is. */
uint32_t salvage_where(const struct salvage *s, uint32_t block);
/* NULL: there is no such device. */
struct sdevice *salvage_find_device(const struct salvage *s, uint32_t id);
/* Is something below node @i missing or dropped?  @memo: a byte a node, all zero at first. */
bool salvage_has_holes(const struct salvage *s, uint32_t i, uint8_t *memo, unsigned depth);

#endif
