/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include <errno.h>
#include <inttypes.h>

#include "base/text/json.h"
#include "base/text/outbuf.h"
#include "random.h"
#include "tap.h"

static void same_as_printf(uint64_t v)
{
	char want[32], got[32];

	snprintf(want, sizeof(want), "%" PRIu64, v);
	*fmt_u64(got, v) = 0;
	check_str(got, want);
}

static void numbers_as_printf(void)
{
	uint64_t p = 1, v;
	int i;

	for (v = 0; v < 30000; v++)
		same_as_printf(v);
	for (i = 0; i < 20; i++, p *= 10) {
		same_as_printf(p - 1);
		same_as_printf(p);
		same_as_printf(p + 1);
	}
	for (i = 0; i < 100000; i++) {
		same_as_printf(random_next(&rnd_state) >> (i % 64));
	}
	same_as_printf(UINT64_MAX);
}

/* A list that mostly ascends by one, and now and then goes anywhere or stays. */
static void numbers_of_a_list(void)
{
	struct fmt_count before = { 0 };
	uint64_t v = 0;
	char want[32], got[32];

	for (int i = 0; i < 300000; i++) {
		snprintf(want, sizeof(want), "%" PRIu64, v);
		*fmt_count(got, &before, v) = 0;
		check_str(got, want);
		if (i % 64)
			v++;
		else if (i % 128)
			v = random_next(&rnd_state) >> (random_next(&rnd_state) % 64);
	}
}

static void grows(void)
{
	struct outbuf b;
	char want[64];
	int i;
	size_t at = 0;

	outbuf_init(&b);
	for (i = 0; i < 10000; i++) {
		outbuf_str(&b, "n=");
		outbuf_u64(&b, (uint64_t)i);
		outbuf_add(&b, "\0", 1);
		outbuf_printf(&b, "%s,", "x");
	}
	check_eq(b.error, 0);
	for (i = 0; i < 10000; i++) {
		snprintf(want, sizeof(want), "n=%d", i);
		check_str(b.data + at, want);
		at += strlen(want) + 1;
		check(memcmp(b.data + at, "x,", 2) == 0);
		at += 2;
	}
	check_eq(b.len, at);
	outbuf_reset(&b);
	check_eq(b.len, 0);
	outbuf_fini(&b);
}

static void no_memory(void)
{
	struct outbuf b;

	outbuf_init(&b);
	outbuf_str(&b, "before");
	check(!outbuf_reserve(&b, SIZE_MAX - 100));
	check(b.error == -ENOMEM);
	outbuf_str(&b, "after");
	outbuf_u64(&b, 7);
	outbuf_printf(&b, "%d", 8);
	check_eq(b.len, 6);
	outbuf_fini(&b);
	check_eq(b.error, 0);
}

static void nothing_is_nothing(void)
{
	struct outbuf b;

	outbuf_init(&b);
	outbuf_add(&b, NULL, 0);
	outbuf_str(&b, "");
	check_eq(b.len, 0);
	check_eq(b.error, 0);
	outbuf_fini(&b);
}

static void becomes(const char *s, const char *want)
{
	struct outbuf b;

	outbuf_init(&b);
	json_string(&b, s, strlen(s));
	outbuf_add(&b, "", 1);
	check_str(b.data, want);
	outbuf_fini(&b);
}

static void json_of_any_bytes(void)
{
	becomes("", "\"\"");
	becomes("web \"one\" C:\\", "\"web \\\"one\\\" C:\\\\\"");
	becomes("a\nb\x01", "\"a\\u000ab\\u0001\"");
	becomes("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80", "\"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80\"");
	becomes("\xfcx", "\"\\ufffdx\"");	       /* a lone byte of Latin-1 */
	becomes("\xc3", "\"\\ufffd\"");	       /* cut */
	becomes("\xe2\x82x", "\"\\ufffd\\ufffdx\""); /* another letter in its place */
	becomes("\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\""); /* above the last code point */
	becomes("\xc0\xaf", "\"\\ufffd\\ufffd\"");     /* longer than it must be */
	becomes("\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\""); /* half of a surrogate pair */
}

static const struct test tests[] = {
	{ "a JSON string is valid whatever bytes it is made of", json_of_any_bytes },
	{ "numbers read as printf writes them", numbers_as_printf },
	{ "so do the numbers of a list that mostly ascends by one", numbers_of_a_list },
	{ "a buffer grows and keeps what was added", grows },
	{ "after a failed allocation appends are ignored and the error stays", no_memory },
	{ "adding nothing changes nothing", nothing_is_nothing },
	{ 0 }
};

int main(int argc, char **argv)
{
	return tap_main(tests, argc, argv);
}
