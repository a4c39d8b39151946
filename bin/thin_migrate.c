/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* thin_migrate: copies an active thin device to a device or a file, as thin_materialize does. */
#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/jobs.h"
#include "cli/cli.h"
#include "cli/progress.h"
#include "volume/image/make.h"
#include "volume/open/pool_live.h"

enum { OPT_SOURCE = 256, OPT_DEST_DEV, OPT_DEST_FILE, OPT_BUFFER, OPT_ZERO, OPT_DELTA };

static const struct opt opts[] = {
	{ 0, "source-dev", ARG_REQUIRED, "DEV", "the thin device: active and read-only", OPT_SOURCE },
	{ 0, "dest-dev", ARG_REQUIRED, "DEV", "copy to this block device, which must have the same size", OPT_DEST_DEV },
	{ 0, "dest-file", ARG_REQUIRED, "FILE", "copy to this file, which is created or replaced", OPT_DEST_FILE },
	{ 'm', "metadata-snap", ARG_NONE, NULL,
	  "accepted: the held metadata snapshot is always read", 'm' },
	{ 0, "buffer-size-meg", ARG_REQUIRED, "N", "accepted: memory is bounded anyway", OPT_BUFFER },
	{ 0, "zero-dest", ARG_NONE, NULL, "accepted: unmapped ranges are always zeroed", OPT_ZERO },
	{ 0, "delta-id", ARG_REQUIRED, "ID", NULL, OPT_DELTA },
	{ 'q', "quiet", ARG_NONE, NULL, "print no messages", 'q' },
	{ 'f', "force", ARG_NONE, NULL,
	  "read a writable source; overwrite a device that holds data; given twice, also a device "
	  "in use", 'f' },
	{ 0 },
};

static const struct command command = {
	.name = "thin_migrate",
	.usage = "[options] --source-dev DEV {--dest-dev DEV | --dest-file FILE}",
	.summary = "Copies an active thin device to another block device or into a file.",
	.notes = "Only mapped blocks are read. The mappings come from a metadata snapshot of the "
		 "pool: the one that\nis held, or with --take-metadata-snap one that is held "
		 "during the copy. thin_materialize does the\nsame, and more.",
	.opts = opts,
	.takes_active = true,
	.shows_progress = true,
};

struct migrate {
	struct cli cli;
	struct volume_options volume;
	struct make_options make;
	const char *dest_dev, *dest_file;
	struct progress *bar;
};

static void parse_option(struct migrate *m, int id)
{
	struct cli *c = &m->cli;

	switch (id) {
	case OPT_SOURCE:
		m->volume.pool = c->arg;
		break;
	case OPT_DEST_DEV:
		m->dest_dev = c->arg;
		break;
	case OPT_DEST_FILE:
		m->dest_file = c->arg;
		break;
	case OPT_BUFFER:
		if (!cli_u64(c, "--buffer-size-meg"))
			cli_usage_error(c, "--buffer-size-meg: must not be 0");
		break;
	case OPT_DELTA:
		cli_usage_error(c, "--delta-id: 'thin_materialize --since BASE POOL DEVICE OUTPUT' writes what differs "
				   "from device BASE");
	case 'f':
		m->make.output.force++;
		break;
	case 'q':
		c->quiet = true;
		break;
	}
}

static void parse(struct migrate *m, int argc, char **argv)
{
	struct cli *c = &m->cli;
	int id;

	cli_init(c, &command, argc, argv);
	while ((id = cli_next(c)))
		parse_option(m, id);
	if (!m->volume.pool)
		cli_usage_error(c, "You must specify a source: --source-dev DEV");
	if (!m->dest_dev && !m->dest_file)
		cli_usage_error(c, "You must specify a dest: --dest-dev DEV or --dest-file FILE");
	if (m->dest_dev && m->dest_file)
		cli_usage_error(c, "--dest-dev cannot be used with --dest-file");
	m->volume.snap = m->volume.active = true;
	m->volume.active_force = m->make.output.force;
	m->volume.active_read_only = true;
	m->volume.want = (struct pool_want) { CLI_WANT(c), .live = pool_live_table };
}

