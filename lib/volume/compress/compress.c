/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "volume/compress/compress.h"

#include <errno.h>
#include <stdlib.h>
#define ZLIB_CONST
#include <zlib.h>

#include "volume/compress/deflate.h"
#include "volume/compress/zstd.h"

#define WINDOW_BITS 15 /* any stream that can be */

struct compressor {
	enum compression kind;
	struct deflate *deflate;
	void *zstd;
};

bool compression_is_linked(enum compression kind)
{
	return kind != COMPRESS_ZSTD || zstd_is_linked;
}

struct compressor *compressor_new(enum compression kind)
{
	struct compressor *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->kind = kind;
	if (kind == COMPRESS_ZSTD)
		c->zstd = zstd_new();
	else
		c->deflate = deflate_new();
	if (c->zstd || c->deflate)
		return c;
	free(c);
	return NULL;
}

void compressor_free(struct compressor *c)
{
	if (!c)
		return;
	if (c->zstd)
		zstd_free(c->zstd);
	deflate_free(c->deflate);
	free(c);
}

size_t compressor_run(struct compressor *c, const void *in, size_t len, void *out, size_t room)
{
	return c->kind == COMPRESS_ZSTD ? zstd_pack(c->zstd, in, len, out, room)
					: deflate_compress(c->deflate, in, len, out, room);
}

static int inflate_all(const void *in, size_t len, void *out, size_t out_len)
{
	z_stream z = { 0 };
	int r;

	z.next_in = in;
	z.avail_in = (uInt)len;
	z.next_out = out;
	z.avail_out = (uInt)out_len;
	if (inflateInit2(&z, -WINDOW_BITS) != Z_OK)
		return -ENOMEM;
	r = inflate(&z, Z_FINISH);
	inflateEnd(&z);
	/* the stream's end need not be there once the cluster is full */
	return z.avail_out || (r != Z_STREAM_END && r != Z_BUF_ERROR && r != Z_OK) ? -EUCLEAN : 0;
}

int decompress(enum compression kind, const void *in, size_t len, void *out, size_t out_len)
{
	return kind == COMPRESS_ZSTD ? zstd_unpack(in, len, out, out_len)
				     : inflate_all(in, len, out, out_len);
}
