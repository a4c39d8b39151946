/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "volume/compress/zstd.h"

#include <errno.h>
#include <zstd.h>

const bool zstd_is_linked = true;

void *zstd_new(void)
{
	return ZSTD_createCCtx();
}

void zstd_free(void *z)
{
	ZSTD_freeCCtx(z);
}

size_t zstd_pack(void *z, const void *in, size_t len, void *out, size_t room)
{
	size_t n = ZSTD_compressCCtx(z, out, room, in, len, ZSTD_CLEVEL_DEFAULT);

	return ZSTD_isError(n) ? 0 : n;
}

/* In one call, so that a window that the frame asks for takes no memory. */
int zstd_unpack(const void *in, size_t len, void *out, size_t out_len)
{
	size_t n = ZSTD_findFrameCompressedSize(in, len);

	return ZSTD_isError(n) || ZSTD_decompress(out, out_len, in, n) != out_len ? -EUCLEAN : 0;
}
