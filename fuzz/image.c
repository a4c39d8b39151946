/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "image.h"

#include <string.h>

#include "base/text/outbuf.h"
#include "fuzz.h"
#include "pdata/block/csum.h"

#define HEAD_LEN 6
#define GAP 8 /* zeros that end a patch */

static const enum csum_salt salts[] = { SALT_SUPERBLOCK, SALT_NODE, SALT_BITMAP, SALT_INDEX };

struct io *image_new(const uint8_t *patches, size_t len)
{
	struct io *io = io_mem_new("image", (uint64_t)IMAGE_BLOCKS * MBLOCK_SIZE);
	uint8_t kinds[IMAGE_BLOCKS], *data;
	size_t at, n, b;

	MUST(io);
	data = io_mem_data(io);
	memset(kinds, 0xff, sizeof(kinds));
	while (len >= HEAD_LEN) {
		b = patches[1] % IMAGE_BLOCKS;
		at = (patches[2] | (size_t)patches[3] << 8) % MBLOCK_SIZE;
		n = patches[4] | (size_t)patches[5] << 8;
		n = MIN(MIN(n, MBLOCK_SIZE - at), len - HEAD_LEN);
		kinds[b] = patches[0];
		memcpy(data + b * MBLOCK_SIZE + at, patches + HEAD_LEN, n);
		patches += HEAD_LEN + n;
		len -= HEAD_LEN + n;
	}
	for (b = 0; b < IMAGE_BLOCKS; b++)
		if (kinds[b] < ARRAY_SIZE(salts))
			csum_seal(data + b * MBLOCK_SIZE, b, salts[kinds[b]]);
	return io;
}

static uint8_t kind_of(const uint8_t *block)
{
	switch (csum_classify(block, NULL)) {
	case CSUM_IS_SUPERBLOCK:
		return 0;
	case CSUM_IS_NODE:
		return 1;
	case CSUM_IS_BITMAP:
		return 2;
	case CSUM_IS_INDEX:
		return 3;
	default:
		return 4;
	}
}

static size_t patch_end(const uint8_t *block, size_t at)
{
	size_t end = at, zeros = 0;

	for (; at < MBLOCK_SIZE && zeros < GAP; at++) {
		zeros = block[at] ? 0 : zeros + 1;
		if (block[at])
			end = at + 1;
	}
	return end;
}

void image_to_patches(const uint8_t *image, size_t len, struct outbuf *out)
{
	size_t b, at, end;

	for (b = 0; b < len / MBLOCK_SIZE && b < IMAGE_BLOCKS; b++) {
		const uint8_t *block = image + b * MBLOCK_SIZE;

		for (at = 4; at < MBLOCK_SIZE; at = end) {
			end = at + 1;
			if (!block[at])
				continue;
			end = patch_end(block, at);
			outbuf_add(out,
				   (uint8_t[]){ kind_of(block), (uint8_t)b, (uint8_t)at,
						(uint8_t)(at >> 8), (uint8_t)(end - at),
						(uint8_t)((end - at) >> 8) },
				   HEAD_LEN);
			outbuf_add(out, block + at, end - at);
		}
	}
}
