/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* The values of the pool's superblock, which may have to be found elsewhere. */
#include <errno.h>

#include "base/overflow.h"
#include "base/search.h"
#include "pool/salvage/values/values.h"

#define LIKELY_TRANSACTIONS 1000000 /* greatest distance of a damaged one to the newest device's */

/* Copies of the superblock that metadata snapshots left: a pool's block size never changes. */
static void look_for_copies(struct super *super)
{
	struct graph *g = super->graph;
	struct superblock copy;

	for (uint32_t b = 1; b < g->nr_blocks && !super->likely.has_data_block_size; b++) {
		if (!super_read_copy(g, b, &copy) || !data_block_size_ok(copy.data_block_size))
			continue;
		super->likely.has_data_block_size = true;
		super->likely.data_block_size = copy.data_block_size;
	}
}

static int missing_field(struct err *err, const char *what, const char *option, const char *where)
{
	return err_set(
		err, -EINVAL,
		"the superblock's %s is lost: give it to thin_repair with %s (%s), or the volume group's backup "
		"with --vg-backup FILE",
		what, option, where);
}

static int header_block_size(struct values *values, struct err *err)
{
	struct super *super = values->super;
	const struct salvage_options *o = &super->opt;
	uint64_t size;

	if (o->given.has_data_block_size) {
		size = o->given.data_block_size;
	} else if (super->has_sb && data_block_size_ok(super->sb.data_block_size)) {
		size = super->sb.data_block_size;
	} else if (o->hint.has_data_block_size) {
		size = o->hint.data_block_size;
		outbuf_printf(&values->header_notes,
			      "data block size %llu taken from LVM's text or the table\n",
			      (unsigned long long)size);
	} else if (look_for_copies(super), super->likely.has_data_block_size) {
		size = super->likely.data_block_size;
		values->header_invented = true;
		outbuf_printf(&values->header_notes,
			      "data block size %llu taken from the damaged superblock or an old "
			      "copy of it\n",
			      (unsigned long long)size);
	} else {
		return missing_field(
			err, "data block size", "--data-block-size SECTORS",
			"chunk_size in a file of vgcfgbackup or under /etc/lvm/backup, "
			"or the fourth number of the pool's dm table line");
	}
	if (!data_block_size_ok(size))
		return err_set(err, -EINVAL,
			       "a data block size of %llu sectors is impossible: it must be a "
			       "multiple of 128 from "
			       "128 to 2097152",
			       (unsigned long long)size);
	values->info.data_block_size = (uint32_t)size;
	return 0;
}

/*
 * Does the superblock have another transaction than the user or LVM, @known, says?  LVM's text may be one ahead of a pool, and not more; the user may
 * change that of an intact superblock.
 */
static bool has_other_transaction(const struct super *super, const struct pool_overrides *known)
{
	const uint64_t transaction = super->sb.transaction_id;

	if (!super->has_sb || !known->has_transaction)
		return false;
	if (super->sb_repair != SB_NOT_REPAIRED)
		return known->transaction != transaction;
	return known == &super->opt.hint && known->transaction > transaction && known->transaction - transaction > 1;
}

static void header_transaction(struct values *values)
{
	const struct super *super = values->super;
	const struct trees *trees = values->trees;
	const struct salvage_options *o = &super->opt;
	uint64_t newest = 0;
	const struct pool_overrides *known = o->given.has_transaction ? &o->given : &o->hint;
	bool any = false;

	for (size_t i = 0; i < trees->nr_devs; i++)
		if (trees->dev[i].source == DETAILS_LIVE) {
			newest = MAX(newest, trees->dev[i].info.transaction);
			any = true;
		}
	if (has_other_transaction(super, known)) {
		values->is_older = true;
		outbuf_printf(&values->header_notes, "the%s superblock has transaction %llu, not %llu: it may be of an older state\n",
			      super->sb_repair != SB_NOT_REPAIRED ? " damaged" : "", (unsigned long long)super->sb.transaction_id,
			      (unsigned long long)known->transaction);
	}
	if (o->given.has_transaction) {
		values->info.transaction = o->given.transaction;
	} else if (super->has_sb) {
		values->info.transaction = super->sb.transaction_id;
	} else if (o->hint.has_transaction) {
		values->info.transaction = o->hint.transaction;
		outbuf_printf(&values->header_notes, "transaction %llu taken from LVM's text\n",
			      (unsigned long long)values->info.transaction);
	} else if (super->likely.has_transaction && super->likely.transaction >= newest &&
		   super->likely.transaction - newest < LIKELY_TRANSACTIONS) {
		values->info.transaction = super->likely.transaction;
		values->header_invented = true;
		outbuf_printf(&values->header_notes,
			      "transaction %llu taken from the damaged superblock: compare it with "
			      "transaction_id in "
			      "/etc/lvm/backup\n",
			      (unsigned long long)values->info.transaction);
	} else {
		values->info.transaction = any ? newest + 1 : 0;
		values->header_invented = true;
		outbuf_printf(&values->header_notes,
			      "the transaction id is lost; %llu follows the newest device's. LVM "
			      "accepts only its own: --transaction-id N sets it; it is "
			      "transaction_id in /etc/lvm/backup\n",
			      (unsigned long long)values->info.transaction);
	}
}

