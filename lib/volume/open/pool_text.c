/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* XML as the metadata of a pool: read twice, to know how much memory it needs, and to fill that. */
#include <errno.h>
#include <unistd.h>

#include "dev/dev.h"
#include "pool/build/build.h"
#include "pool/text/text.h"
#include "volume/open/pool_source.h"

static int read_into(const char *path, const struct events *to, struct err *err)
{
	const struct xml_options opt = { 0 };
	int fd = dev_open_text(path, err), r;

	if (fd < 0)
		return fd;
	/* standard input was read before */
	if (lseek(fd, 0, SEEK_SET) < 0)
		r = err_sys(err, -errno, "%s", dev_shown(path));
	else
		r = xml_read(fd, dev_shown(path), &opt, to, err);
	close(fd);
	return r;
}

static int count_blocks(const char *path, uint64_t *nr, struct err *err)
{
	struct build_counts n;
	struct events e;
	int r = build_count_new(&e, err);

	if (r)
		return r;
	r = read_into(path, &e, err);
	if (!r) {
		build_count_all(&e, &n);
		*nr = MIN(n.nr_blocks_most, MAX_METADATA_BLOCKS);
	}
	build_count_free(&e);
	return r;
}

static int build_in(uint64_t nr_blocks, const char *path, struct io **io, struct err *err)
{
	const struct build_options opt = { .keep_flags = true };
	struct events e;
	int r;

	*io = io_mem_new(dev_shown(path), nr_blocks * MBLOCK_SIZE);
	if (!*io)
		return err_nomem(err, "the pool of the XML");
	r = build_new(*io, &opt, &e, err);
	if (!r) {
		r = read_into(path, &e, err);
		build_free(&e);
	}
	if (r) {
		io_free(*io);
		*io = NULL;
	}
	return r;
}

static int open_xml(struct pool_arg *arg, const struct pool_source_options *opt,
		    struct pool_source *out, struct err *err)
{
	struct io *io = NULL;
	uint64_t nr = 0;
	int r;

	if (opt->metadata.snap)
		return err_set(err, -EINVAL,
			       "%s: is XML, which has no metadata snapshot (it may be a dump of one)",
			       arg->metadata);
	r = count_blocks(arg->metadata, &nr, err);
	if (r)
		return r;
	r = build_in(nr, arg->metadata, &io, err);
	return r ? r : pool_source_open_io(arg, io, opt, out, err);
}

int pool_source_open_text(const char *path, const struct pool_source_options *opt,
			  struct pool_source *out, struct err *err)
{
	struct pool_want want = opt->want;
	struct pool_arg arg;
	int r;

	*out = (struct pool_source){ 0 };
	want.prints = true;
	r = pool_arg_open(path, &want, &arg, err);
	if (r)
		return r;
	if (arg.kind != POOL_XML)
		return pool_source_open_arg(&arg, opt, out, err);
	r = open_xml(&arg, opt, out, err);
	pool_arg_fini(&arg);
	return r;
}
