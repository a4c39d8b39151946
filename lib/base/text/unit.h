/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef BASE_TEXT_UNIT_H
#define BASE_TEXT_UNIT_H
/*
 * The units of size.  parse_size() reads them as all commands do but one; unit_find() and unit_parse() as
 * thin_metadata_size does: letters (k m g t p e z y are binary, capitals decimal; b, s), the short forms
 * KiB and kB, and full names or any beginning of a name.
 */
#include "base/err.h"
#include "base/units.h"

struct unit {
	const char *letter; /* k */
	const char *brief;  /* KiB, or NULL */
	const char *name;   /* kibibytes */
	double bytes;
};

/* Sectors, bytes, the binary ones, and behind these in the same order the decimal ones. */
enum { UNIT_BINARY = 2, UNIT_DECIMAL = 10, NR_UNITS = 18 };
extern const struct unit unit_table[NR_UNITS];

/* NULL: no such unit. */
const struct unit *unit_find(const char *word);

/*
 * Digits and a unit without a blank between; @fallback without a unit.  -EINVAL or -ERANGE.  *@unit
 * is the unit that was used.
 */
int unit_parse(const char *s, const struct unit *fallback, uint64_t *number,
	       const struct unit **unit, struct err *err);

/* @number of @unit in bytes; -ERANGE when that is no u64. */
int unit_to_bytes(uint64_t number, const struct unit *unit, uint64_t *bytes, struct err *err);

/*
 * @bytes in @unit: whole numbers as they are, others with two decimals; numbers below one with as
 * many digits as distinguish them from every other double.  @out: at least 64 bytes.
 */
void unit_format(uint64_t bytes, const struct unit *unit, char *out);

#endif
