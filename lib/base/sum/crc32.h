/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef BASE_SUM_CRC32_H
#define BASE_SUM_CRC32_H
#include <stddef.h>
#include <stdint.h>

/*
 * The raw CRC-32 of Ethernet and zlib (reflected 0xEDB88320) of @len bytes, continued from @crc,
 * without the usual inversions at begin and end.  Small, for a few MiB at most.  Any thread.
 */
uint32_t crc32_raw(uint32_t crc, const void *data, size_t len);

#endif
