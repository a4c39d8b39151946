/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * What was found, kept, lost and invented, per device with ranges of blocks and bytes.  A gap whose
 * device has all the mappings that its details promise has lost nothing and is not told.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/runs.h"
#include "pool/salvage/impl.h"

#define MAX_RANGES 24 /* told of one device; the rest is counted */
#define MAX_BLOCKS 40 /* likewise bad blocks, unless all are wanted */

struct device_report {
	struct runs lost;    /* keys that had or may have had mappings */
	struct runs dropped; /* keys whose mappings could not be */
};

struct telling {
	struct salvage *s;
	uint8_t *holes; /* by node: 1 nothing missing below, 2 something */
	uint8_t *buf;
};

static bool has_holes(struct telling *t, uint32_t i, unsigned depth)
{
	const struct snode *n = &t->s->node[i];
	bool any = n->flags & SN_VIRTUAL || n->nr_bad;

	if (t->holes[i])
		return t->holes[i] == 2;
	t->holes[i] = 1; /* also when met again below itself */
	for (uint32_t k = 0; !(n->flags & SN_LEAF) && k < n->nr_edges && depth < 200; k++)
		if (t->s->edge[n->edge + k].node != NONE)
			any |= has_holes(t, t->s->edge[n->edge + k].node, depth + 1);
	t->holes[i] = any ? 2 : 1;
	return any;
}

static void add_range(struct runs *r, uint64_t begin, uint64_t last)
{
	if (begin <= last)
		(void)runs_add(r, begin, last == UINT64_MAX ? last : last + 1);
}

/* The keys that a lost node was for, less those of the children that were found. */
static void tell_gap(struct telling *t, const struct snode *n, uint64_t begin, uint64_t last,
		     struct device_report *d)
{
	const struct salvage *s = t->s;

	for (uint32_t k = 0; k < n->nr_edges; k++) {
		const struct snode *c = &s->node[s->edge[n->edge + k].node];

		if (c->first > begin)
			add_range(&d->lost, begin, c->first - 1);
		if (c->last >= last)
			return;
		begin = MAX(begin, c->last + 1);
	}
	add_range(&d->lost, begin, last);
}

static void tell_dropped(struct telling *t, uint32_t i, struct device_report *d)
{
	const struct snode *n = &t->s->node[i];
	struct run run[INTERNAL_MAX];
	struct runs kept;
	struct view v;
	uint32_t nr;

	if (salvage_get(t->s, n->block, t->buf, NULL) < 0 || !view_open(&v, t->buf))
		return;
	nr = view_runs(&v, t->s->nr_data_blocks, run);
	if (n->flags & SN_CLIPPED)
		nr = runs_clip(run, nr, n->first, n->last);
	runs_init(&kept);
	for (uint32_t k = 0; k < nr; k++)
		(void)runs_add(&kept, run[k].vbegin, run[k].vbegin + run[k].len);
	for (uint32_t k = 0; k < v.nr; k++)
		if (!runs_has(&kept, view_key(&v, k)))
			add_range(&d->dropped, view_key(&v, k), view_key(&v, k));
	runs_fini(&kept);
}

static void walk(struct telling *t, uint32_t i, uint64_t begin, uint64_t last,
		 struct device_report *d, unsigned depth)
{
	const struct salvage *s = t->s;
	const struct snode *n = &s->node[i];

	if (!has_holes(t, i, 0) || depth > 200)
		return;
	if (n->flags & SN_LEAF) {
		tell_dropped(t, i, d);
		return;
	}
	if (n->flags & SN_VIRTUAL)
		tell_gap(t, n, MAX(begin, n->first), MIN(last, n->last), d);
	for (uint32_t k = 0; k < n->nr_edges; k++) {
		const struct edge *e = &s->edge[n->edge + k];
		uint64_t end = k + 1 < n->nr_edges ? s->edge[n->edge + k + 1].key - 1 : last;

		if (e->node != NONE)
			walk(t, e->node, MAX(begin, e->key), MIN(last, end), d, depth + 1);
	}
}

