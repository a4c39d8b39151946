/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_ZSTD_H
#define VOLUME_ZSTD_H
/* libzstd, which a build may lack; compress.h says what the functions do. */
#include <stdbool.h>
#include <stddef.h>

extern const bool zstd_is_linked;

void *zstd_new(void);
void zstd_free(void *z);
size_t zstd_pack(void *z, const void *in, size_t len, void *out, size_t room);
int zstd_unpack(const void *in, size_t len, void *out, size_t out_len);

#endif
