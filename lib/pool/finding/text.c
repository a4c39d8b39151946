/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Findings as sentences and as JSON. */
#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "pdata/block/node.h"
#include "pool/finding/finding.h"
#include "pool/format/superblock.h"

#define MAX_DEVS 5 /* named in one sentence */
#define ULL(v)	 ((unsigned long long)(v))

static void put_range(struct outbuf *out, const char *one, const char *many, uint64_t begin,
		      uint64_t last)
{
	if (begin == last)
		outbuf_printf(out, "%s %llu", one, ULL(begin));
	else if (last == UINT64_MAX)
		outbuf_printf(out, "%s %llu and up", many, ULL(begin));
	else
		outbuf_printf(out, "%s %llu-%llu", many, ULL(begin), ULL(last));
}

static bool everything(const struct finding *f)
{
	return f->has_range && f->begin == 0 && f->last == UINT64_MAX;
}

/* "metadata snapshot: device 7: " */
static void put_subject(const struct findings *fs, const struct finding *f, struct outbuf *out)
{
	uint32_t nr = MIN(f->nr_devs, (uint32_t)MAX_DEVS);

	if (f->held)
		outbuf_str(out, "metadata snap: ");
	if (!f->nr_devs)
		return;
	outbuf_str(out, f->nr_devs > 1 ? "devices " : "device ");
	for (uint32_t i = 0; i < nr; i++)
		outbuf_printf(out, "%s%u", i ? ", " : "", fs->dev[f->devs_at + i]);
	if (f->nr_devs > nr)
		outbuf_printf(out, " and %u more", f->nr_devs - nr);
	outbuf_str(out, ": ");
}

/* "has a bad checksum": what is wrong with a block of a space map. */
static const char *block_error(int error)
{
	switch (-error) {
	case EBADMSG:
		return node_fault_text(NODE_BAD_CSUM);
	case ENOTBLK:
		return node_fault_text(NODE_WRONG_PLACE);
	case ENXIO:
		return node_fault_text(NODE_OUTSIDE);
	case EEXIST:
		return node_fault_text(NODE_LOOP);
	default:
		return node_fault_text(NODE_UNREADABLE);
	}
}

/* What is lost with a part of a tree. */
static void put_loss(const struct finding *f, struct outbuf *out)
{
	if (f->begin > f->last) {
		outbuf_str(out, "no key can be in it, as its parents contradict each other");
		return;
	}
	switch (f->area) {
	case AREA_TOP_LEVEL:
		if (everything(f))
			outbuf_str(out, "no device can be found");
		else {
			put_range(out, "device", "devices", f->begin, f->last);
			outbuf_str(out, " cannot be found");
		}
		return;
	case AREA_DETAILS:
		if (everything(f))
			outbuf_str(out, "the details of all devices are lost");
		else {
			outbuf_str(out, "the details of ");
			put_range(out, "device", "devices", f->begin, f->last);
			outbuf_str(out, " are lost");
		}
		return;
	case AREA_DEVICE:
		if (everything(f))
			outbuf_str(out, "all blocks of the device are unreadable");
		else {
			put_range(out, "block", "blocks", f->begin, f->last);
			outbuf_printf(out, " of the device %s unreadable",
				      f->begin == f->last ? "is" : "are");
		}
		return;
	case AREA_DATA_INDEX:
		outbuf_str(out, "the pool cannot allocate or free data blocks there");
		return;
	default:
		outbuf_str(out, "blocks with more than two references cannot be changed");
	}
}

static void put_node(const struct finding *f, struct outbuf *out)
{
	enum node_fault fault = NODE_UNREADABLE + (f->kind - FOUND_NODE_UNREADABLE);

	bool root = f->parent == FINDING_NO_BLOCK && everything(f);

	outbuf_printf(out, "%s at block %llu",
		      root	? "root"
		      : f->leaf ? "leaf"
				: "node",
		      ULL(f->block));
	if (f->area != AREA_DEVICE)
		outbuf_printf(out, " of the %s", area_text(f->area));
	if (f->parent != FINDING_NO_BLOCK)
		outbuf_printf(out, ", to which node %llu points,", ULL(f->parent));
	outbuf_printf(out, " %s", node_fault_text(fault));
	if (f->kind == FOUND_NODE_UNREADABLE && f->error)
		outbuf_printf(out, " (%s)", strerror(-f->error));
	outbuf_str(out, ": ");
	put_loss(f, out);
}

static const char *counted_blocks(const struct finding *f)
{
	return f->area == AREA_METADATA_MAP ? "metadata block" : "data block";
}

