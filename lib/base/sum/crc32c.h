/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef BASE_SUM_CRC32C_H
#define BASE_SUM_CRC32C_H
#include <stddef.h>
#include <stdint.h>

/*
 * The raw Castagnoli CRC (reflected 0x82F63B78) of @len bytes, continued from
 * @crc, without the usual inversions at begin and end: the caller passes
 * 0xFFFFFFFF to begin.  Uses the widest instruction this CPU has.  Any thread.
 */
uint32_t crc32c_raw(uint32_t crc, const void *data, size_t len);

/* Every implementation this CPU can run, by name, ended by a NULL name: for tests and bench. */
struct crc32c_impl {
	const char *name;
	uint32_t (*fn)(uint32_t crc, const void *data, size_t len);
};
const struct crc32c_impl *crc32c_impls(void);

#endif
