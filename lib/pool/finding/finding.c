/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/vec.h"
#include "pool/finding/finding.h"

#include <stdlib.h>
#include <string.h>

#define FATAL	  FINDING_FATAL
#define NON_FATAL FINDING_NON_FATAL
#define WARN	  FINDING_WARN

static const struct finding_type types[NR_FINDING_KINDS] = {
	[FOUND_SB_ALL_ZERO] = { "superblock-all-zero", FATAL, false },
	[FOUND_SB_WRONG_PLACE] = { "superblock-wrong-place", FATAL, false },
	[FOUND_SB_MAGIC] = { "superblock-magic", FATAL, false },
	[FOUND_SB_CSUM] = { "superblock-csum", FATAL, false },
	[FOUND_SB_VERSION] = { "superblock-version", WARN, true },
	[FOUND_SB_FLAGS] = { "superblock-flags", WARN, true },
	[FOUND_SB_INCOMPAT] = { "superblock-incompat", FATAL, false },
	[FOUND_SB_COMPAT_RO] = { "superblock-compat-ro", FATAL, false },
	[FOUND_SB_BLOCK_SIZE] = { "superblock-block-size", FATAL, false },
	[FOUND_SB_METADATA_BLOCK_SIZE] = { "superblock-metadata-block-size", WARN, true },
	[FOUND_SB_TIME_LIMIT] = { "superblock-time-limit", WARN, false },
	[FOUND_OLDER_POOL] = { "older-pool", WARN, false },
	[FOUND_SB_MAP_SIZE] = { "superblock-map-size", FATAL, true },
	[FOUND_DEVICE_TOO_SMALL] = { "device-too-small", FATAL, false },
	[FOUND_HELD] = { "held-superblock", FATAL, false },
	[FOUND_NODE_UNREADABLE] = { "node-unreadable", FATAL, false },
	[FOUND_NODE_OUTSIDE] = { "node-outside", FATAL, false },
	[FOUND_NODE_WRONG_PLACE] = { "node-wrong-place", FATAL, false },
	[FOUND_NODE_CSUM] = { "node-csum", FATAL, false },
	[FOUND_NODE_FLAGS] = { "node-flags", FATAL, false },
	[FOUND_NODE_VALUE_SIZE] = { "node-value-size", FATAL, false },
	[FOUND_NODE_MAX_ENTRIES] = { "node-max-entries", FATAL, false },
	[FOUND_NODE_NR_ENTRIES] = { "node-nr-entries", FATAL, false },
	[FOUND_NODE_KEY_ORDER] = { "node-key-order", FATAL, false },
	[FOUND_NODE_KEY_RANGE] = { "node-key-range", FATAL, false },
	[FOUND_NODE_DEPTH] = { "node-depth", FATAL, false },
	[FOUND_NODE_IN_USE] = { "node-in-use", FATAL, false },
	[FOUND_NODE_UNDERFULL] = { "node-underfull", NON_FATAL, true },
	[FOUND_NO_DETAILS] = { "device-without-details", FATAL, false },
	[FOUND_NO_MAPPINGS] = { "device-without-mappings", FATAL, false },
	[FOUND_DEVICE_ID] = { "device-id", FATAL, false },
	[FOUND_MAPPED_BLOCKS] = { "mapped-blocks", FATAL, true },
	[FOUND_DATA_OUTSIDE] = { "data-outside", FATAL, false },
	[FOUND_MAPPING_TIME] = { "mapping-time", FATAL, true },
	[FOUND_DEVICE_TIME] = { "device-time", FATAL, true },
	[FOUND_SHARED_TIME] = { "shared-time", FATAL, true },
	[FOUND_INDEX_BLOCK] = { "index-block", FATAL, true },
	[FOUND_INDEX_MISSING] = { "index-missing", FATAL, true },
	[FOUND_INDEX_EXTRA] = { "index-extra", WARN, true },
	[FOUND_BITMAP] = { "bitmap", FATAL, true },
	[FOUND_BITMAP_IN_USE] = { "bitmap-in-use", FATAL, true },
	[FOUND_BITS_PAST_END] = { "bits-past-end", WARN, true },
	[FOUND_COUNT_LOW] = { "count-low", FATAL, true },
	[FOUND_COUNT_HIGH] = { "count-high", FATAL, true },
	[FOUND_LEAK] = { "leak", NON_FATAL, true },
	[FOUND_OVERFLOW_MISSING] = { "overflow-missing", FATAL, true },
	[FOUND_OVERFLOW_STALE] = { "overflow-stale", FATAL, true },
	[FOUND_NR_ALLOCATED] = { "nr-allocated", WARN, true },
	[FOUND_NR_FREE] = { "nr-free", WARN, true },
	[FOUND_NONE_FREE_BEFORE] = { "none-free-before", WARN, true },
};

static const struct {
	const char *text, *name;
} areas[NR_AREAS] = {
	[AREA_SUPERBLOCK] = { "superblock", "superblock" },
	[AREA_HELD] = { "held superblock", "held-superblock" },
	[AREA_TOP_LEVEL] = { "tree of devices", "top-level" },
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

const struct finding_type *finding_type(enum finding_kind k)
{
	return &types[k];
}

enum finding_severity finding_severity(const struct finding *f)
{
	return f->kind == FOUND_LEAK && f->area == AREA_DATA_MAP ? WARN : types[f->kind].severity;
}

const char *severity_name(enum finding_severity s)
{
	static const char *const names[] = { "warning", "non-fatal", "fatal" };

	return names[s];
}

void findings_init(struct findings *fs)
{
	*fs = (struct findings) { 0 };
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

void findings_add(struct findings *fs, const struct finding *f, const uint32_t *dev, size_t nr_devs)
{
	fs->nr_by_severity[finding_severity(f)]++;
	if (vec_reserve(fs->f, fs->cap, fs->nr + 1) ||
	    vec_reserve(fs->dev, fs->cap_dev, fs->nr_dev + nr_devs)) {
		fs->failed = true;
		return;
	}
	fs->f[fs->nr] = *f;
	fs->f[fs->nr].devs_at = fs->nr_dev;
	fs->f[fs->nr].nr_devs = (uint32_t)nr_devs;
	fs->nr++;
	if (nr_devs)
		memcpy(fs->dev + fs->nr_dev, dev, nr_devs * sizeof(*dev));
	fs->nr_dev += nr_devs;
	fs->sorted = false;
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
