/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Findings as sentences and as JSON.
 *
 * A kind's sentence stands in the table of finding.c.  In it {word} is filled in with a part of the
 * finding (words[] below); {one|many} is chosen by the count, {one/many} by the range.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/text/json.h"
#include "pdata/block/node.h"
#include "pool/finding/finding.h"
#include "pool/format/superblock.h"

#define MAX_DEVS 5 /* named in one sentence */
#define ULL(v)	 ((unsigned long long)(v))

#define TIED(found, node) \
	static_assert((int)(found) - (int)FOUND_NODE_UNREADABLE == (int)(node) - (int)NODE_UNREADABLE, #found)
TIED(FOUND_NODE_OUTSIDE, NODE_OUTSIDE);
TIED(FOUND_NODE_WRONG_PLACE, NODE_WRONG_PLACE);
TIED(FOUND_NODE_CSUM, NODE_BAD_CSUM);
TIED(FOUND_NODE_FLAGS, NODE_BAD_FLAGS);
TIED(FOUND_NODE_VALUE_SIZE, NODE_BAD_VALUE_SIZE);
TIED(FOUND_NODE_MAX_ENTRIES, NODE_BAD_MAX);
TIED(FOUND_NODE_NR_ENTRIES, NODE_BAD_NR);
TIED(FOUND_NODE_KEY_ORDER, NODE_BAD_ORDER);
TIED(FOUND_NODE_KEY_RANGE, NODE_BAD_RANGE);
TIED(FOUND_NODE_DEPTH, NODE_BAD_DEPTH);
TIED(FOUND_NODE_IN_USE, NODE_LOOP);

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

/* "metadata snap: device 7: " */
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
		outbuf_str(out, "no key fits into it, because its parents contradict each other");
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
}

/* --- the words of the sentences --- */

static void put_counted(const struct finding *f, struct outbuf *out)
{
	if (f->area == AREA_METADATA_MAP)
		put_range(out, "metadata block", "metadata blocks", f->begin, f->last);
	else
		put_range(out, "data block", "data blocks", f->begin, f->last);
}

static void put_references(const struct finding *f, struct outbuf *out)
{
	bool one = f->expected == 1;

	outbuf_printf(out, "%llu reference%s exist%s", ULL(f->expected), one ? "" : "s",
		      one ? "s" : "");
}

static void put_leaked(const struct finding *f, struct outbuf *out)
{
	outbuf_str(out, f->area != AREA_DATA_MAP ? "leaked, the space is lost" :
			f->expected ? "held by a discard that a crash or power cut ended; the pool is sound, but the space is never freed" :
				      "leaked by a crash or power cut; the pool is sound, but the space cannot be used");
}

static_assert(FOUND_SB_UNFINISHED - FOUND_SB_ALL_ZERO == SB_UNFINISHED - SB_ALL_ZERO &&
		      FOUND_SB_CSUM - FOUND_SB_ALL_ZERO == SB_BAD_CSUM - SB_ALL_ZERO,
	      "finding.h and superblock.h name the faults of a superblock in one order");

static void put_superblock(const struct finding *f, struct outbuf *out)
{
	outbuf_str(out, sb_fault_text(SB_ALL_ZERO + (f->kind - FOUND_SB_ALL_ZERO)));
}

#define WORDS(X)                                                                  \
	X("area", outbuf_str(out, area_text(f->area)))                            \
	X("begin", outbuf_u64(out, f->begin))                                     \
	X("bitmaps", put_range(out, "bitmap", "bitmaps", f->begin, f->last))      \
	X("block", outbuf_u64(out, f->block))                                     \
	X("blocks", put_range(out, "block", "blocks", f->begin, f->last))         \
	X("count", outbuf_u64(out, f->count))                                     \
	X("counted", put_counted(f, out))                                         \
	X("error", outbuf_str(out, block_error(f->error)))                        \
	X("expected", outbuf_u64(out, f->expected))                               \
	X("held", outbuf_str(out, f->error ? "unreadable superblock"              \
					   : "bad checksum in superblock"))       \
	X("last", outbuf_u64(out, f->last))                                       \
	X("leaked", put_leaked(f, out))                                           \
	X("loss", put_loss(f, out))                                               \
	X("node", put_node(f, out))                                               \
	X("references", put_references(f, out))                                   \
	X("stored", outbuf_u64(out, f->stored))                                   \
	X("stored hex", outbuf_printf(out, "%#llx", ULL(f->stored)))              \
	X("superblock", put_superblock(f, out))

/* What stands between braces, @len bytes at @s. */
static void put_word(const struct finding *f, const char *s, size_t len, struct outbuf *out)
{
	const char *many = memchr(s, '|', len);
	bool one = f->count == 1;

	if (!many) {
		many = memchr(s, '/', len);
		one = f->begin == f->last;
	}
	if (many) {
		outbuf_add(out, one ? s : many + 1,
			   one ? (size_t)(many - s) : len - (size_t)(many + 1 - s));
		return;
	}
#define PUT(word, put) \
	if (len == sizeof(word) - 1 && !memcmp(s, word, len)) \
		put;
	WORDS(PUT)
}

void finding_text(const struct findings *fs, const struct finding *f, struct outbuf *out)
{
	const char *s = finding_sentence(f->kind), *next = finding_hint(f), *brace;

	put_subject(fs, f, out);
	while ((brace = strchr(s, '{'))) {
		const char *end = strchr(brace, '}');

		outbuf_add(out, s, (size_t)(brace - s));
		put_word(f, brace + 1, (size_t)(end - brace - 1), out);
		s = end + 1;
	}
	outbuf_str(out, s);
	if (next && !fs->other_roots)
		outbuf_printf(out, "; %s", next);
}

/* Keys or blocks from @f->begin to @f->last.  A range up to the last possible key has no length. */
static void put_json_range(const struct finding *f, struct json *j)
{
	json_u64(j, "begin", f->begin);
	if (f->last == UINT64_MAX)
		json_null(j, "length");
	else
		json_u64(j, "length", f->last - f->begin + 1);
}

void finding_json(const struct findings *fs, const struct finding *f, struct json *j)
{
	struct outbuf text;

	json_object(j, NULL, 0);
	json_text(j, "kind", finding_name(f->kind));
	json_text(j, "severity", severity_name(finding_severity(f)));
	json_bool(j, "repairable", finding_repairable(f->kind));
	json_text(j, "area", area_name(f->area));
	if (f->held)
		json_bool(j, "metadata_snap", true);
	if (f->block != FINDING_NO_BLOCK)
		json_u64(j, "block", f->block);
	if (f->parent != FINDING_NO_BLOCK)
		json_u64(j, "parent", f->parent);
	if (f->nr_devs) {
		json_list(j, "devices", 0);
		for (uint32_t i = 0; i < f->nr_devs; i++)
			json_u64(j, NULL, fs->dev[f->devs_at + i]);
		json_close(j);
	}
	if (f->has_range)
		put_json_range(f, j);
	if (f->count)
		json_u64(j, "count", f->count);
	if (f->has_values) {
		json_u64(j, "stored", f->stored);
		json_u64(j, "expected", f->expected);
	}
	outbuf_init(&text);
	finding_text(fs, f, &text);
	json_text_len(j, "text", text.data, text.len);
	outbuf_fini(&text);
	json_close(j);
}

void findings_json(const struct findings *fs, struct json *j, const char *key)
{
	json_list(j, key, JSON_LINES);
	for (size_t i = 0; i < fs->nr; i++)
		finding_json(fs, &fs->f[i], j);
	json_close(j);
}
