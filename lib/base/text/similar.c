/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "base/text/similar.h"

#include <stdio.h>
#include <string.h>

#include "base/units.h"

/* The number of letters to insert, delete or replace to turn @b into @a. */
static size_t distance(const char *a, size_t la, const char *b, size_t lb)
{
	size_t row[SIMILAR_MAX_LEN + 1];

	for (size_t j = 0; j <= lb; j++)
		row[j] = j;
	for (size_t i = 1; i <= la; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			size_t above = row[j], change = diagonal + (a[i - 1] != b[j - 1]);

			row[j] = MIN(MIN(above, row[j - 1]) + 1, change);
			diagonal = above;
		}
	}
	return row[lb];
}

void similar_init(struct similar *s, const char *word, size_t len)
{
	s->word = word;
	s->len = len;
	s->found = NULL;
	s->distance = len < 4 ? 2 : len < 8 ? 3 : 4;
}

void similar_offer(struct similar *s, const char *name)
{
	size_t len = strlen(name), d;

	if (s->len > SIMILAR_MAX_LEN || len > SIMILAR_MAX_LEN)
		return;
	d = distance(s->word, s->len, name, len);
	if (d < s->distance) {
		s->distance = d;
		s->found = name;
	}
}

const char *similar_question(char buf[SIMILAR_QUESTION], const char *found, const char *end)
{
	buf[0] = 0;
	if (found)
		snprintf(buf, SIMILAR_QUESTION, "; did you mean '%s%s'?", found, end);
	return buf;
}
