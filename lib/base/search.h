/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef BASE_SEARCH_H
#define BASE_SEARCH_H
/*
 * Searches in anything that has numbered elements.  The condition is an expression of @i, the name of a
 * variable that exists only in it, with the type of @nr, unsigned.
 *
 *	any_of(i, nr, failed[i])		does it hold for any @i of [0, @nr)?
 *	count_of(i, nr, failed[i])		for how many?
 *
 * Binary search in anything that is sorted:
 *
 *	at = search_first(i, nr, key[i] >= wanted);
 *
 * gives the first @i of [0, @nr) for which the condition holds, and @nr when it holds for none.
 * It must be false up to some index and true from there on.
 *
 * In an ascending array:
 *	the first element >= w			search_first(i, nr, a[i] >= w)
 *	the first element > w			search_first(i, nr, a[i] > w)
 *	how many elements are < w		search_first(i, nr, a[i] >= w)
 *	the last element <= w, plus one		search_first(i, nr, a[i] > w)
 */
#include <stdbool.h>

#define search_first(i, nr, condition)                                         \
	({                                                                     \
		__typeof__((nr) + 0u) i##_lo = 0, i##_hi = (nr);               \
                                                                               \
		while (i##_lo < i##_hi) {                                      \
			__typeof__(i##_lo) i = i##_lo + (i##_hi - i##_lo) / 2; \
                                                                               \
			if (condition)                                         \
				i##_hi = i;                                    \
			else                                                   \
				i##_lo = i + 1;                                \
		}                                                              \
		i##_lo;                                                        \
	})

#define count_of(i, nr, condition)                             \
	({                                                     \
		__typeof__((nr) + 0u) i##_at = 0;              \
		const __typeof__((nr) + 0u) i##_end = (nr);    \
		__typeof__((nr) + 0u) i##_true = 0;            \
                                                               \
		while (i##_at < i##_end) {                     \
			const __typeof__(i##_at) i = i##_at++; \
                                                               \
			i##_true += (condition) ? 1 : 0;       \
		}                                              \
		i##_true;                                      \
	})

#define any_of(i, nr, condition)                               \
	({                                                     \
		__typeof__((nr) + 0u) i##_at = 0;              \
		const __typeof__((nr) + 0u) i##_end = (nr);    \
		bool i##_any = false;                          \
                                                               \
		while (i##_at < i##_end && !i##_any) {         \
			const __typeof__(i##_at) i = i##_at++; \
                                                               \
			i##_any = (condition);                 \
		}                                              \
		i##_any;                                       \
	})

#endif
