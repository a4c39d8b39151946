/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* What was found, kept, lost and invented, per device with ranges of blocks and bytes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/overflow.h"
#include "pool/report/impl.h"

#define MAX_RANGES 24 /* shown for one device; the rest is counted */
#define MAX_BLOCKS 40 /* likewise bad blocks, unless all are wanted */

/* --- text --- */

static void put_ranges(const struct salvage *s, const struct sdevice *dev, const struct runs *r,
		       const char *what, struct outbuf *out)
{
	uint64_t bytes = (uint64_t)s->values.info.data_block_size * 512;

	for (size_t i = 0; i < r->nr && i < MAX_RANGES; i++) {
		uint64_t begin = r->run[i].begin, end = r->run[i].end, from, to;
		/* keys of damaged nodes may be beyond what bytes can be counted to */
		bool has_from = !mul_overflow(begin, bytes, &from), has_to = !mul_overflow(end, bytes, &to);

		outbuf_printf(out, "device %u: %s ", dev->info.dev_id, what);
		if (end == UINT64_MAX)
			outbuf_printf(out, has_from ? "blocks from %llu on (from byte %llu)" : "blocks from %llu on",
				      (unsigned long long)begin, (unsigned long long)from);
		else
			outbuf_printf(out, has_to ? "blocks %llu-%llu (bytes %llu-%llu)" : "blocks %llu-%llu",
				      (unsigned long long)begin, (unsigned long long)(end - 1),
				      (unsigned long long)from, (unsigned long long)(to - 1));
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
		outbuf_printf(out, "device %u: its id is lost; this number is invented; to give it another: --take DEV=%u\n", id,
			      s->graph.node[dev->root].block);
	else if (dev->root_given)
		outbuf_printf(out, "device %u: the tree at block %u is used because of --take\n", id,
			      s->graph.node[dev->root].block);
	else if (dev->root_found)
		outbuf_printf(out, "device %u: missing from the top-level mapping tree; its tree was found at "
				   "block %u\n",
			      id, s->graph.node[dev->root].block);
	if (dev->has_other_id)
		outbuf_printf(out, "device %u: listed as device %llu in the top-level mapping tree or in the details; as both have the same "
				   "number of mappings, they are taken for one\n",
			      id, (unsigned long long)dev->other_id);
	if (dev->source == DETAILS_OLDER)
		outbuf_printf(out,
			      "device %u: details lost; transaction %llu and creation time %u "
			      "from an older copy, snap_time %u invented\n",
			      id, (unsigned long long)dev->info.transaction, dev->info.creation_time,
			      dev->info.snap_time);
	if (dev->source == DETAILS_INVENTED)
		outbuf_printf(out,
			      "device %u: details lost; transaction %llu, creation time %u and "
			      "snap_time %u invented\n",
			      id, (unsigned long long)dev->info.transaction, dev->info.creation_time,
			      dev->info.snap_time);
	if (missing && (d.lost.nr || d.dropped.nr || !dev->in_top || s->datamap.agrees.missing))
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
	put_ranges(s, dev, &d.lost, missing ? "the lost blocks are in" : "blocks may be lost in",
		   out);
	put_ranges(s, dev, &d.dropped, "dropped, because they cannot be right:", out);
	put_ranges(s, dev, &d.open, "open, may be another device's or older:", out);
	if (!s->tell.mappings_back || verbose)
		put_ranges(s, dev, &d.likely, "likely, but not proved:", out);
	device_report_fini(&d);
}

/* Contradictions between the space maps and the trees. */
static void put_agreement(const struct salvage *s, struct outbuf *out)
{
	const struct agreement *a = &s->datamap.agrees;

	if (a->excess)
		outbuf_printf(out,
			      "%llu data blocks have more mappings than the data space map "
			      "counts: a part of the trees is wrong, or is older or newer than the rest\n",
			      (unsigned long long)a->excess);
	if (a->missing && !s->tell.mappings_back)
		outbuf_printf(out,
			      "%llu data blocks are in use according to the data space map, but "
			      "no mapping to them was found\n",
			      (unsigned long long)a->missing);
	if (a->strange || ((a->twice || a->later || a->surplus) && !s->tell.mappings_back))
		outbuf_printf(out,
			      "the superblock or the metadata space map contradicts %llu blocks of the trees: they may "
			      "be older or newer than the rest\n",
			      (unsigned long long)(a->strange + a->twice + a->later + a->surplus));
}

/* @what: whose roots are used. */
static void put_roots(const struct super *super, const char *what, struct outbuf *out)
{
	const struct {
		const char *name;
		uint64_t block;
	} root[] = { { "mapping", super->sb.mapping_root }, { "details", super->sb.details_root } };

	outbuf_str(out, what);
	for (size_t i = 0; i < ARRAY_SIZE(root); i++)
		if (root[i].block)
			outbuf_printf(out, "%s %s root %llu", i ? "," : ":", root[i].name, (unsigned long long)root[i].block);
		else
			outbuf_printf(out, "%s no %s root was found", i ? "," : ":", root[i].name);
	outbuf_str(out, "\n");
}

/* Why another state may be the pool's. */
static const char *newer_text(const struct salvage *s)
{
	if (s->super.has_sb && may_come_after(s->state.after))
		return "the superblock may be one that was written earlier: another state on the device may be newer; --list-roots lists its roots\n";
	return s->state.rival ? "without an intact superblock it is not known whether the pool was in this state or in another that is "
				"there: devices may be as they were before, or have changes that were not completed; "
				"--list-roots lists the roots of the others\n" :
				"the newest changes may be lost: devices may be as they were before\n";
}

void put_super(const struct salvage *s, struct outbuf *out)
{
	const struct super *super = &s->super;
	const struct state *state = &s->state;
	const struct values *values = &s->values;

	if (super->sb_fault != SB_OK) {
		outbuf_printf(out, "superblock (block 0): %s; ", sb_fault_text(super->sb_fault));
		if (super->sb_repair == SB_FOUND)
			outbuf_printf(out, "found in the place of block %u\n",
				      graph_where(&s->graph, 0));
		else if (super->sb_repair == SB_FIELDS)
			outbuf_str(out, "its fields are right\n");
		else if (super->sb_repair == SB_MENDED)
			outbuf_str(out, "one changed byte was put right\n");
		else
			put_roots(super,
				  has_given_roots(super)	? "the roots that were given are used" :
				  state->roots == ROOTS_CLAIMED ? "the roots that it names are intact and are used" :
								  "the newest state was searched for",
				  out);
	} else if (state->roots == ROOTS_OTHER) {
		put_roots(super,
			  "superblock (block 0): it does not fit the trees; the newest complete state of the pool is used", out);
	} else if (super->other_root) {
		put_roots(super, "superblock (block 0): a root that it names is wrong; the node that lacks a parent is used", out);
	} else if (super->chosen) {
		put_roots(super, "the roots that were given are used", out);
	}
	if (state->over.map_root)
		outbuf_printf(out,
			      "the pool is empty, but an older pool with %llu devices and %llu mapped "
			      "blocks can be read; to bring it back: --mapping-root %u "
			      "--details-root %u --transaction-id N (transaction_id in /etc/lvm/backup)\n",
			      (unsigned long long)state->over.sum.devices,
			      (unsigned long long)state->over.sum.mappings, state->over.map_root,
			      state->over.details_root);
	else if (state->over.found)
		outbuf_str(out, "the pool is empty, but parts of an older pool can be read: --list-roots "
				"lists their roots, --mapping-root and --details-root bring one back\n");
	if (values->header_notes.len)
		outbuf_add(out, values->header_notes.data, values->header_notes.len);
	put_agreement(s, out);
	if (state_has_newer(state))
		outbuf_str(out, newer_text(s));
	if (s->trees.uncertain || (s->assign.unconfirmed && !s->tell.mappings_back))
		outbuf_str(out, "some parts could belong to more than one device: check them "
				"before use\n");
	for (size_t i = 0; i < MAX_DOUBTS; i++) {
		const char *doubt = tell_doubt(&s->tell, i);

		if (doubt)
			outbuf_printf(out, "%s\n", doubt);
	}
}

static const char *tree_text(uint8_t tree)
{
	return tree == TREE_TOP	    ? "top-level mapping tree" :
	       tree == TREE_DETAILS ? "device details" :
				      "mappings";
}

/* Counts one more line of the list, of which only the first are printed. */
static bool is_told(size_t *told, bool verbose)
{
	return ++*told <= MAX_BLOCKS || verbose;
}

void put_blocks(const struct salvage *s, bool verbose, struct outbuf *out)
{
	const struct graph *graph = &s->graph;
	const struct mend *m = graph->mends.data;
	const struct moved *moved = graph->moved.data;
	size_t told = 0;

	for (size_t i = 0; i < graph->mends.nr; i++) {
		if (!is_told(&told, verbose))
			continue;
		if (m[i].unused)
			outbuf_printf(out, "block %u has a bad checksum, but only bytes that it does not use are wrong\n", m[i].at);
		else
			outbuf_printf(out, "block %u: a changed %s at byte %u was put right\n", m[i].at,
				      m[i].bit ? "bit" : "byte", m[i].byte);
	}
	for (uint32_t i = 0; i < graph->nr_nodes; i++)
		if (graph->node[i].flags & SN_LIVE && graph_had_wrong_field(graph, &graph->node[i]) && is_told(&told, verbose))
			outbuf_printf(out, "block %u: a wrong field was put right\n",
				      graph->node[i].block);
	for (size_t i = 0; i < graph->moved.nr; i++)
		if (is_told(&told, verbose))
			outbuf_printf(out, "block %u: found in the place of block %u\n", moved[i].block,
				      moved[i].at);
	for (size_t i = 0; i < s->trees.gaps.nr; i++) {
		const struct gap *g = gap_at(&s->trees, i);

		if (g->block == NONE || !is_told(&told, verbose))
			continue;
		if (!g->block) /* no root was found */
			outbuf_printf(out, "the %s %s lost", tree_text(g->tree), g->tree == TREE_DETAILS ? "are" : "is");
		else
			outbuf_printf(out, "block %u (%s) %s", g->block, tree_text(g->tree),
				      graph_kind_text(g->why));
		if (graph->node[g->node].nr_edges)
			outbuf_printf(out, "; %u of its children were found",
				      graph->node[g->node].nr_edges);
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
	const struct sdevice *dev = trees_find_device(&s->trees, dev_id);
	bool whole = salvage_device_is_whole(s, dev_id);
	struct telling t;

	if (!dev)
		return;
	if (telling_init(&t, s)) {
		out->error = -ENOMEM;
		return;
	}
	if (!whole)
		put_super(s, out);
	put_device(&t, dev, false, out);
	telling_fini(&t);
	if (!whole)
		outbuf_printf(out,
			      "device %u: mappings are lost, or may be; %s. Keep the damaged "
			      "metadata, and check the image before use\n",
			      dev_id, loss_text(accept_loss));
}

/* Are details told of that are not as they were? */
static bool has_other_details(const struct trees *trees)
{
	for (size_t i = 0; i < trees->nr_devs; i++)
		if (trees->dev[i].snap_time_raised)
			return true;
	return trees_differ_from_details(trees);
}

void salvage_report(struct salvage *s, bool verbose, struct outbuf *out)
{
	struct telling t;

	if (s->tell.intact && s->tell.lossless && !verbose && !has_other_details(&s->trees) &&
	    !s->values.header_notes.len)
		return;
	put_super(s, out);
	put_blocks(s, verbose, out);
	if (telling_init(&t, s))
		out->error = -ENOMEM;
	for (size_t i = 0; i < s->trees.nr_devs && !out->error; i++)
		put_device(&t, &s->trees.dev[i], verbose, out);
	telling_fini(&t);
}

void salvage_report_sum(const struct salvage *s, bool verbose, bool accept_loss, struct outbuf *out)
{
	const struct tell *tell = &s->tell;
	uint64_t nr = trees_nr_mappings(&s->trees);

	if (tell->intact && tell->lossless && !verbose)
		return;
	outbuf_printf(out, "%zu device%s, %llu mapped block%s: ", s->trees.nr_devs,
		      s->trees.nr_devs == 1 ? "" : "s", (unsigned long long)nr, nr == 1 ? "" : "s");
	if (tell->lossless)
		outbuf_str(out, "nothing was lost\n");
	else if (tell->mappings_back)
		outbuf_str(out, "all mappings are back; the details and fields named above were rebuilt\n");
	else
		outbuf_printf(out,
			      "mappings are lost, or may be; %s. Keep the damaged metadata, and "
			      "check the content of each device before use\n",
			      loss_text(accept_loss));
}
