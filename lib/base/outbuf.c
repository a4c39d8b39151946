/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/outbuf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

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

/* Two digits at a time: half the divisions, and those by a constant. */
static const char two_digits[201] = "00010203040506070809101112131415161718192021222324"
				    "25262728293031323334353637383940414243444546474849"
				    "50515253545556575859606162636465666768697071727374"
				    "75767778798081828384858687888990919293949596979899";

static char *put2(char *p, uint32_t v)
{
	memcpy(p, two_digits + 2 * v, 2);
	return p + 2;
}

static char *put4(char *p, uint32_t v)
{
	return put2(put2(p, v / 100), v % 100);
}

static char *put8(char *p, uint32_t v)
{
	return put4(put4(p, v / 10000), v % 10000);
}

/* @v < 10^8 without leading zeros */
static char *fmt_u32_short(char *p, uint32_t v)
{
	if (v < 100) {
		if (v >= 10)
			return put2(p, v);
		*p = (char)('0' + v);
		return p + 1;
	}
	if (v < 10000) {
		if (v >= 1000)
			return put4(p, v);
		*p = (char)('0' + v / 100);
		return put2(p + 1, v % 100);
	}
	return put4(fmt_u32_short(p, v / 10000), v % 10000);
}

char *fmt_u64(char *p, uint64_t v)
{
	if (v < 100000000)
		return fmt_u32_short(p, (uint32_t)v);
	return put8(fmt_u64(p, v / 100000000), (uint32_t)(v % 100000000));
}
