/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * nbdkit-thin-plugin: thin devices of an inactive pool over NBD.
 *
 * The pool is opened once, before the first connection.  A device is opened when a client first
 * asks for it by name, and stays open; connections to the same name share it.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "config.h"

#include "base/cleanup.h"
#include "base/jobs.h"
#include "nbdkit/exports.h"
#include "nbdkit/params.h"
#include "volume/open/pool_live.h"
#include "volume/open/pool_lvm.h"
#include "volume/open/thin_io.h"

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL
#define COMMIT_MS 1000

struct served thin = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* NBD has few error codes: damage becomes EIO, a full pool ENOSPC. */
static int nbd_code(int code)
{
	switch (-code) {
	case EUCLEAN:
	case EBADMSG:
	case ENODATA:
		return EIO;
	case EXFULL:
		return ENOSPC;
	default:
		return -code;
	}
}

static int fail(int code, const struct err *err)
{
	nbdkit_error("%s", err->text);
	nbdkit_set_error(nbd_code(code));
	return -1;
}

/* The flags with which data and metadata are opened. */
static unsigned open_flags(void)
{
	if (!thin.read_only)
		return DEV_WRITE;
	return thin.force_share ? DEV_FORCE : DEV_SHARED;
}

static void tick(void *ctx)
{
	struct err err = { 0 };

	(void)ctx;
	if (thin.used && target_tick(thin.target, &err))
		nbdkit_error("%s", err.text);
}

static int thin_after_fork(void)
{
	if (thin.read_only)
		return 0;
	thin.ticker = ticker_new(COMMIT_MS, tick, NULL);
	if (!thin.ticker)
		nbdkit_error("cannot start the thread that commits");
	return thin.ticker ? 0 : -1;
}

/* After the last connection, before the end. */
static void thin_cleanup(void)
{
	struct err err = { 0 };

	ticker_free(thin.ticker);
	thin.ticker = NULL;
	/* nbdkit -r: activation changes metadata in memory, which must not be written */
	if (!thin.used)
		target_drop(thin.target);
	else if (thin.target && target_close(thin.target, &err))
		nbdkit_error("%s", err.text);
	thin.target = NULL;
}

static void thin_unload(void)
{
	thin_cleanup();
	exports_free();
	pool_arg_fini(&thin.arg);
	free(thin.missing);
	free(thin.pool);
	free(thin.pool_name);
	while (thin.nr_pvs)
		free(thin.pv[--thin.nr_pvs]);
	free(thin.data_dev);
	free(thin.origin);
	free(thin.device);
}

static const char *advice(int code)
{
	switch (code) {
	case -ENOTSUP: /* it can be read, but not changed */
		return "; readonly=true serves it as it is";
	case -ETXTBSY:
		return "; force-share=true reads it anyway";
	}
	return "";
}

static int thin_get_ready(void)
{
	struct export *e;
	struct err err = { 0 };
	const struct pool_want want = { .table.pool = thin.pool_name,
					.table.open_thin = thin_io_open,
					.table.device = { thin.device, NULL },
					.disk = pool_lvm_table,
					.live = pool_live_refuse,
					.lvm = &thin.lvm,
					.table.write = !thin.read_only,
					.table.tell = exports_tell };
	int r = pool_arg_open(thin.pool, &want, &thin.arg, &err);

	if (!r)
		r = exports_find_path(&thin.data_dev, &err);
	if (!r)
		r = exports_find_path(&thin.origin, &err);
	if (!r)
		r = exports_check_roles(thin.origin, &err);
	if (!r && thin.arg.kind == POOL_XML)
		r = err_set(&err, -EINVAL, "'%s' is XML: binary metadata is needed", thin.pool);
	if (!r)
		r = target_open(&thin.arg, thin.data_dev, open_flags(), thin.force, &thin.target, &err);
	/* the default export must exist */
	if (!r && exports_default_name())
		r = exports_find(exports_default_name(), &e, &err);
	if (!r && exports_find_missing())
		r = err_nomem(&err, "exports");
	if (r)
		nbdkit_error("%s%s", err.text, advice(r));
	return r ? -1 : 0;
}

struct handle {
	struct target_dev *dev;
	bool read_only;
};

static void *thin_open(int read_only)
{
	const char *name = nbdkit_export_name();
	struct handle *h = calloc(1, sizeof(*h));
	struct export *e = NULL;
	struct err err = { 0 };
	int r;

	if (!h || !name) {
		nbdkit_error("out of memory");
		free(h);
		return NULL;
	}
	pthread_mutex_lock(&thin.lock);
	r = exports_find(name, &e, &err);
	pthread_mutex_unlock(&thin.lock);
	if (r) {
		fail(r, &err);
		free(h);
		return NULL;
	}
	h->dev = e->dev;
	h->read_only = read_only || thin.read_only || e->read_only;
	if (!h->read_only)
		thin.used = true;
	return h;
}

static void thin_close(void *handle)
{
	free(handle);
}

static int list_table(struct nbdkit_exports *exports)
{
	const struct table *t = thin.arg.table;
	char number[12];

	for (size_t i = 0; i < t->nr_thins; i++) {
		if (thin.missing[i])
			continue;
		snprintf(number, sizeof(number), "%u", t->thin[i].dev_id);
		if (nbdkit_add_export(exports, t->thin[i].name ? t->thin[i].name : number, NULL))
			return -1;
	}
	return 0;
}

