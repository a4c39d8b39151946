/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Extents come from the map in order.  Each is shared with its source at once where that is
 * possible; the rest is cut at the holes of its source and goes into a plan, which is executed
 * whenever it is full.
 */
#include "volume/copy/copy.h"

#include <errno.h>
#include <stdlib.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

#include "volume/copy/impl.h"

/* headers of Linux before 5.16 do not have these */
#ifndef SMB2_SUPER_MAGIC
#define SMB2_SUPER_MAGIC 0xfe534d42
#endif
#ifndef CIFS_SUPER_MAGIC
#define CIFS_SUPER_MAGIC 0xff534d42
#endif
#ifndef CEPH_SUPER_MAGIC
#define CEPH_SUPER_MAGIC 0x00c36400
#endif

static int execute(struct copy_state *c, struct err *err)
{
	bool stream = c->out->kind == OUTPUT_STREAM;
	int r;

	if (!c->plan.nr)
		return 0;
	c->announced = 0;
	/*
	 * A device is read in its own order.  Files are written in theirs, which lays them out
	 * well; copy_read() sorts the reads of bytes that are not cached.
	 */
	r = plan_cut(&c->plan, stream ? copy_stream_max(c) : c->chunk,
		     !stream ? COPY_ZEROS : c->opt->frame ? UINT64_MAX : COPY_CHUNK, /* a frame tells all of the zeros */
		     c->direct && !stream && !c->opt->seen, err);
	if (!r)
		r = stream ? copy_stream(c, err) : copy_pieces(c, err);
	plan_reset(&c->plan);
	return r;
}

static int plan_extent(struct copy_state *c, const struct extent *e, struct err *err)
{
	int r;

	/* in order with the others when opt->seen is set */
	if (e->kind == EXTENT_ZERO && c->out->reads_zero && c->opt->sparse != SPARSE_NEVER && !c->opt->seen)
		return copy_done(c, copy_count(c, skipped), e->len, err);
	r = plan_add(&c->plan, e, err);
	return !r && plan_full(&c->plan) ? execute(c, err) : r;
}

/* Holes of the source are zeros that need not be read. */
static int split_at_holes(struct copy_state *c, struct extent e, struct err *err)
{
	int r = 0;

	while (e.len && !r) {
		const struct extent part = holes_take(&c->source[e.kind].holes, &e, PLAN_MAX_BYTES);

		r = plan_extent(c, &part, err);
	}
	return r;
}

/* Shares the beginning of @e, which lies at @p, and takes it off @e. */
static int share(struct copy_state *c, struct extent *e, const struct io_place *p, struct err *err)
{
	uint64_t len;
	int r;

	if (p->kind != IO_STORED || p->io->fd < 0)
		return 0;
	r = copy_reflink(c, e, p, &len, err);
	if (!r && len)
		r = copy_done(c, copy_count(c, shared), len, err);
	e->at += len;
	e->from += len;
	e->len -= len;
	return r;
}

static int take_extent(void *ctx, const struct extent *extent, struct err *err)
{
	struct copy_state *c = ctx;
	struct copy_source *s = &c->source[extent->kind];
	struct extent e = *extent;
	struct io_place place;
	uint64_t rest = e.len;
	int r = 0;

	if (e.kind == EXTENT_ZERO)
		return plan_extent(c, &e, err);
	while (rest && !r && s->reflink) {
		io_where(s->io, e.from, rest, &place);
		e.len = place.len;
		rest -= place.len;
		r = share(c, &e, &place, err);
		if (!r && e.len)
			r = split_at_holes(c, e, err);
		e.at += e.len;
		e.from += e.len;
	}
	e.len = rest;
	return r || !rest ? r : split_at_holes(c, e, err);
}

/*
 * Copies inside the kernel pay off where a server makes them.  On a local filesystem they are no
 * faster than reading and writing.
 */
static bool on_network(int fd)
{
	struct statfs fs;

	if (fstatfs(fd, &fs))
		return false;
	switch ((uint32_t)fs.f_type) {
	case NFS_SUPER_MAGIC:
	case SMB2_SUPER_MAGIC:
	case CIFS_SUPER_MAGIC:
	case CEPH_SUPER_MAGIC:
		return true;
	default:
		return false;
	}
}