static int telling_init(struct telling *t, struct salvage *s)
{
	*t = (struct telling){ .s = s, .holes = calloc((size_t)s->nr_nodes + 1, 1),
			       .buf = io_alloc(MBLOCK_SIZE) };
	return t->holes && t->buf ? 0 : -1;
}

static void telling_fini(struct telling *t)
{
	free(t->holes);
	free(t->buf);
}

static void report_device(struct telling *t, const struct sdevice *dev, struct device_report *d)
{
	runs_init(&d->lost);
	runs_init(&d->dropped);
	if (dev->root != NONE)
		walk(t, dev->root, 0, UINT64_MAX, d, 0);
	if (dev->source == DETAILS_LIVE && dev->info.mapped_blocks == dev->nr_mappings)
		runs_fini(&d->lost);
}

static void device_report_fini(struct device_report *d)
{
	runs_fini(&d->lost);
	runs_fini(&d->dropped);
}

static uint64_t nr_missing(const struct sdevice *d)
{
	return d->source == DETAILS_LIVE && d->info.mapped_blocks > d->nr_mappings ?
		       d->info.mapped_blocks - d->nr_mappings :
		       0;
}

/* --- text --- */

static void put_ranges(const struct salvage *s, const struct sdevice *dev, const struct runs *r,
		       const char *what, struct outbuf *out)
{
	uint64_t bytes = (uint64_t)s->info.data_block_size * 512;

	for (size_t i = 0; i < r->nr && i < MAX_RANGES; i++) {
		uint64_t begin = r->run[i].begin, end = r->run[i].end;

		outbuf_printf(out, "device %u: %s ", dev->info.dev_id, what);
		if (end == UINT64_MAX)
			outbuf_printf(out, "blocks from %llu on (from byte %llu)",
				      (unsigned long long)begin, (unsigned long long)(begin * bytes));
		else if (bytes && end < UINT64_MAX / bytes)
			outbuf_printf(out, "blocks %llu-%llu (bytes %llu-%llu)",
				      (unsigned long long)begin, (unsigned long long)(end - 1),
				      (unsigned long long)(begin * bytes),
				      (unsigned long long)(end * bytes - 1));
		else
			outbuf_printf(out, "blocks %llu-%llu", (unsigned long long)begin,
				      (unsigned long long)(end - 1));
		outbuf_str(out, "\n");
	}
	if (r->nr > MAX_RANGES)
		outbuf_printf(out, "device %u: and %zu more such ranges\n", dev->info.dev_id,
			      r->nr - MAX_RANGES);
}

static void put_device(struct telling *t, const struct sdevice *dev, bool verbose,
		       struct outbuf *out)
{
	const struct salvage *s = t->s;
	unsigned id = dev->info.dev_id;
	uint64_t missing = nr_missing(dev);
	struct device_report d = { 0 };

	report_device(t, dev, &d);
	if (dev->id_invented)
		outbuf_printf(out, "device %u: its id is lost; this number is invented\n", id);
	else if (dev->root_given)
		outbuf_printf(out, "device %u: the tree at block %u is taken, as --take says\n", id,
			      s->node[dev->root].block);
	else if (dev->root_found)
		outbuf_printf(out, "device %u: lost from the top level; its tree was found at block %u\n",
			      id, s->node[dev->root].block);
	if (dev->has_other_id)
		outbuf_printf(out,
			      "device %u: its details stood under id %u: one of the two trees has a wrong id, and "
			      "which is not known\n",
			      id, dev->other_id);
	if (dev->source == DETAILS_OLDER)
		outbuf_printf(out,
			      "device %u: details lost; transaction %llu and creation time %u from an older copy, "
			      "snap_time %u invented\n",
			      id, (unsigned long long)dev->info.transaction, dev->info.creation_time,
			      dev->info.snap_time);
	if (dev->source == DETAILS_INVENTED)
		outbuf_printf(out,
			      "device %u: details lost; transaction %llu, creation time %u and snap_time %u "
			      "invented\n",
			      id, (unsigned long long)dev->info.transaction, dev->info.creation_time,
			      dev->info.snap_time);
	if (missing && (d.lost.nr || d.dropped.nr || !dev->in_top || s->agrees.missing))
		outbuf_printf(out, "device %u: %llu mapped blocks kept, %llu lost\n", id,
			      (unsigned long long)dev->nr_mappings, (unsigned long long)missing);
	else if (dev->source == DETAILS_LIVE && dev->info.mapped_blocks != dev->nr_mappings)
		outbuf_printf(out,
			      "device %u: its details say %llu mapped blocks, its tree has %llu; corrected\n",
			      id, (unsigned long long)dev->info.mapped_blocks,
			      (unsigned long long)dev->nr_mappings);
	else if (verbose || d.lost.nr)
		outbuf_printf(out, "device %u: %llu mapped blocks kept%s\n", id,
			      (unsigned long long)dev->nr_mappings,
			      d.lost.nr ? ", how many were lost is not known" : ", all");
	if (dev->snap_time_raised)
		outbuf_printf(out,
			      "device %u: snap_time raised to %u, above the times of mappings it shares\n", id,
			      dev->info.snap_time);
	put_ranges(s, dev, &d.lost, missing ? "what was lost lies in" : "something may be lost in",
		   out);
	put_ranges(s, dev, &d.dropped, "dropped, because they cannot be right:", out);
	device_report_fini(&d);
}

