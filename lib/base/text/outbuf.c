/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "base/text/outbuf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/units.h"

#define FIRST_CAP 4096

void outbuf_init(struct outbuf *b)
{
	*b = (struct outbuf){ 0 };
}

void outbuf_fini(struct outbuf *b)
{
	free(b->data);
	outbuf_init(b);
}

static char *fail(struct outbuf *b)
{
	b->error = -ENOMEM;
	return NULL;
}

char *outbuf_reserve(struct outbuf *b, size_t n)
{
	size_t need, cap;
	char *data;

	if (b->error)
		return NULL;
	if (n <= b->cap - b->len && b->data)
		return b->data + b->len;
	if (__builtin_add_overflow(b->len, n, &need) || need > SIZE_MAX / 2)
		return fail(b);
	cap = b->cap ? b->cap : FIRST_CAP;
	while (cap < need)
		cap *= 2;
	data = realloc(b->data, cap);
	if (!data)
		return fail(b);
	b->data = data;
	b->cap = cap;
	return b->data + b->len;
}

void outbuf_add(struct outbuf *b, const void *p, size_t n)
{
	char *to = outbuf_reserve(b, n);

	if (!to || !n)
		return;
	memcpy(to, p, n);
	b->len += n;
}

void outbuf_str(struct outbuf *b, const char *s)
{
	outbuf_add(b, s, strlen(s));
}

void outbuf_u64(struct outbuf *b, uint64_t v)
{
	char *to = outbuf_reserve(b, 20);

	if (to)
		b->len += (size_t)(fmt_u64(to, v) - to);
}

void outbuf_attr(struct outbuf *b, const char *name, uint64_t v)
{
	outbuf_str(b, " ");
	outbuf_str(b, name);
	outbuf_str(b, "=\"");
	outbuf_u64(b, v);
	outbuf_str(b, "\"");
}

void outbuf_right(struct outbuf *b, size_t from, size_t width)
{
	size_t len = b->len - from, blanks = width > len ? width - len : 0;

	if (!outbuf_reserve(b, blanks))
		return;
	memmove(b->data + from + blanks, b->data + from, len);
	memset(b->data + from, ' ', blanks);
	b->len += blanks;
}

void outbuf_printf(struct outbuf *b, const char *fmt, ...)
{
	va_list ap, again;
	char *to;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	to = n < 0 ? fail(b) : outbuf_reserve(b, (size_t)n + 1);
	if (to) {
		vsnprintf(to, (size_t)n + 1, fmt, again);
		b->len += (size_t)n;
	}
	va_end(again);
}

/*
 * The eight digits of @v < 10^8, first digit in the lowest byte, by splitting 8 digits into
 * two numbers of 4, these into four of 2, these into eight of 1, all lanes of a word at
 * once.  The multipliers are reciprocals, exact for lanes so small.
 */
static inline __attribute__((always_inline)) uint64_t digits8(uint32_t v)
{
	uint64_t fours = v / 10000 | (uint64_t)(v % 10000) << 32;
	uint64_t tops = (fours * 10486 >> 20) & 0x7f0000007f;
	uint64_t twos = tops | (fours - 100 * tops) << 16;
	uint64_t tens = (twos * 103 >> 10) & 0x000f000f000f000f;

	return tens | (twos - 10 * tens) << 8;
}

#define ASCII_ZEROS 0x3030303030303030

static inline char *put8(char *p, uint32_t v)
{
	uint64_t text = htole64(digits8(v) | ASCII_ZEROS);

	memcpy(p, &text, 8);
	return p + 8;
}

/* No branch on the number of digits, because such a branch is hard to predict. */
static inline char *put_short(char *p, uint32_t v)
{
	uint64_t digits = digits8(v), text;
	unsigned zeros = (unsigned)__builtin_ctzll(digits | (uint64_t)1 << 56) / 8;

	text = htole64((digits | ASCII_ZEROS) >> 8 * zeros);
	memcpy(p, &text, 8);
	return p + 8 - zeros;
}

char *fmt_u64(char *p, uint64_t v)
{
	const uint64_t e8 = 100000000;

	if (v < 10) { /* times and flags: all or none are short, so the branch is predicted */
		*p = (char)('0' + v);
		return p + 1;
	}
	if (likely(v < e8))
		return put_short(p, (uint32_t)v);
	return put8(fmt_u64(p, v / e8), (uint32_t)(v % e8));
}

char *fmt_count_anew(char *p, struct fmt_count *c, uint64_t v)
{
	char *end = fmt_u64(p, v);
	const unsigned len = (unsigned)(end - p);

	*c = (struct fmt_count){ .next = v + 1, .len = len };
	if (len <= 8) {
		c->left = (unsigned)('9' - end[-1]);
		memcpy(&c->text, p, 8);
		c->text = le64toh(c->text);
		c->one = (uint64_t)1 << 8 * (len - 1);
	}
	return end;
}

void outbuf_size(struct outbuf *b, uint64_t bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	unsigned u = 0;

	while (!b->exact && u + 1 < ARRAY_SIZE(units) && bytes >> (10 * (u + 1)))
		u++;
	if (bytes & (((uint64_t)1 << (10 * u)) - 1))
		outbuf_printf(b, "%.2f%s", (double)bytes / (double)((uint64_t)1 << (10 * u)), units[u]);
	else
		outbuf_printf(b, "%llu%s", (unsigned long long)(bytes >> (10 * u)), units[u]);
}
