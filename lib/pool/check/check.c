/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * The order of a check: superblock; the metadata map's bitmaps (they say which gaps may be read
 * through); device lists; all mapping trees at once; the data map; the metadata map, when all
 * references to metadata blocks are known.
 */
#include "pool/check/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/overflow.h"
#include "pool/check/impl.h"


static void found_value(struct check *c, enum finding_kind kind, enum pool_area area,
			uint64_t stored, uint64_t expected)
{
	struct finding f = finding_make(kind, area);

	f.has_values = true;
	f.stored = stored;
	f.expected = expected;
	check_found(c, &f);
}

static bool may_skip(void *ctx, mblock_t b)
{
	const struct check *c = ctx;

	return b < c->nr_blocks && c->bitmap_known[b / ENTRIES_PER_BITMAP] &&
	       !refmap_get(c->stored, b);
}

/* Reads block @at as a superblock.  < 0: I/O error. */
static int read_superblock(struct check *c, mblock_t at, struct superblock *sb,
			   enum sb_fault *fault)
{
	CLEANUP(free_ptr) void *buf = io_alloc(MBLOCK_SIZE);
	int r;

	if (!buf)
		return err_nomem(c->err, "superblock");
	r = io_read(c->io, buf, MBLOCK_SIZE, at * MBLOCK_SIZE, c->err);
	if (r < 0)
		return r;
	*fault = superblock_open(sb, buf, at);
	if (*fault == SB_OK && !at)
		superblock_meter(sb, c->io);
	return 0;
}

static bool superblock_usable(struct check *c, enum sb_fault fault)
{
	struct finding f;

	if (!fault)
		return true;
	f = finding_make(FOUND_SB_ALL_ZERO + (fault - SB_ALL_ZERO), AREA_SUPERBLOCK);
	f.block = 0;
	check_found(c, &f);
	return false;
}

static void check_fields(struct check *c)
{
	const struct superblock *sb = &c->out->sb;
	const enum pool_area a = AREA_SUPERBLOCK;

	if (sb->version != THIN_VERSION)
		found_value(c, FOUND_SB_VERSION, a, sb->version, THIN_VERSION);
	if (sb->flags & ~THIN_NEEDS_CHECK)
		found_value(c, FOUND_SB_FLAGS, a, sb->flags & ~THIN_NEEDS_CHECK, 0);
	if (sb->incompat_flags)
		found_value(c, FOUND_SB_INCOMPAT, a, sb->incompat_flags, 0);
	if (sb->compat_ro_flags)
		found_value(c, FOUND_SB_COMPAT_RO, a, sb->compat_ro_flags, 0);
	if (!data_block_size_ok(sb->data_block_size))
		found_value(c, FOUND_SB_BLOCK_SIZE, a, sb->data_block_size, 128);
	if (sb->metadata_block_size != 8)
		found_value(c, FOUND_SB_METADATA_BLOCK_SIZE, a, sb->metadata_block_size, 8);
	if (sb->time > MAX_TIME - TIME_MARGIN)
		found_value(c, FOUND_SB_TIME_LIMIT, a, sb->time, MAX_TIME);
}

/* How many blocks there are, by the superblock and by the device. */
static void check_sizes(struct check *c)
{
	const struct superblock *sb = &c->out->sb;
	uint64_t device = MIN(c->io->size / MBLOCK_SIZE, MAX_METADATA_BLOCKS);
	uint64_t most = device * ENTRIES_PER_BITMAP;

	c->nr_blocks = MIN(sb->metadata_sm.nr_blocks, device);
	if (!sb->metadata_sm.nr_blocks || sb->metadata_sm.nr_blocks > MAX_METADATA_BLOCKS) {
		found_value(c, FOUND_SB_MAP_SIZE, AREA_METADATA_MAP, sb->metadata_sm.nr_blocks,
			    MAX_METADATA_BLOCKS);
		c->nr_blocks = device;
	} else if (sb->metadata_sm.nr_blocks > device) {
		found_value(c, FOUND_DEVICE_TOO_SMALL, AREA_METADATA_MAP, device,
			    sb->metadata_sm.nr_blocks);
	}
	c->nr_data = sb->data_sm.nr_blocks;
	if (c->nr_data > most || c->nr_data > MAX_NR_DATA_BLOCKS) {
		found_value(c, FOUND_SB_MAP_SIZE, AREA_DATA_MAP, c->nr_data, most);
		c->nr_data = 0;
		c->data_unknown = true;
	}
}

