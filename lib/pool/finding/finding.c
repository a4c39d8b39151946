/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* What can be wrong with a pool: one row a kind. */
#include "pool/finding/finding.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"
#include "pool/format/format.h"

#define FATAL	  FINDING_FATAL
#define NON_FATAL FINDING_NON_FATAL
#define WARN	  FINDING_WARN

/* What to do next. */
enum hint { NOTHING, REBUILD, CORRECT, CORRECT_IF_ONE, REST, AUTO, RESIZE, RELEASE, OLDER };

#define CLOSED "the pool cannot be opened"
#define IDLE   "the device cannot be activated"
#define COUNTS "{area}: {counted} {has/have} reference count {stored}, but {references}: "
#define INDEX_ENTRY(what) \
	"{area}: the index entry of {count} {bitmap|bitmaps} (the first is {begin}) has a wrong " \
	what " ({stored}, not {expected}): free space may be missed"
#define NODE(X, kind, name) X(kind, name, FATAL, false, "{node}: {loss}", REST)

/*
 * One row a kind, in the order of the enum: name, severity, whether repairing it loses nothing, the
 * sentence (text.c fills it in), what to do next.
 */
#define FINDINGS(X)                                                                                 \
	X(SB_ALL_ZERO, "superblock-all-zero", FATAL, false,                                         \
	  "the superblock {superblock}: " CLOSED, OLDER)                                          \
	X(SB_WRONG_PLACE, "superblock-wrong-place", FATAL, false,                                   \
	  "the superblock {superblock}: " CLOSED, REBUILD)                                          \
	X(SB_MAGIC, "superblock-magic", FATAL, false,                                               \
	  "the superblock {superblock}: " CLOSED, REBUILD)                                          \
	X(SB_CSUM, "superblock-csum", FATAL, false,                                                 \
	  "bad checksum in superblock: " CLOSED, REBUILD)                                           \
	X(SB_UNFINISHED, "superblock-unfinished", FATAL, false,                                     \
	  "bad checksum in superblock: {superblock}; run that command again", NOTHING)              \
	X(SB_VERSION, "superblock-version", WARN, true,                                             \
	  "superblock: version is {stored}, not {expected}; the kernel ignores it", NOTHING)        \
	X(SB_FLAGS, "superblock-flags", WARN, true,                                                 \
	  "superblock: unknown flags {stored hex} are set", NOTHING)                                \
	X(SB_INCOMPAT, "superblock-incompat", FATAL, false,                                         \
	  "superblock: unknown incompatible features {stored hex}: the kernel will not open the "   \
	  "pool", NOTHING)                                                                          \
	X(SB_COMPAT_RO, "superblock-compat-ro", FATAL, false,                                       \
	  "superblock: unknown features {stored hex}: the kernel will open the pool read-only at "  \
	  "best", NOTHING)                                                                          \
	X(SB_BLOCK_SIZE, "superblock-block-size", FATAL, false,                                     \
	  "superblock: data block size {stored} is not a multiple of 128 sectors from 128 to "      \
	  "2097152: no pool table can match it", REBUILD)                                           \
	X(SB_METADATA_BLOCK_SIZE, "superblock-metadata-block-size", WARN, true,                     \
	  "superblock: metadata block size is {stored} sectors, not {expected}", NOTHING)           \
	X(SB_TIME_LIMIT, "superblock-time-limit", WARN, false,                                      \
	  "superblock: time {stored} nears {expected}: snapshots past that corrupt mappings; " \
	  "'thin_repair -i POOL -o FILE' renumbers all times", NOTHING)                  \
	X(OLDER_POOL, "older-pool", WARN, false,                                                    \
	  "the pool is empty, but block {block} still holds details of devices: they were deleted, or " \
	  "the pool was formatted over an older one", OLDER)                                        \
	X(SB_MAP_SIZE, "superblock-map-size", FATAL, true,                                          \
	  "{area}: a size of {stored} blocks is impossible (at most {expected}): " CLOSED, REBUILD) \
	X(DEVICE_TOO_SMALL, "device-too-small", FATAL, false,                                       \
	  "the metadata device has {stored} blocks, but its space map describes {expected}: the "   \
	  "kernel will not open the pool, and metadata may be missing", RESIZE)                     \
	X(HELD, "held-superblock", FATAL, false,                                                    \
	  "{held} at block {block}: the snapshot cannot be read; the live pool is not affected", RELEASE) \
	NODE(X, NODE_UNREADABLE, "node-unreadable")                                                 \
	NODE(X, NODE_OUTSIDE, "node-outside")                                                       \
	NODE(X, NODE_WRONG_PLACE, "node-wrong-place")                                               \
	NODE(X, NODE_CSUM, "node-csum")                                                             \
	NODE(X, NODE_FLAGS, "node-flags")                                                           \
	NODE(X, NODE_VALUE_SIZE, "node-value-size")                                                 \
	NODE(X, NODE_MAX_ENTRIES, "node-max-entries")                                               \
	NODE(X, NODE_NR_ENTRIES, "node-nr-entries")                                                 \
	NODE(X, NODE_KEY_ORDER, "node-key-order")                                                   \
	NODE(X, NODE_KEY_RANGE, "node-key-range")                                                   \
	NODE(X, NODE_DEPTH, "node-depth")                                                           \
	NODE(X, NODE_IN_USE, "node-in-use")                                                         \
	X(NODE_UNDERFULL, "node-underfull", NON_FATAL, true,                                        \
	  "{area}: {count} {node|nodes} (the first at block {block}) {holds|hold} less than a third "   \
	  "of what fits: space is wasted", CORRECT)                                    \
	X(NO_DETAILS, "device-without-details", FATAL, false,                                       \
	  "has mappings, but no details: " IDLE, REST)                                              \
	X(NO_MAPPINGS, "device-without-mappings", FATAL, false,                                     \
	  "has details, but no mappings: " IDLE, REST)                                              \
	X(DEVICE_ID, "device-id", FATAL, false,                                                     \
	  "{area}: device id {stored} needs more than 24 bits: " IDLE, REST)                        \
	X(MAPPED_BLOCKS, "mapped-blocks", FATAL, true,                                              \
	  "details say {stored} mapped blocks, but {expected} are: status and space accounting are " \
	  "wrong", CORRECT_IF_ONE)                                                                    \
	X(DATA_OUTSIDE, "data-outside", FATAL, false,                                               \
	  "{count} {mapping|mappings} in {blocks} {points|point} beyond the data device (to block " \
	  "{stored} of {expected}): their data is unreadable", REST)                                \
	X(MAPPING_TIME, "mapping-time", FATAL, true,                                                \
	  "mapping times up to {stored} in {count} {leaf|leaves} (blocks {begin}-{last}) are later " \
	  "than the superblock's time {expected}: after the next snapshot the kernel may overwrite " \
	  "shared data", AUTO)                                                                      \
	X(DEVICE_TIME, "device-time", FATAL, true,                                                  \
	  "its time {stored} is later than the superblock's time {expected}: after the next " \
	  "snapshot shared data may be overwritten", AUTO)                                          \
	X(SHARED_TIME, "shared-time", FATAL, true,                                                  \
	  "shared data mapped in blocks {begin}-{last} ({count} {leaf|leaves}) with times up to "   \
	  "{stored}, but the device's snapshot time is {expected}: a write would change the " \
	  "other owner's data", AUTO)                                                            \
	X(INDEX_BLOCK, "index-block", FATAL, true,                                                  \
	  "{area}: index block {block} {error}: " CLOSED, CORRECT)                                  \
	X(INDEX_MISSING, "index-missing", FATAL, true,                                              \
	  "{area}: the index has no entry for {bitmaps}: the kernel cannot allocate or free there", CORRECT) \
	X(INDEX_EXTRA, "index-extra", WARN, true,                                                   \
	  "{area}: the index has {count} {entry|entries} beyond the end of the map", CORRECT)       \
	X(BITMAP, "bitmap", FATAL, true,                                                            \
	  "{area}: bitmap {stored} at block {block} {error}: the counts of {blocks} cannot be read " \
	  "or changed", CORRECT)                                                                    \
	X(BITMAP_IN_USE, "bitmap-in-use", FATAL, true,                                              \
	  "{area}: block {block}, used as bitmap {stored}, is already in use elsewhere", CORRECT_IF_ONE) \
	X(BITS_PAST_END, "bits-past-end", WARN, true,                                               \
	  "{area}: bits beyond the end of the map are set for {count} {block|blocks}, which count " \
	  "as in use when the device grows", AUTO)                                                  \
	X(COUNT_LOW, "count-low", FATAL, true,                                                      \
	  COUNTS "the kernel may overwrite what is in use", CORRECT_IF_ONE)                          \
	X(COUNT_HIGH, "count-high", FATAL, true,                                                    \
	  COUNTS "they will never be freed", CORRECT_IF_ONE)                                         \
	X(LEAK, "leak", NON_FATAL, true,                                                            \
	  COUNTS "{leaked}", AUTO)                                                                  \
	X(OVERFLOW_MISSING, "overflow-missing", FATAL, true,                                        \
	  "{area}: {blocks} should have a large reference count ({expected}), but its entry "       \
	  "is missing: the kernel fails when it changes", CORRECT)                                  \
	X(OVERFLOW_STALE, "overflow-stale", FATAL, true,                                            \
	  "{area}: an entry gives block {begin} the large reference count {stored}, but its bitmap " \
	  "has another count", CORRECT)                                                             \
	X(NR_ALLOCATED, "nr-allocated", WARN, true,                                                 \
	  "{area}: the superblock says {stored} blocks are allocated, the bitmaps say {expected}: " \
	  "the pool's status is wrong", AUTO)                                                       \
	X(NR_FREE, "nr-free", WARN, true,                                                           \
	  INDEX_ENTRY("number of free blocks"), AUTO)                                               \
	X(NONE_FREE_BEFORE, "none-free-before", WARN, true,                                         \
	  INDEX_ENTRY("first free position"), AUTO)

