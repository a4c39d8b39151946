/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "base/text/parse.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/overflow.h"
#include "base/text/unit.h"

/* Reads the digits at *s and steps over them. */
static int take_digits(const char **s, uint64_t *out)
{
	uint64_t v = 0;

	if (!isdigit((unsigned char)**s))
		return -EINVAL;
	for (; isdigit((unsigned char)**s); ++*s)
		if (mul_overflow(v, 10, &v) || add_overflow(v, (uint64_t)(**s - '0'), &v))
			return -ERANGE;
	*out = v;
	return 0;
}

static int number_error(struct err *err, int code, const char *word)
{
	return code == -ERANGE ? err_set(err, code, "'%s' is too large a number", word)
			       : err_set(err, code, "'%s' is not a decimal number", word);
}

int parse_u64(const char *s, uint64_t *out, struct err *err)
{
	const char *at = s;
	int r = take_digits(&at, out);

	if (!r && *at)
		r = -EINVAL;
	return r ? number_error(err, r, s) : 0;
}

int parse_u32(const char *s, uint32_t *out, struct err *err)
{
	uint64_t v;
	int r = parse_u64(s, &v, err);

	if (r)
		return r;
	if (v > UINT32_MAX)
		return number_error(err, -ERANGE, s);
	*out = (uint32_t)v;
	return 0;
}

/* Is @s a beginning of @full, of at least @least characters? */
static bool begins(const char *s, const char *full, size_t least)
{
	size_t n = strlen(s);

	return n >= least && n <= strlen(full) && !strncmp(s, full, n);
}

/* Is @s the short form @brief, or that with the first letter in the other case? */
static bool is_brief(const char *s, const char *brief)
{
	return toupper((unsigned char)*s) == toupper((unsigned char)*brief) && !strcmp(s + 1, brief + 1);
}

/* The bytes in one unit called @s; 0: no such unit, or one of more than 64 bits. */
static uint64_t unit_size(const char *s, bool binary_caps)
{
	if (!strcmp(s, "B"))
		return 1;
	for (unsigned i = 0; i < NR_UNITS; i++) {
		const struct unit *u = &unit_table[i];
		bool is_short = !strcmp(s, u->letter) || (u->brief && is_brief(s, u->brief));

		if (!is_short && !begins(s, u->name, u->brief ? 3 : 1))
			continue;
		if (is_short && binary_caps && i >= UNIT_DECIMAL)
			u = &unit_table[i - UNIT_DECIMAL + UNIT_BINARY];
		return u->bytes < 0x1p64 ? (uint64_t)u->bytes : 0;
	}
	return 0;
}

int parse_size(const char *s, uint64_t default_unit, bool binary_caps, uint64_t *bytes,
	       struct err *err)
{
	const char *at = s;
	uint64_t v, unit = default_unit;
	int r = take_digits(&at, &v);

	if (r)
		return number_error(err, r, s);
	if (*at)
		unit = unit_size(at, binary_caps);
	if (!unit)
		return err_set(err, -EINVAL, "'%s' has an unknown unit '%s'", s, at);
	if (mul_overflow(v, unit, bytes))
		return err_set(err, -ERANGE, "'%s' is too large a size", s);
	return 0;
}

int parse_range(const char *s, uint64_t *begin, uint64_t *end, struct err *err)
{
	const char *at = s;
	int r = take_digits(&at, begin);

	if (!r && strncmp(at, "..", 2))
		return err_set(err, -EINVAL, "badly formed region '%s': wanted A..B", s);
	if (!r) {
		at += 2;
		if (!strcmp(at, "-1")) {
			at += 2;
			*end = UINT64_MAX;
		} else {
			r = take_digits(&at, end);
		}
	}
	if (!r && *at)
		r = -EINVAL;
	if (r)
		return err_set(err, r, "badly formed region '%s': wanted A..B", s);
	if (*end <= *begin)
		return err_set(err, -EINVAL,
			       "badly formed region '%s': end <= begin (B is the first block "
			       "behind the region)",
			       s);
	return 0;
}
