/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include <ctype.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "base/text/outbuf.h"
#include "base/units.h"
#include "nbdkit/words.h"

static const struct {
	const char *option, *parameter;
} words[] = {
	{ "--pool", "pool-name=" },
	{ "--pv", "pv=" },
	{ "--seqno", "seqno=" },
	{ "--data-dev", "data-dev=" },
	{ "--origin-format raw", "origin-format=raw" },
	{ "--origin", "origin=" },
	{ "--size", "size=" },
	{ "--force", "force=true" },
};

/* The length of the command in quotes that begins at @text; 0: none does. */
static size_t command_len(const char *text)
{
	const char *end = strncmp(text, "'thin_", 6) ? NULL : strchr(text + 1, '\'');

	return end ? (size_t)(end - text) + 1 : 0;
}

/* Puts the parameter in place of the option at @text; returns the option's length, 0: there is none. */
static size_t put_parameter(struct outbuf *out, const char *text)
{
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		size_t n = strlen(words[i].option), last = strlen(words[i].parameter) - 1;

		if (strncmp(text, words[i].option, n) || isalnum((unsigned char)text[n]) || text[n] == '-')
			continue;
		outbuf_str(out, words[i].parameter);
		/* "--pool NAME" is pool-name=NAME; not so "--size gives it" */
		return n + (words[i].parameter[last] == '=' && text[n] == ' ' && isupper((unsigned char)text[n + 1]));
	}
	return 0;
}

void words_error(const char *text, const char *more)
{
	const char *at = text;
	struct outbuf out;
	size_t n;

	outbuf_init(&out);
	while (*at) {
		n = command_len(at);
		if (n)
			outbuf_add(&out, at, n);
		else if (!(n = put_parameter(&out, at)))
			outbuf_add(&out, at, n = 1);
		at += n;
	}
	outbuf_add(&out, "", 1);
	nbdkit_error("%s%s", out.error ? text : (const char *)out.data, more);
	outbuf_fini(&out);
}