/*
 * A pool has the devices of the LVM text that is at its transaction.  An intact superblock's may have more, which were made without LVM; otherwise
 * these are of another state.
 */
static void compare_devices(struct values *values)
{
	const struct super *super = values->super;
	const struct salvage_options *o = &super->opt;
	const struct trees *trees = values->trees;
	const bool any_more = super->has_sb && super->sb_repair == SB_NOT_REPAIRED;
	const bool nameless = any_of(i, trees->nr_devs, trees->dev[i].id_invented);

	if (!o->ids || o->hint.transaction != values->info.transaction)
		return;
	for (size_t i = 0; i < o->nr_ids; i++)
		if (!trees_find_device(trees, o->ids[i])) {
			values->lacks_device = true;
			outbuf_printf(&values->header_notes, "device %u: LVM's text has it%s\n", o->ids[i],
				      nameless ? "; one of the trees whose ids are lost may be its" : ", but nothing of it was found");
		}
	for (size_t i = 0; i < trees->nr_devs && !any_more; i++) {
		const struct sdevice *d = &trees->dev[i];

		if (d->id_invented || super_may_have_device(super, d->info.dev_id))
			continue;
		values->is_older = true;
		outbuf_printf(&values->header_notes, "device %u: LVM's text does not have it: it may be of an older state\n", d->info.dev_id);
	}
}

static void header_nr_data(struct values *values)
{
	struct graph *g = values->graph;
	const struct super *super = values->super;
	const struct pool_overrides *given = &super->opt.given;
	const struct trees *trees = values->trees;
	uint64_t need = 0;

	for (size_t i = 0; i < trees->nr_devs; i++)
		if (trees->dev[i].root != NONE && trees->dev[i].nr_mappings)
			need = MAX(need, g->node[trees->dev[i].root].max_data + 1);
	if (g->nr_data_blocks != UINT64_MAX) {
		values->info.nr_data_blocks = g->nr_data_blocks;
		if (given->has_nr_data_blocks && given->nr_data_blocks < g->nr_data_blocks)
			outbuf_printf(&values->header_notes,
				      "--nr-data-blocks %llu has no effect: the superblock says %llu, and a repair makes "
				      "no pool smaller\n",
				      (unsigned long long)given->nr_data_blocks, (unsigned long long)g->nr_data_blocks);
		return;
	}
	values->header_invented = true;
	if (super->likely.has_nr_data_blocks && super->likely.nr_data_blocks >= need) {
		values->info.nr_data_blocks = g->nr_data_blocks = super->likely.nr_data_blocks;
		outbuf_printf(&values->header_notes,
			      "%llu data blocks: taken from the damaged superblock\n",
			      (unsigned long long)values->info.nr_data_blocks);
		return;
	}
	values->info.nr_data_blocks = need;
	outbuf_printf(&values->header_notes,
		      "the number of data blocks is lost; %llu is the least that holds all "
		      "mappings (the kernel "
		      "takes the rest of the data device when the pool is activated); "
		      "--nr-data-blocks N or "
		      "--data-dev DEV sets it\n",
		      (unsigned long long)need);
	g->nr_data_blocks = MIN(need, MAX_NR_DATA_BLOCKS);
}

/* The newest time of a mapping that is kept. */
static uint32_t newest_mapping(const struct trees *trees)
{
	uint32_t time = 0;

	for (size_t i = 0; i < trees->nr_devs; i++)
		if (trees->dev[i].root != NONE && trees->dev[i].nr_mappings)
			time = MAX(time, trees->graph->node[trees->dev[i].root].max_time);
	return time;
}

int values_make_header(struct values *values, struct err *err)
{
	struct super *super = values->super;
	uint32_t newest;
	int r = header_block_size(values, err);

	if (r < 0)
		return r;
	values->info.version = THIN_VERSION;
	values->info.has_version = true;
	header_transaction(values);
	compare_devices(values);
	header_nr_data(values);
	values->info.time = MAX(super->sb.time, trees_newest_time(values->trees));
	newest = newest_mapping(values->trees);
	values->mapping_is_later = super->has_sb && newest > values->info.time;
	values->info.time = MAX(values->info.time, newest);
	if (values->info.time > MAX_TIME) {
		outbuf_printf(&values->header_notes,
			      "time %u does not fit into the 24 bits of a mapping's time; %u is "
			      "used\n",
			      values->info.time, MAX_TIME);
		values->info.time = MAX_TIME;
	} else if (super->has_sb && values->info.time > super->sb.time) {
		outbuf_printf(&values->header_notes,
			      "the pool's time was raised from %u to %u, the newest of a device or mapping: else the kernel may overwrite "
			      "shared data\n",
			      super->sb.time, values->info.time);
	}
	values->info.time += !super->has_sb && !trees_have_details(values->trees) && values->info.time < MAX_TIME;
	super->sb.time = values->info.time;
	super->sb.transaction_id = values->info.transaction;
	return 0;
}
