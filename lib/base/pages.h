/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef BASE_PAGES_H
#define BASE_PAGES_H
/*
 * Zeroed memory for large arrays that are used in part.  Only the pages that are touched take time and
 * memory.  calloc() promises less: memory that was freed before it clears, whether it was touched or not.
 */
#include <stddef.h>

/* @len bytes, from a page's begin on where these are PAGES_LARGE or more; NULL: no memory. */
#define PAGES_LARGE ((size_t)128 << 10) /* less is cleared faster than the kernel makes pages */
void *pages_new(size_t len);
/* What pages_new(@len) returned; NULL is allowed. */
void pages_free(void *p, size_t len);

#endif
