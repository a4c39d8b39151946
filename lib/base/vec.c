/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "base/vec.h"

#include <stdlib.h>

#include "base/units.h"

#define FIRST_CAP 16

void *vec_grown(void *array, size_t *cap, size_t want, size_t size)
{
	/* no array comes near SIZE_MAX / 2 elements, so doubling cannot overflow */
	size_t more = MAX(MAX(want, *cap * 2), (size_t)FIRST_CAP);
	void *p = reallocarray(array, more, size);

	if (p)
		*cap = more;
	return p;
}

void *vec_push(struct vec *v, size_t size)
{
	void *data = v->nr < v->cap ? v->data : vec_grown(v->data, &v->cap, v->nr + 1, size);

	if (!data)
		return NULL;
	v->data = data;
	return (char *)data + size * v->nr++;
}
