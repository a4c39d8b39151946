/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Reads the superblock, or finds its values elsewhere. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/overflow.h"
#include "pool/salvage/impl.h"

#define LIKELY_TRANSACTIONS 1000000 /* greatest distance of a damaged one to the newest device's */

/* The bound for data blocks, as soon as it is known. */
static void set_bound(struct salvage *s)
{
	const struct salvage_options *o = &s->opt;
	uint64_t size = o->given.has_data_block_size ? o->given.data_block_size :
			s->has_sb		     ? s->sb.data_block_size :
			o->hint.has_data_block_size  ? o->hint.data_block_size :
						       0;

	if (s->has_sb && div_up(s->sb.data_sm.nr_blocks, ENTRIES_PER_BITMAP) < s->nr_blocks) {
		s->nr_data_blocks = s->sb.data_sm.nr_blocks;
		if (o->given.has_nr_data_blocks)
			s->nr_data_blocks = MAX(s->nr_data_blocks, o->given.nr_data_blocks);
	} else if (o->given.has_nr_data_blocks) {
		s->nr_data_blocks = o->given.nr_data_blocks;
	} else if (o->hint.has_nr_data_blocks) {
		s->nr_data_blocks = o->hint.nr_data_blocks;
	} else if (o->data_sectors && data_block_size_ok(size)) {
		s->nr_data_blocks = o->data_sectors / size;
	} else {
		s->nr_data_blocks = UINT64_MAX;
	}
	if (s->nr_data_blocks != UINT64_MAX)
		s->nr_data_blocks = MIN(s->nr_data_blocks, MAX_NR_DATA_BLOCKS);
}

static void apply_given_roots(struct salvage *s)
{
	const struct salvage_options *o = &s->opt;
	struct superblock *sb = &s->sb;

	s->chosen = (o->has_mapping_root && o->mapping_root != sb->mapping_root) ||
		    (o->has_details_root && o->details_root != sb->details_root);
	if (o->has_mapping_root)
		sb->mapping_root = o->mapping_root;
	if (o->has_details_root)
		sb->details_root = o->details_root;
}

/*
 * The kernel writes zeros behind the last field: when the checksum is right with zeros there, all fields
 * are.  A right checksum over a wrong number or magic means that only those are wrong.
 */
static bool recover_fields(struct salvage *s, void *block)
{
	struct disk_superblock *d = block;
	uint8_t zero[sizeof(d->unused)] = { 0 };

	if (csum_classify(block, NULL) != CSUM_IS_SUPERBLOCK) {
		memcpy(d->unused, zero, sizeof(zero));
		if (csum_classify(block, NULL) != CSUM_IS_SUPERBLOCK)
			return false;
	}
	d->magic = le64_make(THIN_MAGIC);
	csum_seal(block, 0, SALT_SUPERBLOCK);
	/* a held snapshot's copy has no space maps */
	return superblock_open(&s->sb, block, 0) == SB_OK && s->sb.metadata_sm.nr_blocks;
}

/*
 * Fields of a superblock with a bad checksum, for values with no other source: they are not
 * certain, but the likeliest values if enough constant fields around them are right.
 */
static void keep_likely_fields(struct salvage *s, void *block)
{
	const struct disk_superblock *d = block;
	uint8_t zero[sizeof(d->uuid)] = { 0 };
	int right = 0;

	right += le64_get(d->magic) == THIN_MAGIC;
	right += le32_get(d->version) == THIN_VERSION;
	right += !le64_get(d->blocknr);
	right += le32_get(d->metadata_block_size) == MBLOCK_SIZE >> SECTOR_SHIFT;
	right += !memcmp(d->uuid, zero, sizeof(zero));
	right += !le32_get(d->compat_flags) && !le32_get(d->incompat_flags);
	if (right < 4)
		return;
	s->has_claim = s->claim.mapping_root && s->claim.details_root;
	s->likely = (struct pool_overrides){
		.has_transaction = true,
		.transaction = le64_get(d->trans_id),
		.has_data_block_size = data_block_size_ok(le32_get(d->data_block_size)),
		.data_block_size = le32_get(d->data_block_size),
		.nr_data_blocks = le64_get(d->data_sm.nr_blocks),
	};
	s->likely.has_nr_data_blocks = s->likely.nr_data_blocks &&
				       div_up(s->likely.nr_data_blocks, ENTRIES_PER_BITMAP) <
					       s->nr_blocks;
}

bool salvage_read_copy(struct salvage *s, uint64_t block, struct superblock *out)
{
	CLEANUP(free_ptr) void *buf = NULL;

	if (!block || block >= s->nr_blocks || s->kind[block] != BLOCK_SUPER)
		return false;
	buf = salvage_noted(s, io_alloc(MBLOCK_SIZE));
	return buf && !salvage_get(s, (uint32_t)block, buf, NULL) &&
	       superblock_open(out, buf, block) == SB_OK;
}

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

int salvage_read_super(struct salvage *s, struct err *err)
{
	CLEANUP(free_ptr) void *buf = io_alloc(MBLOCK_SIZE);
	int r;

	if (!buf)
		return err_nomem(err, "salvage: block 0");
	if (!s->nr_blocks)
		return err_set(err, -EUCLEAN, "%s: too small for metadata", s->io->name);
	r = io_read(s->io, buf, MBLOCK_SIZE, 0, NULL);
	s->sb_fault = r < 0 ? SB_UNREADABLE : superblock_open(&s->sb, buf, 0);
	s->has_sb = s->sb_fault == SB_OK;
	if (s->has_sb)
		superblock_meter(&s->sb, s->io);
	s->claim = s->sb; /* decoded, whatever the fault */
	if (!r && (s->sb_fault == SB_BAD_CSUM || s->sb_fault == SB_WRONG_PLACE ||
		   s->sb_fault == SB_BAD_MAGIC))
		s->has_sb = s->sb_fields = recover_fields(s, buf);
	if (!s->has_sb) {
		memset(&s->sb, 0, sizeof(s->sb));
		if (!r)
			keep_likely_fields(s, buf);
	}
	apply_given_roots(s);
	set_bound(s);
	return 0;
}

int salvage_read_super_again(struct salvage *s, struct err *err)
{
	CLEANUP(free_ptr) void *buf = io_alloc(MBLOCK_SIZE);

	if (!buf)
		return err_nomem(err, "salvage: block 0");
	if (s->has_sb || s->kind[0] != BLOCK_SUPER)
		return 0;
	if (salvage_get(s, 0, buf, NULL) < 0 || superblock_open(&s->sb, buf, 0) != SB_OK)
		return 0;
	s->has_sb = true;
	s->sb_found = salvage_where(s, 0) != 0;
	s->sb_mended = !s->sb_found;
	apply_given_roots(s);
	set_bound(s);
	return 0;
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
