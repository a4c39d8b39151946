/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef BASE_LE_H
#define BASE_LE_H
/*
 * Little-endian integers as types of their own, so that a value from disk
 * cannot be used undecoded.  base/be.h has the big-endian ones of qcow2.
 */
#include <endian.h>
#include <stdint.h>

typedef struct {
	uint32_t raw;
} __attribute__((packed)) le32;
typedef struct {
	uint64_t raw;
} __attribute__((packed)) le64;

static inline uint32_t le32_get(le32 v)
{
	return le32toh(v.raw);
}

static inline uint64_t le64_get(le64 v)
{
	return le64toh(v.raw);
}

static inline le32 le32_make(uint32_t v)
{
	return (le32){ htole32(v) };
}

static inline le64 le64_make(uint64_t v)
{
	return (le64){ htole64(v) };
}

#endif