#define NAME_AND_SENTENCE(kind, name, severity, repairable, text, hint) name "\0" text "\0"
#define TYPE(kind, name, severity, repairable, text, hint) [FOUND_##kind] = { severity, repairable, hint },
#define IN_ORDER(kind, name, severity, repairable, text, hint) ROW_##kind,
#define SAME_PLACE(kind, name, severity, repairable, text, hint) \
	static_assert((int)ROW_##kind == (int)FOUND_##kind, name);

enum { FINDINGS(IN_ORDER) NR_ROWS };
FINDINGS(SAME_PLACE)
static_assert((int)NR_ROWS == (int)NR_FINDING_KINDS, "each kind has a row");

/* One string instead of a hundred pointers, which thin_check would have to relocate when it starts. */
static const char strings[] = FINDINGS(NAME_AND_SENTENCE);

static const struct {
	uint8_t severity;
	bool repairable;
	uint8_t hint;
} types[] = { FINDINGS(TYPE) };

static const char *string_at(unsigned n)
{
	const char *s = strings;

	while (n--)
		s += strlen(s) + 1;
	return s;
}

const char *finding_name(enum finding_kind k)
{
	return string_at(2 * k);
}

const char *finding_sentence(enum finding_kind k)
{
	return string_at(2 * k + 1);
}

enum finding_severity finding_severity(const struct finding *f)
{
	return f->kind == FOUND_LEAK && f->area == AREA_DATA_MAP ? WARN : types[f->kind].severity;
}

bool finding_repairable(enum finding_kind k)
{
	return types[k].repairable;
}

const char *finding_hint(const struct finding *f)
{
	enum hint h = types[f->kind].hint;

	/* a node of a space map's tree can be made again from the mappings */
	if (h == REST && f->area > AREA_DEVICE)
		h = CORRECT_IF_ONE;
	/* thin_check does not raise the clock so far; thin_repair renumbers all times */
	if (f->kind >= FOUND_MAPPING_TIME && f->kind <= FOUND_SHARED_TIME &&
	    f->stored >= MAX_TIME - TIME_MARGIN)
		h = CORRECT_IF_ONE;
	switch (h) {
	case REBUILD:
		return "'thin_repair -i POOL -o FILE' can rebuild it";
	case CORRECT:
		return "'thin_repair -i POOL -o FILE' corrects it without loss";
	case CORRECT_IF_ONE: /* if all is of one state: else there may be a loss */
		return "'thin_repair -i POOL -o FILE' corrects it";
	case REST:
		return "'thin_repair -i POOL -o FILE' can recover the rest";
	case AUTO:
		return "'thin_check --auto-repair POOL' corrects it";
	case RESIZE:
		return "give the device its size back";
	case RELEASE:
		return "'thin_message POOL release_metadata_snap' removes it, or 'thin_repair -i POOL -o FILE'";
	case OLDER:
		return "if the pool should have devices, do not use it: 'thin_repair --dry-run -i POOL' names the "
		       "options that bring them back";
	case NOTHING:
		break;
	}
	return NULL;
}

static const struct {
	const char *text, *name;
} areas[NR_AREAS] = {
	[AREA_SUPERBLOCK] = { "superblock", "superblock" },
	[AREA_HELD] = { "held superblock", "held-superblock" },
	[AREA_TOP_LEVEL] = { "top-level mapping tree", "top-level" },
	[AREA_DETAILS] = { "device details tree", "details" },
	[AREA_DEVICE] = { "mapping tree", "mapping" },
	[AREA_DATA_INDEX] = { "data space map's index", "data-index" },
	[AREA_DATA_OVERFLOW] = { "data space map's tree of large counts", "data-overflow" },
	[AREA_METADATA_OVERFLOW] = { "metadata space map's tree of large counts",
				     "metadata-overflow" },
	[AREA_DATA_MAP] = { "data space map", "data-map" },
	[AREA_METADATA_MAP] = { "metadata space map", "metadata-map" },
};

const char *area_text(enum pool_area a)
{
	return areas[a].text;
}

const char *area_name(enum pool_area a)
{
	return areas[a].name;
}

const char *severity_name(enum finding_severity s)
{
	static const char *const names[] = { "warning", "non-fatal", "fatal" };

	return names[s];
}

void findings_fini(struct findings *fs)
{
	free(fs->f);
	free(fs->dev);
	*fs = (struct findings) { 0 };
}

struct finding finding_make(enum finding_kind kind, enum pool_area area)
{
	return (struct finding) {
		.kind = kind, .area = area, .block = FINDING_NO_BLOCK, .parent = FINDING_NO_BLOCK
	};
}

void findings_add_again(struct findings *fs, const struct finding *f, size_t devs_at,
			size_t nr_devs)
{
	struct finding *to = vec_add(fs->f, fs->nr, fs->cap);

	fs->nr_by_severity[finding_severity(f)]++;
	fs->sorted = false;
	if (!to) {
		fs->failed = true;
		return;
	}
	*to = *f;
	to->devs_at = devs_at;
	to->nr_devs = (uint32_t)nr_devs;
}

void findings_add(struct findings *fs, const struct finding *f, const uint32_t *dev, size_t nr_devs)
{
	size_t at = fs->nr_dev;

	if (vec_reserve(fs->dev, fs->cap_dev, at + nr_devs)) {
		fs->failed = true;
		nr_devs = 0;
	}
	if (nr_devs)
		memcpy(fs->dev + at, dev, nr_devs * sizeof(*dev));
	fs->nr_dev += nr_devs;
	findings_add_again(fs, f, at, nr_devs);
}

#define COMPARE(a, b)                              \
	do {                                       \
		if ((a) != (b))                    \
			return (a) < (b) ? -1 : 1; \
	} while (0)

static int by_weight(const void *pa, const void *pb, void *ctx)
{
	const struct finding *a = pa, *b = pb;
	const struct findings *fs = ctx;

	COMPARE(a->held, b->held);
	COMPARE(finding_severity(b), finding_severity(a));
	COMPARE(a->kind, b->kind);
	COMPARE(a->area, b->area);
	if (a->nr_devs && b->nr_devs)
		COMPARE(fs->dev[a->devs_at], fs->dev[b->devs_at]);
	COMPARE(a->begin, b->begin);
	COMPARE(a->block, b->block);
	COMPARE(a->parent, b->parent);
	COMPARE(a->last, b->last);
	COMPARE(a->stored, b->stored);
	return 0;
}

void findings_sort(struct findings *fs)
{
	if (!fs->sorted && fs->nr)
		qsort_r(fs->f, fs->nr, sizeof(*fs->f), by_weight, fs);
	fs->sorted = true;
}

bool findings_any(const struct findings *fs, enum finding_severity s)
{
	for (unsigned i = s; i <= FINDING_FATAL; i++)
		if (fs->nr_by_severity[i])
			return true;
	return false;
}
