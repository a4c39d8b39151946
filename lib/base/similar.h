/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef BASE_SIMILAR_H
#define BASE_SIMILAR_H
/* Which of many words was meant by one that is none of them? */
#include <stddef.h>

/* Longer words resemble none. */
#define SIMILAR_MAX_LEN 128

struct similar {
	const char *word; /* as typed; not terminated */
	size_t len;
	const char *found; /* the nearest of the words offered; NULL: none is near enough */
	size_t distance;   /* what is nearer than this is near enough, or nearer than found */
};

void similar_init(struct similar *s, const char *word, size_t len);
/* Offers @name, which must live as long as @s. */
void similar_offer(struct similar *s, const char *name);

#endif
