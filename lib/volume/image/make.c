/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "volume/image/make.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "volume/image/digest.h"
#include "volume/image/export.h"
#include "volume/image/update.h"

static struct qcow2_create qcow2_options(const struct make *m)
{
	return (struct qcow2_create){ .size = m->now->map.size,
				      .cluster_bits = qcow2_cluster_bits(m->now->map.block_len),
				      .backing = m->backing.name,
				      .backing_format = m->backing.format,
				      .compression = m->opt->compress };
}

static struct update update_options(const struct make *m)
{
	return (struct update){ .diff = &m->since->diff,
				.now = m->since->now_source,
				.base = m->since->base_source,
				.no_check = m->opt->no_check_base,
				.sparse = m->opt->copy.sparse,
				.base_name = m->since->name };
}

static struct meter *step(const struct make *m, const char *title, uint64_t total)
{
	return m->opt->step ? m->opt->step(m->opt->ctx, title, total) : NULL;
}

static int count(void *ctx, uint64_t bytes, struct err *err)
{
	(void)err;
	meter_add(ctx, bytes);
	return 0;
}

static uint64_t differing(const struct make *m)
{
	return m->differs.data_bytes + m->differs.origin_bytes + m->differs.zero_bytes;
}

static int open_backing(struct make *m, const char *path, struct jobs *jobs, struct err *err)
{
	int r;

	if (!m->opt->backing)
		return 0;
	r = backing_parse(m->opt->backing, path, &m->backing, err);
	m->backing.is_origin = !m->since->name;
	if (!r && m->backing.is_origin && !m->now->map.has_origin)
		return err_set(err, -EINVAL,
			       "--backing without --since names the external origin's file, but the device "
			       "has no external origin");
	if (!r) {
		step(m, "checking", differing(m));
		r = backing_check(&m->backing, path, m->since, m->now, m->opt->no_check_base, jobs, err);
	}
	return r;
}

static int open_output(struct make *m, const char *path, const char *const *sources, size_t nr,
		       struct err *err)
{
	const struct update u = update_options(m);
	struct output_options o = m->opt->output;
	const struct qcow2_create q = qcow2_options(m);
	int r = m->opt->format == MAKE_QCOW2 ? qcow2_check_size(&q, err) : 0;

	if (r)
		return r;
	m->updates = m->since->name && m->opt->format == MAKE_RAW;
	if (m->updates)
		return update_open(path, &u, sources, nr, &m->out, err);
	o.sources = sources;
	o.nr_sources = nr;
	/* the size of other formats is known only at the end */
	o.size = m->opt->format == MAKE_RAW ? m->now->map.size : 0;
	r = output_open(path, &o, &m->out, err);
	if (!r && m->opt->format == MAKE_RBD && m->out.kind == OUTPUT_DEVICE)
		r = err_set(err, -EINVAL,
			    "%s: is a block device, but an rbd diff is a stream: name a file or -", path);
	return r;
}

#define NR_SOURCES 8 /* besides the origins of the tables' other devices */

/* All external origins of the table: that of another device is no output either.  Returns how many. */
static size_t add_origins(const struct pool_arg *arg, const char **list)
{
	const char *origin;
	size_t nr = 0;

	for (size_t i = 0; (origin = table_next_origin(arg ? arg->table : NULL, &i));)
		list[nr++] = origin;
	return nr;
}

static size_t nr_lines(const struct pool_arg *arg)
{
	return arg && arg->table ? arg->table->nr_all_thins : 0;
}

/* @pool where @path may not be any part of it.  A disk with LVM has parts that are not the pool's. */
static const char *whole_source(const struct volume *v, const char *pool, const char *path)
{
	return table_file(v->arg->table, pool) || !v->arg->table || dev_is_equal(path, pool) ? pool : NULL;
}

int make_open(struct make *m, const char *path, const char *pool, const char *device,
	      struct volume *now, const struct since *s, const struct make_options *opt,
	      struct jobs *jobs, struct err *err)
{
	const struct pool_arg *base = s->base.arg;
	const size_t most = NR_SOURCES + nr_lines(now->arg) + nr_lines(base);
	CLEANUP(free_ptr) const char **list = calloc(most, sizeof(*list));
	size_t nr = NR_SOURCES;
	int r;

	*m = (struct make){ .opt = opt, .now = now, .since = s, .device = device };
	m->out.fd = -1;
	m->differs = (struct diff_summary){ now->sum.data_bytes, now->sum.origin_bytes, now->sum.zero_bytes };
	if (!list)
		return err_nomem(err, "sources");
	if (opt->digest && s->name && (now->nr_lost || s->base.nr_lost))
		return err_set(err, -EUCLEAN, "--digest: bytes of '%s' are lost, so its digest is not known",
			       now->nr_lost ? device : s->name);
	r = s->name ? diff_sum(&s->diff, &m->differs, err) : 0;
	if (!r)
		r = open_backing(m, path, jobs, err);
	const char *const sources[NR_SOURCES] = {
		now->data_path, now->origin_path, now->arg->metadata, whole_source(now, pool, dev_output_path(path)),
		s->base.data_path, s->base.origin_path, base ? base->metadata : NULL, m->backing.path,
	};
	memcpy(list, sources, sizeof(sources));
	nr += add_origins(now->arg, list + nr);
	nr += add_origins(base, list + nr);
	return r ? r : open_output(m, path, list, nr, err);
}

