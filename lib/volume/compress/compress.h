/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_COMPRESS_H
#define VOLUME_COMPRESS_H
/* The two ways in which a cluster of a qcow2 image can be compressed. */
#include <stdbool.h>
#include <stddef.h>

enum compression {
	COMPRESS_NONE,
	COMPRESS_DEFLATE,
	COMPRESS_ZSTD, /* only where libzstd is linked */
};

bool compression_is_linked(enum compression kind);

/* Threads: one at a time for each compressor.  NULL: no memory. */
struct compressor;
struct compressor *compressor_new(enum compression kind);
void compressor_free(struct compressor *c);
/* @len bytes, at most 2 MiB.  Returns the compressed length; 0: they do not fit into @room bytes. */
size_t compressor_run(struct compressor *c, const void *in, size_t len, void *out, size_t room);

/* Fills @out, @out_len bytes; @in may go on behind the compressed bytes.  -EUCLEAN, -ENOMEM. */
int decompress(enum compression kind, const void *in, size_t len, void *out, size_t out_len);

#endif