static int thin_list_exports(int read_only, int is_tls, struct nbdkit_exports *exports)
{
	const char *name = exports_default_name();

	(void)read_only;
	(void)is_tls;
	if (!thin.device && thin.arg.table)
		return list_table(exports);
	return name ? nbdkit_add_export(exports, name, NULL) : 0;
}

static const char *thin_default_export(int read_only, int is_tls)
{
	const char *name = exports_default_name();

	(void)read_only;
	(void)is_tls;
	return name ? name : "";
}

static int64_t thin_get_size(void *handle)
{
	struct handle *h = handle;

	return (int64_t)target_size(h->dev);
}

static int can_change(void *handle)
{
	const struct handle *h = handle;

	return !h->read_only;
}

static int thin_can_trim(void *handle)
{
	return can_change(handle) && !(thin.arg.table && thin.arg.table->pool->ignore_discard);
}

static int yes(void *handle)
{
	(void)handle;
	return 1;
}

static int no(void *handle)
{
	(void)handle;
	return 0;
}

/* A flush through one connection covers what the others have written. */
static int thin_can_fua(void *handle)
{
	(void)handle;
	return NBDKIT_FUA_EMULATE;
}

static int thin_block_size(void *handle, uint32_t *minimum, uint32_t *preferred, uint32_t *maximum)
{
	(void)handle;
	*minimum = 1;
	*preferred = 4096;
	*maximum = 0xffffffff;
	return 0;
}

static int thin_pread(void *handle, void *buf, uint32_t count, uint64_t offset, uint32_t flags)
{
	struct handle *h = handle;
	struct err err = { 0 };
	int r = target_read(h->dev, buf, count, offset, &err);

	(void)flags;
	return r ? fail(r, &err) : 0;
}

static int thin_pwrite(void *handle, const void *buf, uint32_t count, uint64_t offset,
		       uint32_t flags)
{
	struct handle *h = handle;
	struct err err = { 0 };
	int r = target_write(h->dev, buf, count, offset, &err);

	(void)flags;
	return r ? fail(r, &err) : 0;
}

static int thin_flush(void *handle, uint32_t flags)
{
	struct err err = { 0 };
	int r = target_flush(thin.target, &err);

	(void)handle;
	(void)flags;
	return r ? fail(r, &err) : 0;
}

static int thin_trim(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
	struct handle *h = handle;
	struct err err = { 0 };
	int r = target_discard(h->dev, count, offset, &err);

	(void)flags;
	return r ? fail(r, &err) : 0;
}

static int thin_zero(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
	struct handle *h = handle;
	struct err err = { 0 };
	int r = target_zero(h->dev, count, offset, flags & NBDKIT_FLAG_MAY_TRIM, &err);

	return r ? fail(r, &err) : 0;
}

struct extents_ctx {
	struct nbdkit_extents *extents;
	bool one, zeros_stay;
};

static int add_extent(void *ctx, uint64_t at, uint64_t len, enum extent_kind kind)
{
	struct extents_ctx *c = ctx;
	uint32_t type = 0;

	/* A client may skip writing zeros where zeros are reported: qemu does when it mirrors. */
	if (kind == EXTENT_ZERO || (kind == EXTENT_STALE && c->zeros_stay))
		type = NBDKIT_EXTENT_HOLE | NBDKIT_EXTENT_ZERO;
	else if (kind == EXTENT_STALE)
		type = NBDKIT_EXTENT_HOLE;

	if (nbdkit_add_extent(c->extents, at, len, type))
		return -ENOMEM;
	return c->one;
}

static int thin_extents(void *handle, uint32_t count, uint64_t offset, uint32_t flags,
			struct nbdkit_extents *extents)
{
	struct handle *h = handle;
	struct extents_ctx c = { extents, flags & NBDKIT_FLAG_REQ_ONE, h->read_only };
	struct err err = { 0 };
	int r = target_extents(h->dev, count, offset, add_extent, &c, &err);

	return r < 0 ? fail(r, &err) : 0;
}

static struct nbdkit_plugin plugin = {
	.name = "thin",
	.longname = "thin pool",
	.version = PACKAGE_VERSION,
	.description = "thin devices of an inactive dm-thin pool, with external origins",
	.config = params_set,
	.config_complete = params_complete,
	.config_help = PARAMS_HELP,
	.magic_config_key = "pool",
	.get_ready = thin_get_ready,
	.after_fork = thin_after_fork,
	.cleanup = thin_cleanup,
	.unload = thin_unload,
	.list_exports = thin_list_exports,
	.default_export = thin_default_export,
	.open = thin_open,
	.close = thin_close,
	.get_size = thin_get_size,
	.can_write = can_change,
	.can_flush = can_change,
	.can_trim = thin_can_trim,
	.can_zero = can_change,
	.can_fua = thin_can_fua,
	.can_multi_conn = yes,
	.can_extents = yes,
	.is_rotational = no,
	.block_size = thin_block_size,
	.pread = thin_pread,
	.pwrite = thin_pwrite,
	.flush = thin_flush,
	.trim = thin_trim,
	.zero = thin_zero,
	.extents = thin_extents,
	.errno_is_preserved = 0,
};

NBDKIT_REGISTER_PLUGIN(plugin)
