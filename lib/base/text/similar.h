/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef BASE_TEXT_SIMILAR_H
#define BASE_TEXT_SIMILAR_H
/* Finds the word that is most similar to a mistyped one. */
#include <stddef.h>

/* Longer words are not compared. */
#define SIMILAR_MAX_LEN 128
#define SIMILAR_QUESTION (SIMILAR_MAX_LEN + 24)

struct similar {
	const char *word; /* as typed; not terminated */
	size_t len;
	const char *found; /* the nearest of the words offered; NULL: none is near enough */
	size_t distance;   /* a word is a better match only if its distance is below this */
};

void similar_init(struct similar *s, const char *word, size_t len);
/* Offers @name, which must live as long as @s. */
void similar_offer(struct similar *s, const char *name);
/*
 * Asks about @found, which was offered, at the end of a message: "; did you mean 'FOUND'?".  @end: what is typed behind
 * the word, such as a parameter's "=".  @found NULL: "".  The text is in @buf.
 */
const char *similar_question(char buf[SIMILAR_QUESTION], const char *found, const char *end);

#endif