/* Checks with the messages that callers know, before anything is opened. */
static int check_devices(const struct migrate *m, struct err *err)
{
	struct stat st;

	if (dev_stat(m->volume.pool, &st) && !pool_live_may_be(m->volume.pool))
		return err_sys(err, -ENOENT, "%s: cannot find the source", m->volume.pool);
	if (!dev_stat(m->volume.pool, &st) && !S_ISBLK(st.st_mode))
		return err_set(err, -EINVAL, "%s: the source is not a block device", m->volume.pool);
	if (!dev_stat(m->volume.pool, &st) && !dev_is_mapped(m->volume.pool))
		return err_set(err, -EINVAL, "%s: not a dm device, so not a thin device", m->volume.pool);
	if (!m->dest_dev)
		return 0;
	if (dev_stat(m->dest_dev, &st))
		return err_sys(err, -ENOENT, "%s: cannot find the destination", m->dest_dev);
	if (!S_ISBLK(st.st_mode))
		return err_set(err, -EINVAL, "%s: the destination is not a block device: --dest-file takes files",
			       m->dest_dev);
	return 0;
}

static int check_size(const struct migrate *m, const struct volume *v, struct err *err)
{
	struct io *dest = NULL;
	int r = m->dest_dev ? dev_open(m->dest_dev, DEV_FORCE, &dest, err) : 0;

	if (!r && dest && dest->size != v->map.size)
		r = err_set(err, -EINVAL, "lengths differ: input(%" PRIu64 ") != output(%" PRIu64 "), in bytes",
			    v->map.size, dest->size);
	if (dest)
		io_free(dest);
	return r;
}

static struct meter *begin_step(void *ctx, const char *title, uint64_t total)
{
	struct migrate *m = ctx;

	progress_free(m->bar);
	m->bar = progress_new(&m->cli, title, total);
	return progress_meter(m->bar);
}

static int copy(struct migrate *m, struct volume *v, struct jobs *jobs, struct err *err)
{
	const char *to = m->dest_dev ?: m->dest_file;
	const struct since_options whole = { 0 };
	struct make_options *o = &m->make;
	struct since s;
	struct make k;
	int r = since_open(&s, v, &m->volume, &whole, jobs, err);

	o->step = begin_step;
	o->ctx = m;
	/* an existing file is replaced when the copy is complete */
	o->output.force += m->dest_file && !o->output.force;
	if (!r) {
		r = make_open(&k, to, m->volume.pool, v->line->name, v, &s, o, jobs, err);
		cli_left(&m->cli, m->dest_dev ? "'%s' holds only a part of the copy" : "'%s' is "
										       "unchanged", to);
		if (!r)
			r = make_run(&k, jobs, err);
		make_close(&k);
	}
	progress_free(m->bar);
	since_close(&s);
	return r;
}

static int migrate(struct migrate *m, struct jobs *jobs, struct err *err)
{
	struct volume v = { 0 };
	int r = check_devices(m, err);

	if (r)
		return r;
	r = volume_open(&v, &m->volume, jobs, err);
	if (r)
		return r;
	r = check_size(m, &v, err);
	if (!r)
		r = copy(m, &v, jobs, err);
	volume_close(&v);
	return r;
}

int main(int argc, char **argv)
{
	struct migrate m = { 0 };
	struct err err = { 0 };
	struct jobs *jobs;
	int r;

	parse(&m, argc, argv);
	jobs = jobs_new(0);
	if (!jobs)
		cli_no_memory(&m.cli, "threads");
	r = migrate(&m, jobs, &err);
	jobs_free(jobs);
	return cli_finish(&m.cli, r ? cli_fail(&m.cli, r, &err) : EXIT_DONE);
}