static void put_counts(const struct finding *f, struct outbuf *out)
{
	const char *what = counted_blocks(f);
	char many[40];

	outbuf_printf(out, "%s: ", area_text(f->area));
	strcpy(many, what);
	strcat(many, "s");
	put_range(out, what, many, f->begin, f->last);
	outbuf_printf(out, "%s reference count %llu, but %llu reference%s exist%s",
		      f->begin == f->last ? " has" : " have", ULL(f->stored), ULL(f->expected),
		      f->expected == 1 ? "" : "s", f->expected == 1 ? "s" : "");
}

static void put_superblock(const struct finding *f, struct outbuf *out)
{
	enum sb_fault fault = f->kind == FOUND_SB_ALL_ZERO	? SB_ALL_ZERO
			      : f->kind == FOUND_SB_WRONG_PLACE ? SB_WRONG_PLACE
			      : f->kind == FOUND_SB_MAGIC	? SB_BAD_MAGIC
								: SB_BAD_CSUM;

	if (fault == SB_BAD_CSUM)
		outbuf_str(out, "bad checksum in superblock");
	else
		outbuf_printf(out, "the superblock %s", sb_fault_text(fault));
	outbuf_str(out, ": the pool cannot be opened");
}

/* The rest: one sentence a kind. */
static void put_other(const struct finding *f, struct outbuf *out)
{
	unsigned long long stored = f->stored, expected = f->expected, count = f->count;
	const char *map = area_text(f->area);

	switch (f->kind) {
	case FOUND_SB_VERSION:
		outbuf_printf(out,
			      "superblock: version is %llu, not %llu; the kernel ignores it",
			      stored, expected);
		return;
	case FOUND_SB_FLAGS:
		outbuf_printf(out, "superblock: unknown flags %#llx are set", stored);
		return;
	case FOUND_SB_INCOMPAT:
		outbuf_printf(out,
			      "superblock: unknown incompatible features %#llx: "
			      "the kernel will not open the pool",
			      stored);
		return;
	case FOUND_SB_COMPAT_RO:
		outbuf_printf(out,
			      "superblock: unknown features %#llx: the kernel will open the "
			      "pool read-only at best",
			      stored);
		return;
	case FOUND_SB_BLOCK_SIZE:
		outbuf_printf(out,
			      "superblock: data block size %llu is not a multiple of 128 "
			      "sectors from 128 to 2097152: no pool table can match it",
			      stored);
		return;
	case FOUND_SB_METADATA_BLOCK_SIZE:
		outbuf_printf(out, "superblock: metadata block size is %llu sectors, not %llu",
			      stored, expected);
		return;
	case FOUND_SB_TIME_LIMIT:
		outbuf_printf(out,
			      "superblock: time %llu nears %llu: after that many snapshots "
			      "mappings would be corrupted; dump and restore resets it",
			      stored, expected);
		return;
	case FOUND_OLDER_POOL:
		outbuf_printf(out,
			      "the pool is empty, but block %llu still holds details of devices: they "
			      "were deleted, or the pool was formatted over an older one",
			      ULL(f->block));
		return;
	case FOUND_SB_MAP_SIZE:
		outbuf_printf(out,
			      "%s: a size of %llu blocks is impossible (at most %llu): "
			      "the pool cannot be opened",
			      map, stored, expected);
		return;
	case FOUND_DEVICE_TOO_SMALL:
		outbuf_printf(out,
			      "the metadata device has %llu blocks, but its space map describes "
			      "%llu: the kernel will not open the pool; the rest may be "
			      "missing",
			      stored, expected);
		return;
	case FOUND_HELD:
		outbuf_printf(out,
			      "%s at block %llu: the snapshot cannot be read; "
			      "the live pool is not affected",
			      f->error ? "unreadable superblock" : "bad checksum in superblock",
			      ULL(f->block));
		return;
	case FOUND_NODE_UNDERFULL:
		outbuf_printf(out,
			      "%s: %llu node%s (the first at block %llu) hold%s fewer entries "
			      "than a third of what fits: space is wasted",
			      map, count, count == 1 ? "" : "s", ULL(f->block),
			      count == 1 ? "s" : "");
		return;
	case FOUND_NO_DETAILS:
		outbuf_str(out, "has mappings, but no details: the device cannot be activated");
		return;
	case FOUND_NO_MAPPINGS:
		outbuf_str(out, "has details, but no mappings: the device cannot be activated");
		return;
	case FOUND_DEVICE_ID:
		outbuf_printf(out,
			      "%s: device id %llu needs more than 24 bits: the device cannot "
			      "be activated",
			      map, stored);
		return;
	case FOUND_MAPPED_BLOCKS:
		outbuf_printf(out,
			      "details say %llu mapped blocks, but %llu are: status and space "
			      "accounting are wrong",
			      stored, expected);
		return;
	case FOUND_DATA_OUTSIDE:
		outbuf_printf(out, "%llu mapping%s in ", count, count == 1 ? "" : "s");
		put_range(out, "block", "blocks", f->begin, f->last);
		outbuf_printf(out,
			      " point%s beyond the data device (to block %llu of %llu): "
			      "what they held is unreadable",
			      count == 1 ? "s" : "", stored, expected);
		return;
	case FOUND_MAPPING_TIME:
		outbuf_printf(out,
			      "mapping times up to %llu in %llu lea%s (blocks %llu-%llu) are later "
			      "than the superblock's time %llu: after the next snapshot the "
			      "kernel may overwrite shared data",
			      stored, count, count == 1 ? "f" : "ves", ULL(f->begin), ULL(f->last),
			      expected);
		return;
	case FOUND_DEVICE_TIME:
		outbuf_printf(out,
			      "its time %llu is later than the superblock's time %llu: the next "
			      "snapshot may break the protection of shared data",
			      stored, expected);
		return;
	case FOUND_SHARED_TIME:
		outbuf_printf(out,
			      "shared data mapped in blocks %llu-%llu (%llu lea%s) with times "
			      "up to %llu, but the device's snapshot time is %llu: a write "
			      "would go to the shared blocks in place and corrupt the other owner",
			      ULL(f->begin), ULL(f->last), count, count == 1 ? "f" : "ves", stored,
			      expected);
		return;
	case FOUND_INDEX_BLOCK:
		outbuf_printf(out, "%s: index block %llu %s: the pool cannot be opened", map,
			      ULL(f->block), block_error(f->error));
		return;
	case FOUND_INDEX_MISSING:
		outbuf_printf(out, "%s: the index has no entry for ", map);
		put_range(out, "bitmap", "bitmaps", f->begin, f->last);
		outbuf_str(out, ": the kernel cannot allocate or free there");
		return;
	case FOUND_INDEX_EXTRA:
		outbuf_printf(out, "%s: the index has %llu entr%s beyond the end of the map", map,
			      count, count == 1 ? "y" : "ies");
		return;
	case FOUND_BITMAP:
		outbuf_printf(out, "%s: bitmap %llu at block %llu %s: the counts of ", map,
			      ULL(f->stored), ULL(f->block), block_error(f->error));
		put_range(out, "block", "blocks", f->begin, f->last);
		outbuf_str(out, " cannot be read or changed");
		return;
	case FOUND_BITMAP_IN_USE:
		outbuf_printf(out,
			      "%s: block %llu, used as bitmap %llu, is already in use "
			      "elsewhere",
			      map, ULL(f->block), stored);
		return;
	case FOUND_BITS_PAST_END:
		outbuf_printf(out,
			      "%s: bits beyond the end of the map are set for %llu block%s, which "
			      "would be in use when the device grows",
			      map, count, count == 1 ? "" : "s");
		return;
	case FOUND_OVERFLOW_MISSING:
		outbuf_printf(out, "%s: ", map);
		put_range(out, "block", "blocks", f->begin, f->last);
		outbuf_printf(out,
			      " should have a large reference count (%llu), but %s entry says "
			      "how large: the kernel fails when it changes",
			      expected, "no");
		return;
	case FOUND_OVERFLOW_STALE:
		outbuf_printf(out,
			      "%s: an entry gives block %llu the large reference count %llu, but "
			      "its bitmap does not say so",
			      map, ULL(f->begin), stored);
		return;
	case FOUND_NR_ALLOCATED:
		outbuf_printf(out,
			      "%s: the superblock says %llu blocks are allocated, the bitmaps "
			      "say %llu: the pool's status is wrong",
			      map, stored, expected);
		return;
	case FOUND_NR_FREE:
	case FOUND_NONE_FREE_BEFORE:
		outbuf_printf(out,
			      "%s: the index entry of %llu bitmap%s (the first is %llu) has a "
			      "wrong %s (%llu instead of %llu): free space may not be found",
			      map, count, count == 1 ? "" : "s", ULL(f->begin),
			      f->kind == FOUND_NR_FREE ? "number of free blocks"
						       : "first free position",
			      stored, expected);
		return;
	default:
		outbuf_str(out, finding_type(f->kind)->name);
	}
}

