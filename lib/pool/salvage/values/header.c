/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* The values of the pool's superblock, which may have to be found elsewhere. */
#include <errno.h>

#include "base/overflow.h"
#include "pool/salvage/impl.h"

#define LIKELY_TRANSACTIONS 1000000 /* greatest distance of a damaged one to the newest device's */

/* Copies of the superblock that metadata snapshots left: a pool's block size never changes. */
static void look_for_copies(struct salvage *s)
{
	struct superblock copy;

	for (uint32_t b = 1; b < s->nr_blocks && !s->likely.has_data_block_size; b++) {
		if (!salvage_read_copy(s, b, &copy) || !data_block_size_ok(copy.data_block_size))
			continue;
		s->likely.has_data_block_size = true;
		s->likely.data_block_size = copy.data_block_size;
	}
}

static int missing_field(struct err *err, const char *what, const char *option, const char *where)
{
	return err_set(err, -EINVAL,
		       "the superblock's %s is lost: give it with %s (%s), or the volume group's backup "
		       "with --vg-backup FILE",
		       what, option, where);
}

static int header_block_size(struct salvage *s, struct err *err)
{
	const struct salvage_options *o = &s->opt;
	uint64_t size;

	if (o->given.has_data_block_size) {
		size = o->given.data_block_size;
	} else if (s->has_sb && data_block_size_ok(s->sb.data_block_size)) {
		size = s->sb.data_block_size;
	} else if (o->hint.has_data_block_size) {
		size = o->hint.data_block_size;
		outbuf_printf(&s->header_notes, "data block size %llu taken from the backup or table\n",
			      (unsigned long long)size);
	} else if (look_for_copies(s), s->likely.has_data_block_size) {
		size = s->likely.data_block_size;
		s->header_invented = true;
		outbuf_printf(&s->header_notes,
			      "data block size %llu taken from the damaged superblock or an old copy of it\n",
			      (unsigned long long)size);
	} else {
		return missing_field(err, "data block size", "--data-block-size SECTORS",
				     "chunk_size in a file of vgcfgbackup or under /etc/lvm/backup, "
				     "or the fourth number of the pool's dm table line");
	}
	if (!data_block_size_ok(size))
		return err_set(err, -EINVAL,
			       "a data block size of %llu sectors is impossible: it must be a multiple of 128 from "
			       "128 to 2097152",
			       (unsigned long long)size);
	s->info.data_block_size = (uint32_t)size;
	return 0;
}

static void header_transaction(struct salvage *s)
{
	const struct salvage_options *o = &s->opt;
	uint64_t newest = 0;
	bool any = false;

	for (size_t i = 0; i < s->nr_devs; i++)
		if (s->dev[i].source == DETAILS_LIVE) {
			newest = MAX(newest, s->dev[i].info.transaction);
			any = true;
		}
	if (o->given.has_transaction) {
		s->info.transaction = o->given.transaction;
	} else if (s->has_sb) {
		s->info.transaction = s->sb.transaction_id;
	} else if (o->hint.has_transaction) {
		s->info.transaction = o->hint.transaction;
		outbuf_printf(&s->header_notes, "transaction %llu taken from the backup\n",
			      (unsigned long long)s->info.transaction);
	} else if (s->likely.has_transaction && s->likely.transaction >= newest &&
		   s->likely.transaction - newest < LIKELY_TRANSACTIONS) {
		s->info.transaction = s->likely.transaction;
		s->header_invented = true;
		outbuf_printf(&s->header_notes,
			      "transaction %llu taken from the damaged superblock: compare it with transaction_id in "
			      "/etc/lvm/backup\n",
			      (unsigned long long)s->info.transaction);
	} else {
		s->info.transaction = any ? newest + 1 : 0;
		s->header_invented = true;
		outbuf_printf(&s->header_notes,
			      "the transaction id is lost; %llu follows the newest device's. LVM "
			      "accepts only its own: --transaction-id N sets it; it is "
			      "transaction_id in /etc/lvm/backup\n",
			      (unsigned long long)s->info.transaction);
	}
}

static void header_nr_data(struct salvage *s)
{
	uint64_t need = 0;

	for (size_t i = 0; i < s->nr_devs; i++)
		if (s->dev[i].root != NONE && s->dev[i].nr_mappings)
			need = MAX(need, s->node[s->dev[i].root].max_data + 1);
	if (s->nr_data_blocks != UINT64_MAX) {
		s->info.nr_data_blocks = s->nr_data_blocks;
		return;
	}
	s->header_invented = true;
	if (s->likely.has_nr_data_blocks && s->likely.nr_data_blocks >= need) {
		s->info.nr_data_blocks = s->nr_data_blocks = s->likely.nr_data_blocks;
		outbuf_printf(&s->header_notes,
			      "%llu data blocks: taken from the damaged superblock\n",
			      (unsigned long long)s->info.nr_data_blocks);
		return;
	}
	s->info.nr_data_blocks = need;
	outbuf_printf(&s->header_notes,
		      "the number of data blocks is lost; %llu is the least that holds all mappings (the kernel "
		      "takes the rest of the data device when the pool is activated); --nr-data-blocks N or "
		      "--data-dev DEV sets it\n",
		      (unsigned long long)need);
	s->nr_data_blocks = MIN(need, MAX_NR_DATA_BLOCKS);
}

int salvage_make_header(struct salvage *s, struct err *err)
{
	int r = header_block_size(s, err);

	if (r < 0)
		return r;
	s->info.version = THIN_VERSION;
	s->info.has_version = true;
	header_transaction(s);
	header_nr_data(s);
	s->info.time = MAX(s->sb.time, s->max_time);
	if (s->info.time > MAX_TIME) {
		outbuf_printf(&s->header_notes,
			      "time %u does not fit into the 24 bits of a mapping's time; %u is "
			      "used\n",
			      s->info.time, MAX_TIME);
		s->info.time = MAX_TIME;
	}
	if (!s->has_sb) {
		bool lost = false;

		for (size_t i = 0; i < s->nr_devs; i++)
			lost |= s->dev[i].source != DETAILS_LIVE;
		s->info.time += lost && s->info.time < MAX_TIME;
	}
	s->sb.time = s->info.time;
	s->sb.transaction_id = s->info.transaction;
	return 0;
}
