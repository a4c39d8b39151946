/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "base/pages.h"

#include <stdlib.h>
#include <sys/mman.h>

void *pages_new(size_t len)
{
	void *p;

	if (len < PAGES_LARGE)
		return calloc(1, len);
	p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

void pages_free(void *p, size_t len)
{
	if (len < PAGES_LARGE)
		free(p);
	else if (p)
		munmap(p, len);
}
