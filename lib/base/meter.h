/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef BASE_METER_H
#define BASE_METER_H
/*
 * How far a piece of work is.  The code that does the work counts; the progress display reads.  Any
 * thread.
 */
#include <stdatomic.h>
#include <stdint.h>

struct meter {
	_Atomic uint64_t done;	/* bytes */
	_Atomic uint64_t total; /* 0: not known */
};

/* @m may be NULL: progress is not shown. */
static inline void meter_add(struct meter *m, uint64_t n)
{
	if (m)
		atomic_fetch_add_explicit(&m->done, n, memory_order_relaxed);
}

static inline void meter_set_total(struct meter *m, uint64_t total)
{
	if (m)
		atomic_store_explicit(&m->total, total, memory_order_relaxed);
}

#endif
