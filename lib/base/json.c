/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "base/json.h"

/* The length of the UTF-8 sequence at @s, of which @len bytes are left; 0: not one. */
static size_t utf8_len(const unsigned char *s, size_t len)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = s[0] < 0x80 ? 1 : s[0] >> 5 == 6 ? 2 : s[0] >> 4 == 14 ? 3 : s[0] >> 3 == 30 ? 4 : 0;
	uint32_t c;

	if (!n || n > len)
		return 0;
	c = n == 1 ? s[0] : s[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if (s[i] >> 6 != 2)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	return c < least[n] || c > 0x10ffff || c >> 11 == 0xd800 >> 11 ? 0 : n;
}

void json_string(struct outbuf *out, const char *s, size_t len)
{
	size_t n;

	outbuf_add(out, "\"", 1);
	for (size_t i = 0; i < len; i += n ? n : 1) {
		n = utf8_len((const unsigned char *)s + i, len - i);
		if (!n)
			outbuf_str(out, "\\ufffd");
		else if ((unsigned char)s[i] < ' ')
			outbuf_printf(out, "\\u%04x", s[i]);
		else if (s[i] == '"' || s[i] == '\\')
			outbuf_printf(out, "\\%c", s[i]);
		else
			outbuf_add(out, s + i, n);
	}
	outbuf_add(out, "\"", 1);
}
