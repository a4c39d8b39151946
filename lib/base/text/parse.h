/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef BASE_TEXT_PARSE_H
#define BASE_TEXT_PARSE_H
/*
 * Numbers and sizes as people type them.  All return 0, -EINVAL (not of the form)
 * or -ERANGE (does not fit), and set @err to a text that quotes the word.
 */
#include "base/err.h"
#include "base/units.h"

/* Decimal digits only, the whole of @s. */
int parse_u64(const char *s, uint64_t *out, struct err *err);
int parse_u32(const char *s, uint32_t *out, struct err *err);

/*
 * A size in bytes: digits and an optional unit.  b = 1, s = 512; k m g t p e and
 * KiB MiB .. (also kibibyte[s] ..) are powers of 1024; K M G T P E and kB MB .. are
 * powers of 1024 as well when @binary_caps (what volume tools mean by 10G), else of
 * 1000 (thin_metadata_size).  A bare number is multiplied by @default_unit.
 */
int parse_size(const char *s, uint64_t default_unit, bool binary_caps, uint64_t *bytes,
	       struct err *err);

/* "A..B", decimal, end exclusive, A < B. */
int parse_range(const char *s, uint64_t *begin, uint64_t *end, struct err *err);

#endif
