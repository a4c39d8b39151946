/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef BASE_SEARCH_H
#define BASE_SEARCH_H
/*
 * Binary search in anything that is sorted.
 *
 *	at = search_first(i, nr, key[i] >= wanted);
 *
 * gives the first @i of [0, @nr) for which the condition holds, and @nr when it holds for none.
 * The condition is an expression of @i, the name of a variable that exists only in it.  It must
 * be false up to some index and true from there on.  @i has the type of @nr, unsigned.
 *
 * In an ascending array:
 *	the first element >= w			search_first(i, nr, a[i] >= w)
 *	the first element > w			search_first(i, nr, a[i] > w)
 *	how many elements are < w		search_first(i, nr, a[i] >= w)
 *	the last element <= w, plus one		search_first(i, nr, a[i] > w)
 */
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

#endif