static int run_raw(struct make *m, const struct copy_options *copy, struct jobs *jobs, struct err *err)
{
	struct update u = update_options(m);

	if (!m->updates)
		return copy_map(&m->now->map, &m->out, copy, jobs, err);
	u.meter = copy->progress_ctx;
	return update_run(&u, &m->out, jobs, err);
}

static int run_qcow2(struct make *m, const struct copy_options *copy, struct jobs *jobs,
		     struct err *err)
{
	const struct export_qcow2 q = { .create = qcow2_options(m),
					.backing_is_origin = m->backing.is_origin,
					.backing_size = m->backing.size };

	return export_qcow2(&m->since->diff, &q, &m->out, copy, jobs, err);
}

static int run_rbd(struct make *m, const struct copy_options *copy, struct jobs *jobs, struct err *err)
{
	const struct make_options *o = m->opt;
	enum output_kind kind = m->out.kind;
	int r;

	m->out.kind = OUTPUT_STREAM; /* also into a file: in order */
	m->out.reads_zero = false;   /* zeros are records of their own */
	r = export_rbd(&m->since->diff, o->from_snap ? o->from_snap : m->since->name,
		       o->to_snap ? o->to_snap : m->device, &m->out, copy, jobs, err);
	m->out.kind = kind;
	return r;
}

static void digest_bytes(void *ctx, const void *bytes, uint64_t len)
{
	static const uint8_t zeros[4096];
	uint64_t n;

	if (bytes)
		sha256_add(ctx, bytes, len);
	for (; !bytes && len; len -= n) {
		n = MIN(len, sizeof(zeros));
		sha256_add(ctx, zeros, n);
	}
}

/*
 * The digest on the way, where all bytes pass and the image does not lose more by that than a second reading
 * costs: extents that could be shared.
 */
static void choose_digest(struct make *m, struct copy_options *copy)
{
	const bool shares = m->opt->format != MAKE_RBD && !m->opt->compress && copy->reflink != REFLINK_NEVER &&
			    (copy->reflink == REFLINK_ALWAYS || copy_may_share(m->now->data, &m->out) ||
			     copy_may_share(m->now->origin, &m->out));

	if (!m->opt->digest || m->since->name || m->opt->backing || shares)
		return;
	sha256_init(&m->sha);
	copy->seen = digest_bytes;
	copy->seen_ctx = &m->sha;
}

static int verify(struct make *m, struct copy_options *copy, struct jobs *jobs, struct err *err)
{
	struct meter *meter = step(m, "verifying", m->now->map.size);

	copy->progress_ctx = meter;
	copy->updated = m->updates;
	if (m->opt->format == MAKE_RAW)
		return copy_verify(&m->now->map, &m->out, copy, jobs, err);
	return backing_verify(&m->out, m->out.path, m->since, jobs, meter, err);
}

/* Reads what was not seen whole on the way. */
static int read_digests(struct make *m, struct jobs *jobs, struct err *err)
{
	const struct since *s = m->since;
	const struct map *now = &m->now->map, *base = &s->base.map;
	int r = 0;

	if (s->name && s->base.data)
		r = image_digest(base, &s->base_source, jobs, step(m, "digesting", base->size), m->base_sha256, err);
	if (!r && !*m->sha256)
		r = image_digest(now, &s->now_source, jobs, step(m, "digesting", now->size), m->sha256, err);
	return r;
}

int make_run(struct make *m, struct jobs *jobs, struct err *err)
{
	struct copy_options copy = m->opt->copy;
	bool whole = m->opt->format == MAKE_RAW && !m->updates;
	int r;

	copy.data = m->now->data;
	copy.origin = m->now->origin;
	copy.progress = count;
	copy.progress_ctx = step(m, "copying", whole ? m->now->map.size : differing(m));
	choose_digest(m, &copy);
	switch (m->opt->format) {
	case MAKE_QCOW2: r = run_qcow2(m, &copy, jobs, err); break;
	case MAKE_RBD: r = run_rbd(m, &copy, jobs, err); break;
	default: r = run_raw(m, &copy, jobs, err);
	}
	if (copy.seen && !r)
		sha256_end_text(&m->sha, m->sha256);
	if (!r)
		r = output_sync(&m->out, err);
	if (!r && m->opt->verify)
		r = verify(m, &copy, jobs, err);
	if (!r && m->opt->digest)
		r = read_digests(m, jobs, err);
	return r ? r : output_commit(&m->out, err);
}

void make_close(struct make *m)
{
	if (m->out.path)
		output_discard(&m->out);
	backing_fini(&m->backing);
}