bool copy_may_share(const struct io *source, const struct output *out)
{
	struct statfs fs;

	if (!source || out->kind != OUTPUT_FILE || out->fd < 0 || fstatfs(out->fd, &fs))
		return false;
	return (uint32_t)fs.f_type != EXT4_SUPER_MAGIC && (uint32_t)fs.f_type != TMPFS_MAGIC;
}

static void source_init(struct copy_state *c, enum extent_kind kind, struct io *io)
{
	struct copy_source *s = &c->source[kind];
	const struct copy_options *opt = c->opt;
	bool files = io && (io->fd >= 0 || io->ops->where);
	bool file = c->out->kind == OUTPUT_FILE && files && !opt->seen;

	s->io = io;
	holes_init(&s->holes, io);
	/* to find zeros they must be read; to write zeros, nothing may be shared */
	s->reflink = file && (opt->reflink == REFLINK_ALWAYS ||
			      (opt->reflink == REFLINK_AUTO && opt->sparse == SPARSE_AUTO));
	/* copies inside the kernel may share extents: not used when sharing is unwanted */
	s->kernel = file && !io->direct && opt->reflink != REFLINK_NEVER &&
		    opt->sparse == SPARSE_AUTO && on_network(c->out->fd);
	s->nowait = files && !io->direct;
}

/*
 * A device is worth many requests at once.  A file's pages go into the cache under a lock of
 * the file, so that a second writer only waits for it, with the CPU busy; copy_read()
 * has the disk read ahead meanwhile.  On a network each request waits for the server.
 */
static unsigned nr_copiers(const struct copy_state *c)
{
	if (c->opt->seen && c->out->kind != OUTPUT_STREAM)
		return 1;
	if (c->direct)
		return MAX(jobs_nr(c->jobs), COPY_WIDE);
	return c->out->kind == OUTPUT_FILE && !on_network(c->out->fd) ? 1 : jobs_nr(c->jobs);
}

static int state_init(struct copy_state *c, const struct copy_options *opt, struct output *out,
		      struct jobs *jobs, struct err *err)
{
	bool direct = (opt->data && opt->data->direct) || (opt->origin && opt->origin->direct);
	struct statvfs fs;

	*c = (struct copy_state){ .opt = opt, .out = out, .jobs = jobs, .direct = direct };
	c->chunk = direct ? COPY_CHUNK_DIRECT : COPY_CHUNK;
	c->nr_workers = nr_copiers(c);
	c->buffer = calloc(c->nr_workers, sizeof(*c->buffer));
	c->zeros = mmap(NULL, COPY_CHUNK, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!c->buffer || c->zeros == MAP_FAILED)
		return err_nomem(err, "copy buffers");
	if (out->kind == OUTPUT_STREAM)
		copy_stream_init(c);
	c->fs_block = out->fd >= 0 && !fstatvfs(out->fd, &fs) && fs.f_bsize ? fs.f_bsize : 4096;
	source_init(c, EXTENT_DATA, opt->data);
	source_init(c, EXTENT_ORIGIN, opt->origin);
	return 0;
}

static void state_fini(struct copy_state *c)
{
	unsigned i;

	for (i = 0; c->buffer && i < c->nr_workers; i++)
		free(c->buffer[i]);
	free(c->buffer);
	if (c->zeros != MAP_FAILED)
		munmap(c->zeros, COPY_CHUNK);
	plan_fini(&c->plan);
}

int copy_extents(copy_walk_fn *walk, void *walk_ctx, struct output *out,
		 const struct copy_options *opt, struct jobs *jobs, struct err *err)
{
	struct copy_state c;
	int r;

	if (out->kind != OUTPUT_FILE && opt->reflink == REFLINK_ALWAYS)
		return err_set(err, -ENOTSUP, "%s: --reflink=always: only a file shares extents", out->path);
	r = state_init(&c, opt, out, jobs, err);
	if (!r)
		r = walk(walk_ctx, take_extent, &c, err);
	if (!r)
		r = execute(&c, err);
	state_fini(&c);
	return r;
}

static int walk_map(void *ctx, extent_fn *fn, void *fn_ctx, struct err *err)
{
	const struct map *const *m = ctx;

	return map_walk(*m, fn, fn_ctx, err);
}

int copy_map(const struct map *m, struct output *out, const struct copy_options *opt,
	     struct jobs *jobs, struct err *err)
{
	return copy_extents(walk_map, &m, out, opt, jobs, err);
}