static const char *hint(const struct finding *f)
{
	const char *lost = "thin_repair can recover the rest";

	switch (f->kind) {
	case FOUND_SB_ALL_ZERO:
	case FOUND_SB_VERSION:
	case FOUND_SB_FLAGS:
	case FOUND_SB_METADATA_BLOCK_SIZE:
	case FOUND_SB_TIME_LIMIT:
	case FOUND_SB_INCOMPAT:
	case FOUND_SB_COMPAT_RO:
		return NULL;
	case FOUND_OLDER_POOL:
		return "should there be devices, do not use the pool: thin_repair --dry-run names the options that bring "
		       "them back";
	case FOUND_DEVICE_TOO_SMALL:
		return "give the device its size back";
	case FOUND_SB_MAP_SIZE:
	case FOUND_SB_WRONG_PLACE:
	case FOUND_SB_MAGIC:
	case FOUND_SB_CSUM:
	case FOUND_SB_BLOCK_SIZE:
		return "thin_repair can rebuild it";
	case FOUND_HELD:
		return "releasing the metadata snapshot, or thin_repair, removes it";
	case FOUND_LEAK:
	case FOUND_NR_ALLOCATED:
	case FOUND_NR_FREE:
	case FOUND_NONE_FREE_BEFORE:
	case FOUND_BITS_PAST_END:
		return "thin_check --auto-repair corrects it";
	default:
		if (f->area <= AREA_DEVICE && !finding_type(f->kind)->repairable)
			return lost;
		return "thin_repair corrects it without loss";
	}
}

