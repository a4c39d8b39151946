/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_SALVAGE_DATAMAP_H
#define POOL_SALVAGE_DATAMAP_H
/* What the data map says: which data blocks lack a mapping, and how far both maps agree with the trees. */
#include "pool/salvage/witness/counts.h"

/* What both space maps say of all that the devices' trees reach now. */
struct agreement {
	bool data_whole;  /* all of the data map could be read */
	uint64_t missing; /* data blocks with more references than mappings found */
	uint64_t excess;  /* data blocks with more mappings than references */
	/* nodes of mappings, and empty ones, that have fewer parents than the metadata map counts */
	uint64_t orphans;
	uint64_t strange; /* numbers of the superblock that contradict the blocks */
	uint64_t twice;	  /* blocks that are named as two parts of the space maps, or as a part of them and of the trees */
	uint64_t later;	  /* devices with a later time than the superblock's */
	uint64_t surplus; /* nodes that have more parents than the metadata map counts */
	uint64_t replaced; /* blocks of the space maps in whose place something else is intact */
};

struct datamap {
	struct graph *graph;
	struct super *super;
	struct trees *trees;
	struct counts *counts;
	struct refmap *missing; /* by data block: references that nothing found accounts for */
	/* by node, nr_seen of them: its mappings were subtracted; else the last question about it */
	uint32_t *seen;
	uint32_t nr_seen, asked; /* the last question */
	bool begun;
	bool has_other;	 /* a bitmap is of another state than the index, or all of it than the superblock */
	bool large_lost; /* a count of three in @missing may be any larger one */
	struct agreement agrees;
	/* by data block: 1: it has more mappings than the map, which is of the superblock's state, counts.  NULL: none has */
	struct refmap *over;
};

/* --- data.c --- */
int datamap_begin(struct datamap *datamap, struct err *err);
/* Where the map is lost: takes it that no data block is in more than one leaf, until datamap_forget(). */
int datamap_assume(struct datamap *datamap, struct err *err);
void datamap_forget(struct datamap *datamap);
/* One reference less to @b, if it has any. */
void datamap_take_block(struct refmap *m, uint64_t b);
/* The count of @b; 0 past the end. */
uint32_t datamap_count(const struct refmap *m, uint64_t b);
/* Does the count stand for "three or more"?  Only where a part of the tree of large counts is lost. */
static inline bool datamap_is_open(const struct datamap *datamap, uint32_t count)
{
	return count == 3 && datamap->large_lost;
}
/* How many references to @b are missing?  COUNT_MANY: three or more. */
uint32_t datamap_missing(const struct datamap *datamap, uint64_t b);
/* Do all data blocks that the leaves below @node map lack a mapping?  Also true if not known. */
bool datamap_allows(struct datamap *datamap, uint32_t node);
void datamap_take(struct datamap *datamap, uint32_t node);
/* How many references are missing in all?  UINT64_MAX: not known. */
uint64_t datamap_sum(const struct datamap *datamap);
/* Do all counts agree now? */
bool datamap_is_settled(const struct datamap *datamap);
void datamap_end(struct datamap *datamap);
/* References to data blocks. */
struct data_counts {
	struct refmap *stored; /* by the data map, NULL: it is lost */
	uint8_t *known;	       /* by bitmap: it could be read */
	bool whole;	       /* all of them could */
	struct refmap *refs;   /* of the leaves that are reached, NULL: not counted */
};
/* What the data map says; data_counts_fini() is the caller's.  0 or -ENOMEM. */
int datamap_counts(struct datamap *datamap, struct data_counts *out, struct err *err);
void data_counts_fini(struct data_counts *counts);

/* --- witness.c: do the space maps agree with the trees? --- */
int witness_agreement(struct datamap *datamap, struct err *err);
/* Marks reached nodes that cannot be of this state (SN_DENIED); *nr: how many. */
int witness_deny(struct datamap *datamap, uint32_t *nr, struct err *err);

/* --- changed.c --- */
/*
 * Takes back in the graph what was changed before it was written, if all fits then that the superblock's own roots name.  0 or -errno.
 */
int witness_take_changes_back(struct counts *counts, struct err *err);

/* --- outdated.c --- */
/*
 * Marks nodes that were replaced by an older copy of themselves (SN_DENIED): their children are then placed anew with
 * the nodes that lack a parent.  Leaves of the top level that name a tree for a device whose details say another number
 * of mappings, where a tree of that number lacks a parent.  0 or -ENOMEM.
 */
int deny_outdated(struct counts *counts, const struct data_counts *data);

/* How many devices have a later time than the superblock's?  Only a snapshot sets the clock. */
uint32_t nr_later(const struct trees *trees);

/*
 * Is the superblock of a later state than the trees?  There are details on the device that are newer than those of the
 * devices, and not newer than the superblock: a snapshot raises the time of its device and the pool's together.  Or the
 * superblock is newer than the details, and a block in use lacks a parent.
 */
bool has_newer_details(struct counts *counts);

#endif
