/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Mappings of an active device, whose bytes are read through the device itself. */
#include <errno.h>
#include <stdlib.h>

#include "volume/map/source.h"

#define RUNS 64

struct through {
	struct map_source below;
};

struct pass {
	map_runs_fn *fn;
	void *ctx;
};

static int pass_runs(void *ctx, const struct run *run, size_t nr, struct err *err)
{
	const struct pass *p = ctx;
	struct run out[RUNS];
	int r = 0;

	for (size_t i = 0, n; i < nr && !r; i += n) {
		n = MIN(nr - i, (size_t)RUNS);
		for (size_t k = 0; k < n; k++) {
			out[k] = run[i + k];
			out[k].dbegin = out[k].vbegin;
		}
		r = p->fn(p->ctx, out, n, err);
	}
	return r;
}

static int walk(void *ctx, map_runs_fn *fn, void *fn_ctx, struct err *err)
{
	const struct through *t = ctx;
	struct pass p = { fn, fn_ctx };

	return t->below.walk(t->below.ctx, pass_runs, &p, err);
}

static void done(void *ctx)
{
	struct through *t = ctx;

	map_source_free(&t->below);
	free(t);
}

int map_source_through(struct map_source *s, struct err *err)
{
	struct through *t = malloc(sizeof(*t));

	if (!t)
		return err_nomem(err, "mappings");
	t->below = *s;
	*s = (struct map_source){ walk, done, t };
	return 0;
}
