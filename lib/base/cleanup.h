/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H
/*
 * Scope cleanup: CLEANUP(free_ptr) void *buf = ...; frees buf when it leaves
 * scope; steal_ptr(&buf) hands it on and leaves NULL behind.
 */
#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(fn) __attribute__((cleanup(fn)))

static inline void free_ptr(void *pp)
{
	free(*(void **)pp);
}

static inline void close_fd(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/* Hands an open descriptor on and leaves -1 behind. */
static inline int steal_fd(int *fd)
{
	int stolen = *fd;

	*fd = -1;
	return stolen;
}

#define steal_ptr(pp)                        \
	({                                   \
		__auto_type steal_v = *(pp); \
		*(pp) = NULL;                \
		steal_v;                     \
	})

/* A cleanup function @name that calls @fn on a pointer variable that may be NULL. */
#define DEFINE_CLEANUP(name, type, fn)        \
	static inline void name(type *const *p) \
	{                                     \
		if (*p)                       \
			fn(*p);               \
	}

#endif
