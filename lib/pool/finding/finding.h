/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_FINDING_H
#define POOL_FINDING_H
/*
 * Damage is data: a check makes findings, and messages, exit codes, fixes and repairs are made from
 * them.  Each kind has a row in the table of finding.c and a
 * recipe of the same name in the damage catalogue.
 */
#include "base/err.h"
#include "base/text/json.h"
#include "base/units.h"

enum finding_severity {
	FINDING_WARN,	   /* for information; the pool is sound */
	FINDING_NON_FATAL, /* space is lost, or a node is less full than it should be; all data is safe */
	FINDING_FATAL, /* data is lost, cannot be reached, or is in danger when the pool is used */
};

enum finding_kind {
	/* superblock: the first ones in the order of enum sb_fault */
	FOUND_SB_ALL_ZERO,
	FOUND_SB_WRONG_PLACE,
	FOUND_SB_MAGIC,
	FOUND_SB_CSUM,
	FOUND_SB_UNFINISHED,
	FOUND_SB_VERSION,
	FOUND_SB_FLAGS,
	FOUND_SB_INCOMPAT,
	FOUND_SB_COMPAT_RO,
	FOUND_SB_BLOCK_SIZE,
	FOUND_SB_METADATA_BLOCK_SIZE,
	FOUND_SB_TIME_LIMIT,
	FOUND_OLDER_POOL,
	FOUND_SB_MAP_SIZE,
	FOUND_DEVICE_TOO_SMALL,
	FOUND_HELD,
	/* nodes of trees; in the order of enum node_fault */
	FOUND_NODE_UNREADABLE,
	FOUND_NODE_OUTSIDE,
	FOUND_NODE_WRONG_PLACE,
	FOUND_NODE_CSUM,
	FOUND_NODE_FLAGS,
	FOUND_NODE_VALUE_SIZE,
	FOUND_NODE_MAX_ENTRIES,
	FOUND_NODE_NR_ENTRIES,
	FOUND_NODE_KEY_ORDER,
	FOUND_NODE_KEY_RANGE,
	FOUND_NODE_DEPTH,
	FOUND_NODE_IN_USE,
	FOUND_NODE_UNDERFULL,
	/* devices and mappings */
	FOUND_NO_DETAILS,
	FOUND_NO_MAPPINGS,
	FOUND_DEVICE_ID,
	FOUND_MAPPED_BLOCKS,
	FOUND_DATA_OUTSIDE,
	FOUND_MAPPING_TIME,
	FOUND_DEVICE_TIME,
	FOUND_SHARED_TIME,
	/* space maps */
	FOUND_INDEX_BLOCK,
	FOUND_INDEX_MISSING,
	FOUND_INDEX_EXTRA,
	FOUND_BITMAP,
	FOUND_BITMAP_IN_USE,
	FOUND_BITS_PAST_END,
	FOUND_COUNT_LOW,
	FOUND_COUNT_HIGH,
	FOUND_LEAK,
	FOUND_OVERFLOW_MISSING,
	FOUND_OVERFLOW_STALE,
	FOUND_NR_ALLOCATED,
	FOUND_NR_FREE,
	FOUND_NONE_FREE_BEFORE,
	NR_FINDING_KINDS
};

/* Which structure */
enum pool_area {
	AREA_SUPERBLOCK,
	AREA_HELD, /* the held copy of the superblock */
	AREA_TOP_LEVEL,
	AREA_DETAILS,
	AREA_DEVICE, /* mapping trees of devices */
	AREA_DATA_INDEX,
	AREA_DATA_OVERFLOW,
	AREA_METADATA_OVERFLOW,
	AREA_DATA_MAP,
	AREA_METADATA_MAP,
	NR_AREAS
};
const char *area_text(enum pool_area a); /* "device details tree" */
const char *area_name(enum pool_area a); /* "details", for JSON */

const char *finding_name(enum finding_kind k); /* "node-csum" */
bool finding_repairable(enum finding_kind k); /* repairing it loses nothing */
const char *finding_sentence(enum finding_kind k); /* with {words}, which finding_text() fills in */
const char *severity_name(enum finding_severity s);

#define FINDING_NO_BLOCK UINT64_MAX

struct finding {
	enum finding_kind kind;
	enum pool_area area;
	bool held;	 /* in the held metadata snapshot only */
	mblock_t block;	 /* the metadata block concerned, or FINDING_NO_BLOCK */
	mblock_t parent; /* the node with the bad pointer, or FINDING_NO_BLOCK */
	/* The range concerned: keys of a tree, or blocks of a space map; inclusive. */
	uint64_t begin, last;
	bool has_range;
	uint64_t count; /* how many entries or blocks (0: just one thing) */
	bool has_values;
	uint64_t stored, expected;
	int error;	  /* -errno with unreadable blocks */
	bool leaf;	  /* the node is (or should be) a leaf */
	uint32_t nr_devs; /* devices concerned, ascending, in findings.dev[devs_at..] */
	size_t devs_at;
};

/*
 * The severity of the finding's kind.  Leaked data blocks alone are a warning: a power cut leaves
 * them behind, the kernel ignores them, and the pool must start afterwards.
 */
enum finding_severity finding_severity(const struct finding *f);

struct findings {
	struct finding *f;
	size_t nr, cap;
	uint32_t *dev;
	size_t nr_dev, cap_dev;
	uint64_t nr_by_severity[3];
	bool sorted;
	bool failed; /* no memory for some of them: the numbers are still right */
	bool other_roots; /* the trees are not those of block 0: finding_text() says nothing of what to do next */
};

/* A zeroed struct findings is an empty one. */
void findings_fini(struct findings *fs);
/* Adds @f (copied); @dev: the devices it concerns.  Memory errors are noted in @failed. */
void findings_add(struct findings *fs, const struct finding *f, const uint32_t *dev,
		  size_t nr_devs);
/* Adds @f for the devices of an earlier finding, findings.dev[devs_at..devs_at + nr_devs). */
void findings_add_again(struct findings *fs, const struct finding *f, size_t devs_at,
			size_t nr_devs);
/* What to do next, or NULL. */
const char *finding_hint(const struct finding *f);
/* A finding of @kind in @area with nothing else set. */
struct finding finding_make(enum finding_kind kind, enum pool_area area);
/* Sorts: fatal first, then by kind and place; an order that no number of jobs changes. */
void findings_sort(struct findings *fs);
/* Is there one of this severity or worse? */
bool findings_any(const struct findings *fs, enum finding_severity s);

/* One sentence: what, where, what it costs, what next, with the command that helps.  No newline.  text.c */
void finding_text(const struct findings *fs, const struct finding *f, struct outbuf *out);
/* Passes finding_text(), with @before in front of it, to @tell. */
void finding_tell(const struct findings *fs, const struct finding *f, const char *before,
		  void (*tell)(void *ctx, const char *text), void *ctx);
/* All findings, which are sorted, a line each; of one kind no more than @per_kind, and their number. */
void findings_tell(const struct findings *fs, size_t per_kind,
		   void (*tell)(void *ctx, const char *text), void *ctx);
/* One finding as a member of a list; all of them as a list. */
void finding_json(const struct findings *fs, const struct finding *f, struct json *j);
void findings_json(const struct findings *fs, struct json *j, const char *key);

#endif
