/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include <errno.h>

#include "base/text/parse.h"
#include "tap.h"

static void numbers(void)
{
	struct err e = { 0 };
	uint64_t v = 1;
	uint32_t w = 1;

	check(!parse_u64("0", &v, &e) && v == 0);
	check(!parse_u64("18446744073709551615", &v, &e) && v == UINT64_MAX);
	check(parse_u64("18446744073709551616", &v, &e) == -ERANGE);
	check_str(e.text, "'18446744073709551616' is too large a number");
	check(parse_u64("18446744073709551620", &v, &e) == -ERANGE);
	check(!parse_u32("4294967295", &w, &e) && w == UINT32_MAX);
	check(parse_u32("4294967296", &w, &e) == -ERANGE);
	for (const char *const *s = (const char *const[]){ "", "-1", " 1", "1 ", "0x10", "1k", "+1", NULL };
	     *s; s++)
		check(parse_u64(*s, &v, &e) == -EINVAL);
}

static uint64_t size(const char *s, bool caps)
{
	struct err e = { 0 };
	uint64_t v;

	return parse_size(s, 512, caps, &v, &e) ? UINT64_MAX : v;
}

static void sizes(void)
{
	check_eq(size("3", true), 3 * 512);
	check_eq(size("3b", true), 3);
	check_eq(size("2097152s", true), 1 << 30);
	check_eq(size("10G", true), 10ull << 30);
	check_eq(size("10G", false), 10000000000ull);
	check_eq(size("10g", false), 10ull << 30);
	check_eq(size("64KiB", false), 65536);
	check_eq(size("64kibibytes", false), 65536);
	check_eq(size("64kibibyte", false), 65536);
	check_eq(size("1mebi", false), 1 << 20);
	check_eq(size("1megabyte", true), 1000000);
	check_eq(size("1MB", false), 1000000);
	check_eq(size("1MB", true), 1 << 20);
	check_eq(size("1mB", true), 1 << 20);
	check_eq(size("1Kib", true), UINT64_MAX);
	check_eq(size("1kib", true), 1024);
	check_eq(size("1KB", false), 1000);
	check_eq(size("1EiB", false), 1ull << 60);
	check_eq(size("1E", true), 1ull << 60);
	check_eq(size("7sect", true), 7 * 512);
	check_eq(size("7by", true), 7);
	check_eq(size("7B", true), 7);
	check_eq(size("1ki", true), UINT64_MAX);
	check_eq(size("0z", true), UINT64_MAX);
	check_eq(size("0Y", true), UINT64_MAX);
	check_eq(size("0zebibytes", true), UINT64_MAX);
	check_eq(size("15e", true), 15ull << 60);
	check_eq(size("16e", true), UINT64_MAX);
	check_eq(size("1q", true), UINT64_MAX);
	check_eq(size("1 k", true), UINT64_MAX);
	check_eq(size("k", true), UINT64_MAX);
	check_eq(size("", true), UINT64_MAX);
}

static void ranges(void)
{
	struct err e = { 0 };
	uint64_t a, b;

	check(!parse_range("10..12", &a, &b, &e) && a == 10 && b == 12);
	check(!parse_range("0..-1", &a, &b, &e) && a == 0 && b == UINT64_MAX);
	check(!parse_range("7..-1", &a, &b, &e) && a == 7 && b == UINT64_MAX);
	check(parse_range("0..-2", &a, &b, &e) == -EINVAL);
	check(parse_range("0..-10", &a, &b, &e) == -EINVAL);
	check(parse_range("-1..-1", &a, &b, &e) == -EINVAL);
	check(parse_range("12..12", &a, &b, &e) == -EINVAL);
	check(strstr(e.text, "end <= begin"));
	for (const char *const *s = (const char *const[]){ "1", "1..", "..2", "1.2", "1..2x", "a..b", "", NULL };
	     *s; s++)
		check(parse_range(*s, &a, &b, &e) == -EINVAL);
}

static const struct test tests[] = {
	{ "a number is digits only and must fit", numbers },
	{ "a size is digits and a unit, in the spellings of both generations", sizes },
	{ "a range is A..B with A below B", ranges },
	{ 0 }
};

int main(int argc, char **argv)
{
	return tap_main(tests, argc, argv);
}