/* The held copy of the superblock: where its trees are. */
static int check_held(struct check *c)
{
	mblock_t at = c->out->sb.held_root;
	struct finding f = finding_make(FOUND_HELD, AREA_HELD);
	enum sb_fault fault = SB_UNREADABLE;
	struct superblock sb;

	f.block = at;
	f.held = true;
	if (!at)
		return c->opt->snap ? err_set(c->err, -ENODATA, "no current metadata snap") : 0;
	if (c->opt->snap && c->opt->snap_block && c->opt->snap_block != at)
		return err_set(c->err, -ENODATA,
			       "metadata snapshot does not match that in superblock, which is at "
			       "block %llu",
			       (unsigned long long)at);
	if (at < c->nr_blocks) {
		check_claim(c, at, CLAIM_HELD); /* only block 0 has been claimed before */
		if (read_superblock(c, at, &sb, &fault) == -ENOMEM)
			return -ENOMEM;
	}
	if (fault) {
		f.error = fault == SB_UNREADABLE ? -EIO : 0;
		c->lost = true;
		check_found(c, &f);
		return 0;
	}
	c->held.held = true;
	c->held.mapping_root = sb.mapping_root;
	c->held.details_root = sb.details_root;
	return 0;
}

static int prepare(struct check *c)
{
	c->claims = calloc(c->nr_blocks + 1, 1);
	c->meta = refmap_new(c->nr_blocks, stream_nr_workers(&c->stream) > 1);
	if (!c->claims || !c->meta)
		return err_nomem(c->err, "references to metadata blocks");
	check_claim(c, 0, CLAIM_SUPERBLOCK);
	c->live.mapping_root = c->out->sb.mapping_root;
	c->live.details_root = c->out->sb.details_root;
	return 0;
}

/* Everything behind the superblock. */
static int check_rest(struct check *c)
{
	bool maps = !c->opt->snap && !c->opt->skip_mappings;
	int r;

	check_sizes(c);
	r = prepare(c);
	if (!r)
		r = check_held(c);
	if (!r && maps)
		r = check_metadata_bitmaps(c);
	if (r || c->opt->super_block_only)
		return r;
	if (c->stored) {
		c->stream.may_skip = may_skip;
		c->stream.may_skip_ctx = c;
	}
	r = check_trees(c);
	if (!r && !c->opt->snap && superblock_is_new(&c->out->sb) && !c->live.nr &&
	    !findings_any(&c->out->findings, FINDING_FATAL))
		r = check_under(c);
	if (r || !maps)
		return r;
	r = check_data_map(c);
	if (!r)
		r = check_metadata_map(c);
	c->out->complete = !r;
	return r;
}

static void check_fini(struct check *c)
{
	check_trees_fini(c);
	free(c->claims);
	refmap_free(c->meta);
	refmap_free(c->data);
	refmap_free(c->stored);
	free(c->bitmap_known);
}

int check_run(struct io *io, struct jobs *jobs, const struct check_options *opt,
	      struct check_result *out, struct err *err)
{
	struct check c = { .io = io, .opt = opt, .out = out, .err = err };
	enum sb_fault fault = SB_OK;
	int r;

	*out = (struct check_result) { 0 };
	stream_init(&c.stream, io, jobs);
	if (io->size < MBLOCK_SIZE)
		return err_set(err, -EINVAL,
			       "Metadata device/file too small.  Is this binary metadata?");
	r = read_superblock(&c, 0, &out->sb, &fault);
	if (r)
		return r;
	if (superblock_usable(&c, fault)) {
		out->has_sb = true;
		check_fields(&c);
		if (!opt->super_block_only || opt->snap)
			r = check_rest(&c);
	}
	out->findings.other_roots = opt->has_mapping_root || opt->has_details_root;
	findings_sort(&out->findings);
	if (!r && out->findings.failed)
		r = err_nomem(err, "findings");
	out->nr_requests = c.stream.nr_requests;
	out->nr_blocks_read = c.stream.nr_blocks_read;
	check_fini(&c);
	return r;
}

static void map_fini(struct check_map *m)
{
	sm_index_fini(&m->index);
	refmap_free(m->counts);
}

void check_result_fini(struct check_result *r)
{
	findings_fini(&r->findings);
	map_fini(&r->data);
	map_fini(&r->metadata);
	*r = (struct check_result) { 0 };
}
