/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef FUZZ_IMAGE_H
#define FUZZ_IMAGE_H
/*
 * Metadata out of few bytes.  Checksums would stop a fuzzer at the first block, and most of a
 * block is zeros; so its inputs are patches, and the blocks are sealed afterwards:
 *
 *	u8 kind, u8 block, le16 offset, le16 length, bytes ...
 *
 * kind: 0 superblock, 1 node, 2 bitmap, 3 index, 4 not sealed; the last one for a block holds.
 */
#include "dev/io.h"

#define IMAGE_BLOCKS 64

/* An io of IMAGE_BLOCKS blocks in memory. */
struct io *image_new(const uint8_t *patches, size_t len);

/* The patches that make @image (len bytes, at most IMAGE_BLOCKS blocks), appended to @out. */
struct outbuf;
void image_to_patches(const uint8_t *image, size_t len, struct outbuf *out);

#endif
