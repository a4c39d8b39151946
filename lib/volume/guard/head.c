/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "volume/guard/head.h"

#include <ctype.h>
#include <string.h>

#include "base/zero.h"

bool head_is_zero(const struct head *h)
{
	return h->len && all_zero(h->data, h->len);
}

bool head_is_text(const struct head *h)
{
	size_t i;

	for (i = 0; i < h->len; i++)
		if ((h->data[i] < ' ' && !isspace(h->data[i])) || h->data[i] == 127 || h->data[i] >= 0xf8)
			return false;
	return h->len;
}

bool head_is_pattern(const struct head *h)
{
	return h->len > 1 && !memcmp(h->data, h->data + 1, h->len - 1);
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
	while (i < h->len && isspace(h->data[i]))
		i++;
	return i < h->len && h->data[i] == '<' && head_is_text(h);
}

bool head_is_table(const struct head *h)
{
	return head_is_text(h) && !head_is_xml(h) &&
	       (memmem(h->data, h->len, " thin-pool ", 11) || memmem(h->data, h->len, " thin ", 6));
}
