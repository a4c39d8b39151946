/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"

#define CHUNK_LEN ((size_t)16384)
#define ALIGN	  _Alignof(max_align_t)

struct arena_chunk {
	struct arena_chunk *before;
	_Alignas(max_align_t) char data[];
};

void *arena_alloc(struct arena *a, size_t size)
{
	void *p;

	if (size > SIZE_MAX / 2)
		return NULL;
	size = (size + ALIGN - 1) / ALIGN * ALIGN;
	if ((size_t)(a->end - a->at) < size || !a->chunk) {
		size_t len = MAX(size, CHUNK_LEN);
		struct arena_chunk *c = calloc(1, sizeof(*c) + len);

		if (!c)
			return NULL;
		c->before = a->chunk;
		a->chunk = c;
		a->at = c->data;
		a->end = c->data + len;
	}
	p = a->at;
	a->at += size;
	return p;
}

char *arena_strndup(struct arena *a, const char *s, size_t len)
{
	char *p = arena_alloc(a, len + 1);

	if (p)
		memcpy(p, s, len);
	return p;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	char *text = NULL, *p = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n >= 0) {
		p = arena_strndup(a, text, (size_t)n);
		free(text);
	}
	return p;
}

void arena_rewind(struct arena *a, const struct arena *mark)
{
	while (a->chunk != mark->chunk) {
		struct arena_chunk *before = a->chunk->before;

		free(a->chunk);
		a->chunk = before;
	}
	*a = *mark;
	if (a->chunk)
		memset(a->at, 0, (size_t)(a->end - a->at));
}

void arena_fini(struct arena *a)
{
	arena_rewind(a, &(const struct arena) { 0 });
}