static const char *kind_text(uint8_t kind)
{
	switch (kind) {
	case BLOCK_ZERO:
		return "is zero";
	case BLOCK_JUNK:
		return "has a bad checksum";
	case BLOCK_IO_ERROR:
		return "cannot be read";
	case BLOCK_STRAY:
		return "carries another block's number";
	default:
		return "is not what it should be";
	}
}

/* What the space maps say against the trees. */
static void put_agreement(const struct salvage *s, struct outbuf *out)
{
	const struct agreement *a = &s->agrees;

	if (a->excess)
		outbuf_printf(out,
			      "%llu data blocks have more mappings than the data space map counts: a block of the "
			      "trees was replaced by another one's content, or is of another state\n",
			      (unsigned long long)a->excess);
	if (a->missing && !s->mappings_back)
		outbuf_printf(out,
			      "%llu data blocks are in use by the data space map, and no mapping to them was found\n",
			      (unsigned long long)a->missing);
	if (a->strange || (a->strange_map && !s->mappings_back))
		outbuf_printf(out,
			      "the superblock or the metadata space map contradicts %llu blocks of the trees: they may "
			      "be of another state of the pool\n",
			      (unsigned long long)(a->strange + a->strange_map));
}

static void put_super(const struct salvage *s, struct outbuf *out)
{
	if (s->sb_fault != SB_OK) {
		outbuf_printf(out, "superblock (block 0): %s; ", sb_fault_text(s->sb_fault));
		if (s->sb_found)
			outbuf_printf(out, "found in the place of block %u\n", salvage_where(s, 0));
		else if (s->sb_fields)
			outbuf_str(out, "its fields are right\n");
		else if (s->sb_mended)
			outbuf_str(out, "one changed byte was put right\n");
		else
			outbuf_printf(out, "%s: mapping root %llu, details root %llu\n",
				      has_given_roots(s) ? "the roots that were given are used" :
				      s->claim_used	 ? "the roots that it names stand, and are used" :
							   "the newest state was looked for",
				      (unsigned long long)s->sb.mapping_root,
				      (unsigned long long)s->sb.details_root);
	} else if (s->other_state) {
		outbuf_printf(out,
			      "superblock (block 0): it is of another state of the pool than the nodes; the newest "
			      "whole state is used: mapping root %llu, details root %llu\n",
			      (unsigned long long)s->sb.mapping_root,
			      (unsigned long long)s->sb.details_root);
	} else if (s->chosen) {
		outbuf_printf(out, "the roots that were given are used: mapping root %llu, details root %llu\n",
			      (unsigned long long)s->sb.mapping_root,
			      (unsigned long long)s->sb.details_root);
	}
	if (s->over.map_root)
		outbuf_printf(out,
			      "the pool is empty, but lies over the trees of an older one with %llu devices and %llu "
			      "mapped blocks; these options bring it back: --mapping-root %u --details-root %u "
			      "--transaction-id N (transaction_id in /etc/lvm/backup)\n",
			      (unsigned long long)s->over.nr_devices,
			      (unsigned long long)s->over.nr_mappings, s->over.map_root,
			      s->over.details_root);
	else if (s->over.found)
		outbuf_str(out, "the pool is empty, but lies over parts of an older one: --list-roots lists its "
				"roots, --mapping-root and --details-root bring one back\n");
	if (s->from_snapshot)
		outbuf_str(out, "the live trees are lost: this is the pool as the held metadata snapshot has it\n");
	if (s->header_notes.len)
		outbuf_add(out, s->header_notes.data, s->header_notes.len);
	put_agreement(s, out);
	if (s->newer_lost)
		outbuf_str(out, "blocks are lost that a newer state may have used: devices may be as they were before\n");
	if (s->uncertain || (s->unconfirmed && !s->mappings_back))
		outbuf_str(out, "some parts could have belonged to more than one device: look at them before use\n");
}

