/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H
/*
 * Memory for many small things that are freed together.  It is zeroed and aligned for any type.
 * Threads: one at a time.  A zeroed struct arena is an empty one.
 */
#include <stddef.h>

struct arena_chunk;

struct arena {
	struct arena_chunk *chunk;
	char *at, *end;
};

/* NULL when there is no memory. */
void *arena_alloc(struct arena *a, size_t size);
/* @len bytes with a 0 behind them. */
char *arena_strndup(struct arena *a, const char *s, size_t len);
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Gives back what was got since @mark, a copy that was made of *a then. */
void arena_rewind(struct arena *a, const struct arena *mark);
void arena_fini(struct arena *a);

#endif
