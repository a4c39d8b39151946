/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "base/text/parse.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/overflow.h"

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

static uint64_t power(uint64_t base, unsigned exp)
{
	uint64_t v = 1;

	while (exp--)
		v *= base;
	return v;
}

/* The bytes in one unit called @s; 0: no such unit. */
static uint64_t unit_size(const char *s, bool binary_caps)
{
	static const char letters[] = "kmgtpe";
	static const struct {
		const char *binary, *decimal;
	} names[] = {
		{ "kibibytes", "kilobytes" }, { "mebibytes", "megabytes" },
		{ "gibibytes", "gigabytes" }, { "tebibytes", "terabytes" },
		{ "pebibytes", "petabytes" }, { "exbibytes", "exabytes" },
	};
	uint64_t caps = binary_caps ? 1024 : 1000;

	if (begins(s, "bytes", 1) || !strcmp(s, "B"))
		return 1;
	if (begins(s, "sectors", 1))
		return 512;
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		char lower = letters[i], upper = (char)toupper((unsigned char)lower);

		if (s[0] == lower && !s[1])
			return power(1024, i + 1);
		if (s[0] == upper && !s[1])
			return power(caps, i + 1);
		if (toupper((unsigned char)s[0]) == upper && !strcmp(s + 1, "iB"))
			return power(1024, i + 1);
		if (toupper((unsigned char)s[0]) == upper && !strcmp(s + 1, "B"))
			return power(caps, i + 1);
		if (begins(s, names[i].binary, 3))
			return power(1024, i + 1);
		if (begins(s, names[i].decimal, 3))
			return power(1000, i + 1);
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
