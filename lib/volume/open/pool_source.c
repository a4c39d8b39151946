/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "volume/open/pool_source.h"

#include <errno.h>

static int open_all(const struct pool_source_options *opt,
		    struct pool_source *s, struct err *err)
{
	int r = pool_arg_readable(&s->arg, !!s->io, err);

	if (!r && !s->io)
		r = pool_arg_open_metadata(&s->arg, opt->metadata.snap || opt->force_share ? DEV_FORCE : 0, &s->io, err);
	if (r)
		return r;
	s->io->meter = opt->meter;
	s->own_jobs = !opt->jobs;
	s->jobs = opt->jobs ? opt->jobs : jobs_new(opt->nr_jobs);
	if (!s->jobs)
		return err_nomem(err, "workers");
	stream_init(&s->stream, s->io, s->jobs);
	r = metadata_open(s->io, &opt->metadata, &s->md, err);
	if (r)
		return err_prefix(err, r, "%s", s->io->name);
	return opt->metadata.any_block_size ? 0 : pool_arg_fits(&s->arg, s->md.view.data_block_size, err);
}

int pool_source_open_io(struct pool_arg *arg, struct io *io, const struct pool_source_options *opt,
			struct pool_source *out, struct err *err)
{
	int r;

	*out = (struct pool_source){ .arg = *arg, .io = io };
	*arg = (struct pool_arg){ 0 };
	r = open_all(opt, out, err);
	if (r)
		pool_source_close(out);
	return r;
}

int pool_source_open_arg(struct pool_arg *arg, const struct pool_source_options *opt,
			 struct pool_source *out, struct err *err)
{
	return pool_source_open_io(arg, NULL, opt, out, err);
}

int pool_source_open(const char *path, const struct pool_source_options *opt,
		     struct pool_source *out, struct err *err)
{
	struct pool_want want = opt->want;
	struct pool_arg arg;
	int r;

	*out = (struct pool_source){ 0 };
	want.prints = true;
	r = pool_arg_open(path, &want, &arg, err);
	return r ? r : pool_source_open_arg(&arg, opt, out, err);
}

/* Reads both lists of @md: whether they have what they should. */
static bool has_lists(struct pool_source *s, const struct metadata *md, bool whole)
{
	struct metadata_devices list;
	bool has;

	has = !metadata_devices_read(md, &s->stream, &list, NULL) && !(whole ? list.nr_problems : list.nr_tree_problems);
	metadata_devices_fini(&list);
	return has;
}

void pool_source_tell_snap(struct pool_source *s, int code, void (*tell)(void *ctx, const char *text), void *ctx)
{
	const struct metadata_options held = { .snap = true };
	struct metadata md;

	if ((code != -EUCLEAN && code != -EIO) || !s->io || s->md.snap || !s->md.live.held_root)
		return;
	if (!has_lists(s, &s->md, false) && !metadata_open(s->io, &held, &md, NULL) && has_lists(s, &md, true))
		tell(ctx, "note: the pool holds a metadata snapshot, an older state whose lists of devices are sound: -m "
			  "reads it");
}

void pool_source_close(struct pool_source *src)
{
	if (src->own_jobs && src->jobs)
		jobs_free(src->jobs);
	if (src->io)
		io_free(src->io);
	pool_arg_fini(&src->arg);
	*src = (struct pool_source){ 0 };
}
