/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_SALVAGE_HEAP_H
#define POOL_SALVAGE_HEAP_H
/* The next candidate by margin. */
#include <stddef.h>
#include <stdint.h>

struct heap_entry {
	int32_t margin;
	uint32_t cand;
};

/* The largest margin first, of equal ones the first candidate.  All zero: empty. */
struct heap {
	struct heap_entry *e;
	size_t nr, cap;
};

int heap_push(struct heap *h, struct heap_entry e); /* 0 or -ENOMEM */
struct heap_entry heap_pop(struct heap *h); /* not of an empty one */
void heap_fini(struct heap *h);

#endif
