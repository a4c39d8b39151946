/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Recipes: the superblock and the device. */
#include "damage.h"

#include "dev/io.h"
#include "pool/format/superblock.h"

static void sb_all_zero(void)
{
	memset(block_at(0), 0, MBLOCK_SIZE);
	expect(g.p, 8, 0);
	expect(g.p + 32, 8, 0);
}

static void sb_wrong_place(void)
{
	put64(&sb()->blocknr, value_or(5));
	put32(&sb()->csum, csum_compute(sb(), SALT_SUPERBLOCK));
}

static void sb_magic(void)
{
	put64(&sb()->magic, value_or(27022011));
	seal(0, SALT_SUPERBLOCK);
}

static void sb_csum(void)
{
	break_seal(0, SALT_SUPERBLOCK);
}

static void sb_unfinished(void)
{
	struct io *io = io_mem_new("block 0", MBLOCK_SIZE);

	if (!io || superblock_invalidate(io, &(struct superblock_mark){ 0 }, NULL))
		die("no memory");
	memcpy(sb(), io_mem_data(io), MBLOCK_SIZE);
	io_free(io);
	expect((uint8_t *)&sb()->csum, 4, le32_get(sb()->csum));
}

static void sb_field32(le32 *field, uint64_t v)
{
	put32(field, value_or(v));
	seal(0, SALT_SUPERBLOCK);
}

static void sb_version(void)
{
	sb_field32(&sb()->version, 3);
}

static void sb_flags(void)
{
	sb_field32(&sb()->flags, 6);
}

static void sb_needs_check(void)
{
	sb_field32(&sb()->flags, 1);
}

static void sb_incompat(void)
{
	sb_field32(&sb()->incompat_flags, 1);
}

static void sb_compat_ro(void)
{
	sb_field32(&sb()->compat_ro_flags, 4);
}

static void sb_block_size(void)
{
	sb_field32(&sb()->data_block_size, 100);
}

static void sb_metadata_block_size(void)
{
	sb_field32(&sb()->metadata_block_size, 16);
}

static void sb_time_limit(void)
{
	sb_field32(&sb()->time, MAX_TIME - 10);
}

static void sb_time(void)
{
	sb_field32(&sb()->time, 0);
}

static void sb_map_size(void)
{
	put64(&sm()->nr_blocks, value_or(g.metadata ? 5000000 : 1ull << 50));
	seal(0, SALT_SUPERBLOCK);
}

static void device_too_small(void)
{
	g.new_len = g.len - value_or(1) * MBLOCK_SIZE;
	printf("%s: %llu bytes\n", g.recipe, (unsigned long long)g.new_len);
}

static void held_superblock(void)
{
	if (!le64_get(sb()->held_root))
		die("the pool holds no metadata snapshot");
	break_seal(le64_get(sb()->held_root), SALT_SUPERBLOCK);
	say(le64_get(sb()->held_root));
}

const struct recipe superblock_recipes[] = {
	{ "superblock-all-zero", sb_all_zero },
	{ "superblock-wrong-place", sb_wrong_place },
	{ "superblock-magic", sb_magic },
	{ "superblock-csum", sb_csum },
	{ "superblock-unfinished", sb_unfinished },
	{ "superblock-version", sb_version },
	{ "superblock-flags", sb_flags },
	{ "superblock-incompat", sb_incompat },
	{ "superblock-compat-ro", sb_compat_ro },
	{ "superblock-block-size", sb_block_size },
	{ "superblock-metadata-block-size", sb_metadata_block_size },
	{ "superblock-time-limit", sb_time_limit },
	{ "superblock-map-size", sb_map_size },
	{ "needs-check", sb_needs_check },
	{ "superblock-time", sb_time },
	{ "device-too-small", device_too_small },
	{ "held-superblock", held_superblock },
	{ 0 },
};
