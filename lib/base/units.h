/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef BASE_UNITS_H
#define BASE_UNITS_H
/*
 * Scalars that carry a unit.  A plain uint64_t is a count or a byte offset.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint64_t mblock_t;	/* 4 KiB block of the metadata device */
typedef uint64_t dblock_t;	/* block of the pool's data device */
typedef uint64_t vblock_t;	/* block of a thin device */
typedef uint64_t sector_t;	/* 512 bytes */

#define SECTOR_SHIFT 9
#define MBLOCK_SIZE 4096 /* bytes of a metadata block */
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#endif
