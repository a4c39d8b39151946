/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "dev/folded.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/order.h"
#include "base/vec.h"
#include "dev/named.h"

/* A part, in the file or device that holds it, or in another device of the table. */
struct part {
	struct dev_named *named;
	struct stat st; /* zero for a name */
	uint64_t begin, end;
	const char *path;
};

struct parts {
	struct part *v;
	size_t nr, cap;
};

static int add_part(void *ctx, const char *path, uint64_t at, uint64_t len)
{
	struct part p = { .named = dev_named_find(path), .begin = at, .end = at + len, .path = path }, *slot;
	struct parts *all = ctx;

	if (!p.named && dev_stat(path, &p.st))
		return 0;
	slot = vec_add(all->v, all->nr, all->cap);
	if (!slot)
		return -ENOMEM;
	*slot = p;
	return 0;
}

static int by_file(const struct part *a, const struct part *b)
{
	const bool x = S_ISBLK(a->st.st_mode), y = S_ISBLK(b->st.st_mode);

	if (x || y)
		return ORDER(x, y) ?: ORDER(a->st.st_rdev, b->st.st_rdev);
	return ORDER((uintptr_t)a->named, (uintptr_t)b->named) ?: ORDER(a->st.st_dev, b->st.st_dev) ?:
	       ORDER(a->st.st_ino, b->st.st_ino);
}

static int by_place(const void *a, const void *b)
{
	const struct part *x = a, *y = b;

	return by_file(x, y) ?: ORDER(x->begin, y->begin);
}

static int check_parts(const char *name, struct parts *all, struct err *err)
{
	if (all->nr)
		qsort(all->v, all->nr, sizeof(*all->v), by_place);
	for (size_t i = 1; i < all->nr; i++) {
		const struct part *a = &all->v[i - 1], *b = &all->v[i];

		if (!by_file(a, b) && b->begin < a->end)
			return err_set(err, -EINVAL, "%s: two parts of it are the same bytes of '%s', from byte %llu on, so a "
						     "write would change both: correct the table", name, b->path,
				       (unsigned long long)b->begin);
	}
	return 0;
}

int dev_refuse_folded(const char *name, struct err *err)
{
	struct dev_named *named = dev_named_find(name);
	struct parts all = { 0 };
	int r = named ? named->parts(named, 0, UINT64_MAX, add_part, &all) : 0;

	if (r == -ENOMEM)
		r = err_nomem(err, "parts of a device");
	if (!r)
		r = check_parts(name, &all, err);
	for (size_t i = 0; i < all.nr && !r; i++)
		if (all.v[i].named && (!i || all.v[i - 1].named != all.v[i].named))
			r = dev_refuse_folded(all.v[i].path, err);
	free(all.v);
	return r;
}
