/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "base/text/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct unit unit_table[NR_UNITS] = {
	{ "s", NULL, "sectors", 512 },
	{ "b", NULL, "bytes", 1 },
	{ "k", "KiB", "kibibytes", 0x1p10 },
	{ "m", "MiB", "mebibytes", 0x1p20 },
	{ "g", "GiB", "gibibytes", 0x1p30 },
	{ "t", "TiB", "tebibytes", 0x1p40 },
	{ "p", "PiB", "pebibytes", 0x1p50 },
	{ "e", "EiB", "exbibytes", 0x1p60 },
	{ "z", "ZiB", "zebibytes", 0x1p70 },
	{ "y", "YiB", "yobibytes", 0x1p80 },
	{ "K", "kB", "kilobytes", 1e3 },
	{ "M", "MB", "megabytes", 1e6 },
	{ "G", "GB", "gigabytes", 1e9 },
	{ "T", "TB", "terabytes", 1e12 },
	{ "P", "PB", "petabytes", 1e15 },
	{ "E", "EB", "exabytes", 1e18 },
	{ "Z", "ZB", "zettabytes", 1e21 },
	{ "Y", "YB", "yottabytes", 1e24 },
};

const struct unit *unit_find(const char *word)
{
	size_t i;

	if (!*word)
		return NULL;
	for (i = 0; i < NR_UNITS; i++)
		if (!strcmp(word, unit_table[i].letter) ||
		    (unit_table[i].brief && !strcmp(word, unit_table[i].brief)))
			return &unit_table[i];
	for (i = 0; i < NR_UNITS; i++)
		if (!strncmp(word, unit_table[i].name, strlen(word)))
			return &unit_table[i];
	return NULL;
}

int unit_parse(const char *s, const struct unit *fallback, uint64_t *number,
	       const struct unit **unit, struct err *err)
{
	const char *p = s;

	if (*p < '0' || *p > '9')
		return err_set(err, -EINVAL, "'%s' is not a number", s);
	for (*number = 0; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(*number, 10, number) ||
		    __builtin_add_overflow(*number, (uint64_t)(*p - '0'), number))
			return err_set(err, -ERANGE, "'%s' is too large", s);
	*unit = *p ? unit_find(p) : fallback;
	return *unit ? 0 : err_set(err, -EINVAL, "Invalid unit specifier '%s'", p);
}

int unit_to_bytes(uint64_t number, const struct unit *unit, uint64_t *bytes, struct err *err)
{
	if (number && unit->bytes >= 0x1p64)
		return err_set(err, -ERANGE, "a size in %s is too large", unit->name);
	*bytes = 0;
	if (number && __builtin_mul_overflow(number, (uint64_t)unit->bytes, bytes))
		return err_set(err, -ERANGE, "%llu %s are too many", (unsigned long long)number,
			       unit->name);
	return 0;
}

/* The first @digits decimals of @exact ("0.ddd..."), a half rounded up. */
static void round_to(const char *exact, size_t digits, char *out)
{
	size_t len = 2 + digits, i = len;

	memcpy(out, exact, len);
	out[len] = 0;
	if (exact[len] < '5')
		return;
	while (i > 2 && out[i - 1] == '9')
		out[--i] = '0';
	out[i > 2 ? i - 1 : 0]++;
}

void unit_format(uint64_t bytes, const struct unit *unit, char *out)
{
	double v = (double)bytes / unit->bytes;
	char exact[128];
	size_t digits;

	if (v == (double)(uint64_t)v) {
		sprintf(out, "%llu", (unsigned long long)v);
		return;
	}
	if (v >= 1) {
		snprintf(out, 64, "%.2f", v);
		return;
	}
	snprintf(exact, sizeof(exact), "%.100f", v);
	for (digits = 1; digits < 60; digits++) {
		round_to(exact, digits, out);
		if (strtod(out, NULL) == v)
			return;
	}
}
