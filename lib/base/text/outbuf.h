/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef BASE_TEXT_OUTBUF_H
#define BASE_TEXT_OUTBUF_H
/*
 * A growing byte buffer with fast formatting of decimal numbers: text output is
 * made in big buffers and written whole.  After a failed allocation the buffer
 * ignores appends and @error is -ENOMEM, so that formatting code need
 * not check every step.
 */
#include <endian.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct outbuf {
	char *data;
	size_t len, cap;
	int error;
	bool exact; /* outbuf_size() writes bytes */
};

/* Empty; outbuf_fini() gives the memory back.  Threads: one at a time. */
void outbuf_init(struct outbuf *b);
void outbuf_fini(struct outbuf *b);
/* Forgets the bytes and keeps the memory. */
static inline void outbuf_reset(struct outbuf *b)
{
	b->len = 0;
}
/* Room for @n more bytes: NULL (and b->error) when there is no memory. */
char *outbuf_reserve(struct outbuf *b, size_t n);
void outbuf_add(struct outbuf *b, const void *p, size_t n);
void outbuf_str(struct outbuf *b, const char *s);
void outbuf_u64(struct outbuf *b, uint64_t v);
/* An attribute of XML: a blank, NAME="V". */
void outbuf_attr(struct outbuf *b, const char *name, uint64_t v);
/*
 * A size for people: 0B, 448KiB, 3.19MiB; exact where a unit divides it.  With @exact in bytes,
 * whatever it is: 458752B.
 */
__attribute__((cold)) void outbuf_size(struct outbuf *b, uint64_t bytes);
/* Aligns what was added since @from to the right in a field of @width characters. */
__attribute__((cold)) void outbuf_right(struct outbuf *b, size_t from, size_t width);
void outbuf_printf(struct outbuf *b, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), cold));

/*
 * Decimal digits of @v at @p; returns one past the last.  There must be room for 20 bytes: what
 * follows the digits may be overwritten.
 */
char *fmt_u64(char *p, uint64_t v);

/*
 * The number before in a list of numbers, most of which are the one before plus one: these need a new last
 * digit only.  All zeros at the beginning of a list.
 */
struct fmt_count {
	uint64_t next; /* the number plus one */
	uint64_t text; /* of 8 digits at most, the first in the lowest byte */
	uint64_t one;  /* at the place of the last digit */
	unsigned len;  /* digits */
	unsigned left; /* how many more numbers differ in the last digit alone */
};

/* The same for any number. */
char *fmt_count_anew(char *p, struct fmt_count *c, uint64_t v);

/* fmt_u64() for a number that is in the list after *@c. */
static inline char *fmt_count(char *p, struct fmt_count *c, uint64_t v)
{
	uint64_t text;

	if (v != c->next || !c->left)
		return fmt_count_anew(p, c, v);
	c->next++;
	c->left--;
	c->text += c->one;
	text = htole64(c->text);
	memcpy(p, &text, 8);
	return p + c->len;
}

#endif
