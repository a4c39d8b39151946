/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef BASE_ORDER_H
#define BASE_ORDER_H
/* For qsort(): ascending numbers, or structs that begin with one. */

int order_u32(const void *a, const void *b);
int order_u64(const void *a, const void *b);

/* Of two numbers, ascending; by several keys: ORDER(a1, b1) ?: ORDER(a2, b2). */
#define ORDER(a, b)                                           \
	({                                                    \
		__auto_type order_a = (a);                    \
		__auto_type order_b = (b);                    \
                                                              \
		(order_a > order_b) - (order_a < order_b);    \
	})

#endif