static const char *tree_text(uint8_t tree)
{
	return tree == TREE_TOP	    ? "top level" :
	       tree == TREE_DETAILS ? "device details" :
				      "mappings";
}

static bool is_mended_at(const struct salvage *s, uint32_t at)
{
	const struct mend *m = s->mends.data;

	for (size_t i = 0; i < s->mends.nr; i++)
		if (m[i].at == at)
			return true;
	return false;
}

/* Counts one more line of the list, of which only the first are printed. */
static bool is_told(size_t *told, bool verbose)
{
	return ++*told <= MAX_BLOCKS || verbose;
}

static void put_blocks(const struct salvage *s, bool verbose, struct outbuf *out)
{
	const struct mend *m = s->mends.data;
	const struct stray *st = s->moved.data;
	size_t told = 0;

	for (size_t i = 0; i < s->mends.nr; i++)
		if (is_told(&told, verbose))
			outbuf_printf(out, "block %u: a changed %s at byte %u was put right\n", m[i].at,
				      m[i].bit ? "bit" : "byte", m[i].byte);
	for (uint32_t i = 0; i < s->nr_nodes; i++)
		if (s->node[i].flags & SN_LIVE && s->node[i].flags & SN_MENDED &&
		    salvage_where(s, s->node[i].block) == s->node[i].block &&
		    !is_mended_at(s, s->node[i].block) && is_told(&told, verbose))
			outbuf_printf(out, "block %u: a wrong field of its header was put right\n",
				      s->node[i].block);
	for (size_t i = 0; i < s->moved.nr; i++)
		if (is_told(&told, verbose))
			outbuf_printf(out, "block %u: found in the place of block %u\n", st[i].own,
				      st[i].at);
	for (size_t i = 0; i < s->gaps.nr; i++) {
		const struct gap *g = gap_at(s, i);

		if (g->block == NONE || !is_told(&told, verbose))
			continue;
		outbuf_printf(out, "block %u (%s) %s", g->block, tree_text(g->tree), kind_text(g->why));
		if (s->node[g->node].nr_edges)
			outbuf_printf(out, "; %u of its children were found", s->node[g->node].nr_edges);
		outbuf_str(out, "\n");
	}
	if (told > MAX_BLOCKS && !verbose)
		outbuf_printf(out, "and %zu more such blocks; -v lists them all\n", told - MAX_BLOCKS);
}

static const char *loss_text(bool accept_loss)
{
	return accept_loss ? "the loss is accepted (--accept-loss)" :
			     "--accept-loss takes the result as it is, with exit status 0";
}

void salvage_report_device(struct salvage *s, uint32_t dev_id, bool accept_loss, struct outbuf *out)
{
	const struct sdevice *dev = salvage_find_device(s, dev_id);
	bool whole = salvage_device_is_whole(s, dev_id);
	struct telling t;

	if (!dev || telling_init(&t, s))
		return;
	if (!whole)
		put_super(s, out);
	put_device(&t, dev, false, out);
	telling_fini(&t);
	if (!whole)
		outbuf_printf(out,
			      "device %u: not all of it could be saved, or known; %s. Keep the damaged "
			      "metadata, and check the image before use\n",
			      dev_id, loss_text(accept_loss));
}