void finding_text(const struct findings *fs, const struct finding *f, bool tool_hint,
		  struct outbuf *out)
{
	const char *next = tool_hint ? hint(f) : NULL;

	put_subject(fs, f, out);
	if (f->kind <= FOUND_SB_CSUM) {
		put_superblock(f, out);
	} else if (f->kind >= FOUND_NODE_UNREADABLE && f->kind <= FOUND_NODE_IN_USE) {
		put_node(f, out);
	} else if (f->kind == FOUND_COUNT_LOW) {
		put_counts(f, out);
		outbuf_str(out, ": the kernel may overwrite what is in use");
	} else if (f->kind == FOUND_COUNT_HIGH) {
		put_counts(f, out);
		outbuf_str(out, ": they will never be freed");
	} else if (f->kind == FOUND_LEAK) {
		put_counts(f, out);
		outbuf_str(out, f->area == AREA_DATA_MAP ?
					": leaked by a crash or power cut; the pool is sound, but the "
					"space cannot be used" :
					": leaked, the space is lost");
	} else {
		put_other(f, out);
	}
	if (next)
		outbuf_printf(out, "; %s", next);
}

static void put_json(const struct findings *fs, const struct finding *f, struct outbuf *out)
{
	const struct finding_type *t = finding_type(f->kind);
	struct outbuf text;

	outbuf_printf(out, "{\"kind\":\"%s\",\"severity\":\"%s\",\"repairable\":%s,\"area\":\"%s\"",
		      t->name, severity_name(finding_severity(f)), t->repairable ? "true" : "false",
		      area_name(f->area));
	if (f->held)
		outbuf_str(out, ",\"metadata_snap\":true");
	if (f->block != FINDING_NO_BLOCK)
		outbuf_printf(out, ",\"block\":%llu", ULL(f->block));
	if (f->parent != FINDING_NO_BLOCK)
		outbuf_printf(out, ",\"parent\":%llu", ULL(f->parent));
	for (uint32_t i = 0; i < f->nr_devs; i++)
		outbuf_printf(out, "%s%u%s", i ? "," : ",\"devices\":[", fs->dev[f->devs_at + i],
			      i + 1 == f->nr_devs ? "]" : "");
	if (f->has_range)
		outbuf_printf(out, ",\"begin\":%llu,\"last\":%llu", ULL(f->begin), ULL(f->last));
	if (f->count)
		outbuf_printf(out, ",\"count\":%llu", ULL(f->count));
	if (f->has_values)
		outbuf_printf(out, ",\"stored\":%llu,\"expected\":%llu", ULL(f->stored),
			      ULL(f->expected));
	outbuf_init(&text);
	finding_text(fs, f, true, &text);
	outbuf_str(out, ",\"text\":");
	json_string(out, text.data, text.len);
	outbuf_fini(&text);
	outbuf_str(out, "}");
}

void findings_json(const struct findings *fs, struct outbuf *out)
{
	outbuf_str(out, "[");
	for (size_t i = 0; i < fs->nr; i++) {
		outbuf_str(out, i ? ",\n  " : "\n  ");
		put_json(fs, &fs->f[i], out);
	}
	outbuf_str(out, fs->nr ? "\n]" : "]");
}
