/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text/parse.h"
#include "volume/table/parse.h"

int table_line_error(const struct parser *p, struct err *err, const char *word, const char *what)
{
	if (!word)
		return err_set(err, -EINVAL, "%s: line %u: %s", p->t->path, p->line, what);
	return err_set(err, -EINVAL, "%s: line %u: '%.200s': %s", p->t->path, p->line, word, what);
}

int table_word_dev(const struct parser *p, const char *word, struct table_dev *out, struct err *err)
{
	unsigned major, minor;

	out->by_number = dev_numbers(word, &major, &minor);
	out->word = strdup(word);
	if (out->by_number)
		out->path = dev_path_of_numbers(major, minor);
	else if (word[0] == '/')
		out->path = strdup(word);
	else if (asprintf(&out->path, "%s%s", p->folder, word) < 0)
		out->path = NULL;
	return out->path && out->word ? 0 : err_nomem(err, "table file");
}

int table_word_u64(const struct parser *p, const char *word, const char *what, uint64_t max,
		    uint64_t *out, struct err *err)
{
	char text[120];

	if (parse_u64(word, out, NULL) < 0) {
		snprintf(text, sizeof(text), "%s is not a decimal number below 2^64", what);
		return table_line_error(p, err, word, text);
	}
	if (*out > max) {
		snprintf(text, sizeof(text), "%s is above %llu", what, (unsigned long long)max);
		return table_line_error(p, err, word, text);
	}
	return 0;
}

/* In place: \040 is a blank, as in fstab; a backslash before anything else stands for itself. */
static void unquote(char *word)
{
	char *to = word;

	for (; *word; to++) {
		bool octal = word[0] == '\\' && word[1] >= '0' && word[1] <= '3' && word[2] >= '0' &&
			     word[2] <= '7' && word[3] >= '0' && word[3] <= '7';
		int code = octal ? (word[1] - '0') * 64 + (word[2] - '0') * 8 + word[3] - '0' : 0;

		*to = code ? (char)code : *word;
		word += code ? 4 : 1;
	}
	*to = 0;
}

int table_split_words(struct parser *p, char *line, struct err *err)
{
	char *w;

	p->nr_words = 0;
	while ((w = strsep(&line, " \t\r\v\f"))) {
		if (!*w)
			continue;
		if (p->nr_words == MAX_WORDS)
			return table_line_error(p, err, w, "too many words in the line");
		unquote(w);
		p->word[p->nr_words++] = w;
	}
	return 0;
}