void salvage_report(struct salvage *s, bool verbose, struct outbuf *out)
{
	struct telling t;

	if (s->intact && s->lossless && !verbose && !s->count_differs && !s->times_raised)
		return;
	put_super(s, out);
	put_blocks(s, verbose, out);
	if (!telling_init(&t, s))
		for (size_t i = 0; i < s->nr_devs; i++)
			put_device(&t, &s->dev[i], verbose, out);
	telling_fini(&t);
}

void salvage_report_sum(const struct salvage *s, bool verbose, bool accept_loss, struct outbuf *out)
{
	if (s->intact && s->lossless && !verbose)
		return;
	outbuf_printf(out, "%zu devices, %llu mapped blocks: ", s->nr_devs,
		      (unsigned long long)s->nr_mappings);
	if (s->lossless)
		outbuf_str(out, "nothing was lost\n");
	else if (s->mappings_back)
		outbuf_str(out, "all mappings are back; the details and fields named above were rebuilt\n");
	else
		outbuf_printf(out,
			      "not all of the pool could be saved, or known; %s. Keep the damaged metadata, and "
			      "check the content of each device before use\n",
			      loss_text(accept_loss));
}

/* --- JSON --- */

static void json_lines(struct json *j, const char *name, const struct outbuf *lines)
{
	size_t i = 0;

	json_list(j, name, JSON_LINES);
	while (i < lines->len) {
		const char *end = memchr(lines->data + i, '\n', lines->len - i);
		size_t len = end ? (size_t)(end - lines->data) - i : lines->len - i;

		json_text_len(j, NULL, lines->data + i, len);
		i += len + 1;
	}
	json_close(j);
}

/* A range without an end has no length. */
static void json_ranges(struct json *j, const char *name, const struct runs *r)
{
	json_list(j, name, 0);
	for (size_t i = 0; i < r->nr; i++) {
		json_object(j, NULL, 0);
		json_u64(j, "begin", r->run[i].begin);
		if (r->run[i].end == UINT64_MAX)
			json_null(j, "length");
		else
			json_u64(j, "length", r->run[i].end - r->run[i].begin);
		json_close(j);
	}
	json_close(j);
}

static void json_device(struct telling *t, const struct sdevice *dev, struct json *j)
{
	static const char *const source[] = { "kept", "older copy", "invented" };
	struct device_report d = { 0 };

	report_device(t, dev, &d);
	json_object(j, NULL, 0);
	json_u64(j, "dev_id", dev->info.dev_id);
	json_u64(j, "kept", dev->nr_mappings);
	json_u64(j, "lost", nr_missing(dev));
	json_text(j, "details", source[dev->source]);
	json_bool(j, "id_invented", dev->id_invented);
	json_bool(j, "tree_found", dev->root_found);
	json_ranges(j, "lost_ranges", &d.lost);
	json_ranges(j, "dropped_ranges", &d.dropped);
	json_close(j);
	device_report_fini(&d);
}

void salvage_report_json(struct salvage *s, struct outbuf *out)
{
	struct outbuf lines;
	struct telling t;
	struct json j;

	outbuf_init(&lines);
	put_super(s, &lines);
	put_blocks(s, true, &lines);
	json_begin(&j, out);
	json_bool(&j, "lossless", s->lossless);
	json_bool(&j, "mappings_back", s->mappings_back);
	json_bool(&j, "intact", s->intact);
	json_u64(&j, "transaction_id", s->info.transaction);
	json_u64(&j, "time", s->info.time);
	json_u64(&j, "data_block_size", s->info.data_block_size);
	json_u64(&j, "nr_data_blocks", s->info.nr_data_blocks);
	json_u64(&j, "mapped_blocks", s->nr_mappings);
	json_lines(&j, "notes", &lines);
	outbuf_fini(&lines);
	json_list(&j, "devices", JSON_LINES);
	if (!telling_init(&t, s))
		for (size_t i = 0; i < s->nr_devs; i++)
			json_device(&t, &s->dev[i], &j);
	telling_fini(&t);
	json_close(&j);
	json_end(&j);
}
