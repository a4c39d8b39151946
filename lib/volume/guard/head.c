/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "volume/guard/head.h"

#include <string.h>

#include "base/zero.h"

bool head_is_zero(const struct head *h)
{
	return h->len && all_zero(h->data, h->len);
}

static bool is_blank(unsigned char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

bool head_is_text(const struct head *h)
{
	bool varies = false;

	for (size_t i = 0; i < h->len; i++) {
		const unsigned char c = h->data[i];

		if ((c < ' ' && !is_blank(c)) || c == 127)
			return false;
		varies |= c != h->data[0] || c <= ' ';
	}
	return varies;
}

/* The byte order mark or the first character of XML in 16-bit characters. */
static bool is_utf16_xml(const struct head *h)
{
	static const char *const first[] = { "\xff\xfe<", "\xfe\xff\0<", "<\0?", "\0<\0?" };
	static const size_t len[] = { 3, 4, 3, 4 };

	for (size_t i = 0; i < sizeof(len) / sizeof(len[0]); i++)
		if (h->len > len[i] && !memcmp(h->data, first[i], len[i]))
			return true;
	return false;
}

bool head_is_xml(const struct head *h)
{
	size_t i = h->len >= 3 && !memcmp(h->data, "\xef\xbb\xbf", 3) ? 3 : 0;

	if (is_utf16_xml(h))
		return true;
	while (i < h->len && is_blank(h->data[i]))
		i++;
	return i < h->len && h->data[i] == '<' && head_is_text(h);
}

bool head_is_table(const struct head *h)
{
	return head_is_text(h) && !head_is_xml(h) &&
	       (memmem(h->data, h->len, " thin-pool ", 11) || memmem(h->data, h->len, " thin ", 6));
}
