/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "base/leftover.h"

#include <stdatomic.h>
#include <stddef.h>
#include <unistd.h>

static _Atomic(const char *) noted[LEFTOVER_MAX];
static atomic_bool named;

static void replace(const char *old, const char *with)
{
	for (size_t i = 0; i < LEFTOVER_MAX; i++) {
		const char *expected = old;

		if (atomic_compare_exchange_strong(&noted[i], &expected, with))
			return;
	}
}

void leftover_note(const char *path)
{
	replace(NULL, path);
}

void leftover_keep(const char *path)
{
	if (path)
		replace(path, NULL);
}

void leftover_remove(void)
{
	for (size_t i = 0; i < LEFTOVER_MAX; i++) {
		const char *path = atomic_load(&noted[i]);

		if (path)
			unlink(path);
	}
}

void leftover_named(void)
{
	atomic_store(&named, true);
}

bool leftover_is_named(void)
{
	return atomic_load(&named);
}
