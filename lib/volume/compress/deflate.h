/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_DEFLATE_H
#define VOLUME_DEFLATE_H
/*
 * Compresses one cluster to a raw deflate stream (RFC 1951) whose matches reach back less than 4 KiB: the
 * window that readers of qcow2 are made for.  zlib can do the same, at half the speed; libdeflate cannot
 * keep to such a window.
 *
 * Memory: DEFLATE_MEMORY bytes.  Threads: one at a time for each struct deflate.
 */
#include <stddef.h>
#include <stdint.h>

#define DEFLATE_MEMORY	  (320u << 10)
#define DEFLATE_MAX_INPUT (2u << 20)

struct deflate;
struct deflate *deflate_new(void);
void deflate_free(struct deflate *d);

/*
 * Compresses @len bytes, at most DEFLATE_MAX_INPUT.  Returns the length of the stream, or 0 when @out,
 * @room bytes, is too small for it.
 */
size_t deflate_compress(struct deflate *d, const void *in, size_t len, void *out, size_t room);

#endif
