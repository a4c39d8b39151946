/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "base/text/json.h"

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
		else if ((unsigned char)s[i] < ' ' || s[i] == '<') /* so that no HTML around it ends here */
			outbuf_printf(out, "\\u%04x", s[i]);
		else if (s[i] == '"' || s[i] == '\\')
			outbuf_printf(out, "\\%c", s[i]);
		else
			outbuf_add(out, s + i, n);
	}
	outbuf_add(out, "\"", 1);
}

void json_number(struct outbuf *out, uint64_t v)
{
	const char *quote = v > JSON_MAX_NUMBER ? "\"" : "";

	outbuf_str(out, quote);
	outbuf_u64(out, v);
	outbuf_str(out, quote);
}

static void new_line(struct json *j)
{
	outbuf_str(j->out, "\n");
	for (unsigned i = 0; i < j->depth; i++)
		outbuf_str(j->out, "  ");
}

/* What stands before a value: comma, line, name. */
static void member(struct json *j, const char *key)
{
	const uint64_t level = (uint64_t)1 << j->depth;

	if (j->more & level)
		outbuf_str(j->out, j->lines & level ? "," : ", ");
	j->more |= level;
	if (j->lines & level)
		new_line(j);
	if (!key)
		return;
	outbuf_str(j->out, "\"");
	outbuf_str(j->out, key);
	outbuf_str(j->out, "\": ");
}

static void deeper(struct json *j, bool list, unsigned flags)
{
	uint64_t level;

	j->depth++;
	level = (uint64_t)1 << j->depth;
	j->more &= ~level;
	j->lines = flags & JSON_LINES ? j->lines | level : j->lines & ~level;
	j->list = list ? j->list | level : j->list & ~level;
	outbuf_str(j->out, list ? "[" : "{");
}

void json_object(struct json *j, const char *key, unsigned flags)
{
	member(j, key);
	deeper(j, false, flags);
}

void json_list(struct json *j, const char *key, unsigned flags)
{
	member(j, key);
	deeper(j, true, flags);
}

void json_close(struct json *j)
{
	const uint64_t level = (uint64_t)1 << j->depth;

	j->depth--;
	if (j->more & j->lines & level)
		new_line(j);
	outbuf_str(j->out, j->list & level ? "]" : "}");
}

void json_begin(struct json *j, struct outbuf *out)
{
	*j = (struct json){ .out = out };
	deeper(j, false, JSON_LINES);
	json_u64(j, "format", JSON_FORMAT);
}

void json_end(struct json *j)
{
	json_close(j);
	outbuf_str(j->out, "\n");
}

void json_piece(struct json *j, struct outbuf *out, unsigned depth)
{
	const uint64_t level = (uint64_t)1 << depth;

	*j = (struct json){ .out = out, .depth = depth, .more = level, .lines = level, .list = level };
}

void json_u64(struct json *j, const char *key, uint64_t v)
{
	member(j, key);
	json_number(j->out, v);
}

void json_bool(struct json *j, const char *key, bool v)
{
	member(j, key);
	outbuf_str(j->out, v ? "true" : "false");
}

void json_null(struct json *j, const char *key)
{
	member(j, key);
	outbuf_str(j->out, "null");
}

void json_text_len(struct json *j, const char *key, const char *text, size_t len)
{
	member(j, key);
	json_string(j->out, text, len);
}

void json_text(struct json *j, const char *key, const char *text)
{
	if (text)
		json_text_len(j, key, text, strlen(text));
	else
		json_null(j, key);
}

void json_tenths(struct json *j, const char *key, uint64_t tenths)
{
	member(j, key);
	outbuf_printf(j->out, "%llu.%llu", (unsigned long long)(tenths / 10),
		      (unsigned long long)(tenths % 10));
}
