/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "pool/format/superblock.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/zero.h"
#include "pdata/block/csum.h"

/* Stands in the unused bytes of an invalidated superblock. */
static const char why_invalid[] = "a thin pool tool was interrupted while it wrote this metadata";

static bool is_invalidated(const struct disk_superblock *d)
{
	return !memcmp(d->unused, why_invalid, sizeof(why_invalid));
}

const char *sb_fault_text(enum sb_fault f)
{
	switch (f) {
	case SB_OK:
		break;
	case SB_UNREADABLE:
		return "cannot be read";
	case SB_ALL_ZERO:
		return "is all zeros: this is an unformatted device, not a pool";
	case SB_WRONG_PLACE:
		return "carries another block's number";
	case SB_BAD_MAGIC:
		return "has no thin pool magic";
	case SB_BAD_CSUM:
		return "has a bad checksum";
	case SB_UNFINISHED:
		return why_invalid;
	}
	return "is good";
}

static struct sm_root sm_root_get(const struct disk_sm_root *d)
{
	return (struct sm_root){
		.nr_blocks = le64_get(d->nr_blocks),
		.nr_allocated = le64_get(d->nr_allocated),
		.bitmap_root = le64_get(d->bitmap_root),
		.ref_count_root = le64_get(d->ref_count_root),
	};
}

static struct disk_sm_root sm_root_put(const struct sm_root *r)
{
	return (struct disk_sm_root){
		.nr_blocks = le64_make(r->nr_blocks),
		.nr_allocated = le64_make(r->nr_allocated),
		.bitmap_root = le64_make(r->bitmap_root),
		.ref_count_root = le64_make(r->ref_count_root),
	};
}

static void decode(struct superblock *sb, const struct disk_superblock *d)
{
	*sb = (struct superblock){
		.flags = le32_get(d->flags),
		.version = le32_get(d->version),
		.time = le32_get(d->time),
		.transaction_id = le64_get(d->trans_id),
		.held_root = le64_get(d->held_root),
		.data_sm = sm_root_get(&d->data_sm),
		.metadata_sm = sm_root_get(&d->metadata_sm),
		.mapping_root = le64_get(d->mapping_root),
		.details_root = le64_get(d->details_root),
		.data_block_size = le32_get(d->data_block_size),
		.metadata_block_size = le32_get(d->metadata_block_size),
		.metadata_nr_blocks = le64_get(d->metadata_nr_blocks),
		.compat_flags = le32_get(d->compat_flags),
		.compat_ro_flags = le32_get(d->compat_ro_flags),
		.incompat_flags = le32_get(d->incompat_flags),
	};
	memcpy(sb->uuid, d->uuid, sizeof(sb->uuid));
}

enum sb_fault superblock_open(struct superblock *sb, const void *block, mblock_t at)
{
	const struct disk_superblock *d = block;

	decode(sb, d);
	if (all_zero(block, MBLOCK_SIZE))
		return SB_ALL_ZERO;
	if (le64_get(d->blocknr) != at)
		return SB_WRONG_PLACE;
	if (le64_get(d->magic) != THIN_MAGIC)
		return SB_BAD_MAGIC;
	if (!csum_verify(block, at, SALT_SUPERBLOCK))
		return SB_OK;
	return is_invalidated(d) ? SB_UNFINISHED : SB_BAD_CSUM;
}

void superblock_seal(const struct superblock *sb, void *block, mblock_t at)
{
	struct disk_superblock *d = block;

	memset(d, 0, sizeof(*d));
	d->flags = le32_make(sb->flags);
	memcpy(d->uuid, sb->uuid, sizeof(d->uuid));
	d->magic = le64_make(THIN_MAGIC);
	d->version = le32_make(sb->version);
	d->time = le32_make(sb->time);
	d->trans_id = le64_make(sb->transaction_id);
	d->held_root = le64_make(sb->held_root);
	d->data_sm = sm_root_put(&sb->data_sm);
	d->metadata_sm = sm_root_put(&sb->metadata_sm);
	d->mapping_root = le64_make(sb->mapping_root);
	d->details_root = le64_make(sb->details_root);
	d->data_block_size = le32_make(sb->data_block_size);
	d->metadata_block_size = le32_make(sb->metadata_block_size);
	d->metadata_nr_blocks = le64_make(sb->metadata_nr_blocks);
	d->compat_flags = le32_make(sb->compat_flags);
	d->compat_ro_flags = le32_make(sb->compat_ro_flags);
	d->incompat_flags = le32_make(sb->incompat_flags);
	csum_seal(block, at, SALT_SUPERBLOCK);
}

int superblock_read(struct io *io, mblock_t at, struct superblock *sb, enum sb_fault *fault,
		    struct err *err)
{
	CLEANUP(free_ptr) void *block = io_alloc(MBLOCK_SIZE);
	int r;

	if (!block)
		return err_nomem(err, "superblock");
	r = io_read(io, block, MBLOCK_SIZE, at * MBLOCK_SIZE, err);
	if (r)
		return r;
	*fault = superblock_open(sb, block, at);
	if (*fault == SB_OK && !at)
		superblock_meter(sb, io);
	return 0;
}

int superblock_write(const struct superblock *sb, struct io *io, struct err *err)
{
	CLEANUP(free_ptr) void *block = io_alloc(MBLOCK_SIZE);
	int r;

	if (!block)
		return err_nomem(err, "superblock");
	superblock_seal(sb, block, 0);
	r = io_write(io, block, MBLOCK_SIZE, 0, err);
	return r ? r : io_flush(io, err);
}

int superblock_invalidate(struct io *out, const struct superblock_mark *mark, struct err *err)
{
	CLEANUP(free_ptr) struct disk_superblock *d = io_alloc(MBLOCK_SIZE);
	int r;

	if (!d)
		return err_nomem(err, "superblock");
	memset(d, 0, MBLOCK_SIZE);
	d->magic = le64_make(THIN_MAGIC);
	memcpy(d->unused, why_invalid, sizeof(why_invalid));
	/* A checksum that is always wrong, whatever the bytes are. */
	d->csum = le32_make(~csum_compute(d, SALT_SUPERBLOCK));
	r = io_write(out, d, MBLOCK_SIZE, 0, err);
	if (r >= 0)
		r = io_flush(out, err);
	if (r >= 0 && mark->hear)
		mark->hear(mark->ctx, true);
	return r;
}

void superblock_mark_ends(const struct superblock_mark *mark)
{
	if (mark->hear)
		mark->hear(mark->ctx, false);
}

bool superblock_is_invalidated(struct io *io)
{
	CLEANUP(free_ptr) struct disk_superblock *d = io_alloc(MBLOCK_SIZE);

	return d && io_read(io, d, MBLOCK_SIZE, 0, NULL) >= 0 && is_invalidated(d);
}
