/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef BASE_VEC_H
#define BASE_VEC_H
/*
 * Growing arrays.  An array is three variables or fields of the caller's own:
 *
 *	struct run64 *run;	its elements, from malloc(), NULL while there are none
 *	size_t nr, cap;		elements in use, elements that there is room for
 *
 * All three begin as zero; free(run) gives the memory back.  The capacity at least doubles whenever
 * the array grows, so n additions copy O(n) elements.  Growing may move the elements: pointers to
 * them are then void.  When there is no memory the array is unchanged.
 *
 * vec_reserve() and vec_add() are macros over the pointer and the capacity themselves, so that
 * elements keep their type.  They evaluate an argument more than once.
 * Threads: one at a time.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

/*
 * For the macros below. Grows @array, which has room for *@cap elements of @size bytes, to at least
 * @want elements and stores the new capacity in *@cap.  NULL: no memory, nothing changed.
 */
void *vec_grown(void *array, size_t *cap, size_t want, size_t size);

/* Makes room for @want elements in all.  0 or -ENOMEM. */
#define vec_reserve(array, cap, want)                                                        \
	({                                                                                   \
		size_t *vec_cap = &(cap), vec_want = (want);                                 \
		int vec_r = 0;                                                               \
                                                                                             \
		if (vec_want > *vec_cap) {                                                   \
			void *vec_p = vec_grown(array, vec_cap, vec_want, sizeof(*(array))); \
                                                                                             \
			if (vec_p)                                                           \
				(array) = vec_p;                                             \
			else                                                                 \
				vec_r = -ENOMEM;                                             \
		}                                                                            \
		vec_r;                                                                       \
	})

/* Appends one element, its contents undefined, and gives a pointer to it.  NULL: no memory. */
#define vec_add(array, nr, cap) (vec_reserve(array, cap, (nr) + 1) ? NULL : &(array)[(nr)++])

/* The same for an array that is passed on without the type of its elements.  All zero: empty; free(data). */
struct vec {
	void *data;
	size_t nr, cap;
};

/* Appends one element of @size bytes, its contents undefined.  NULL: no memory. */
void *vec_push(struct vec *v, size_t size);

static inline void free_vec(struct vec *v) /* for CLEANUP() of base/cleanup.h, too */
{
	free(v->data);
}

/* Sorts the elements, of @size bytes each. */
static inline void vec_sort(struct vec *v, size_t size, int (*order)(const void *, const void *))
{
	if (v->nr)
		qsort(v->data, v->nr, size, order);
}

/* Appends a value that has the type of the elements.  0 or -ENOMEM. */
#define vec_put(v, ...)                                                 \
	({                                                              \
		__auto_type vec_value = (__VA_ARGS__);                  \
		__auto_type vec_p = &vec_value;                         \
                                                                        \
		vec_p = vec_push(v, sizeof(vec_value));                 \
		if (vec_p)                                              \
			*vec_p = vec_value;                             \
		vec_p ? 0 : -ENOMEM;                                    \
	})

#endif
