/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "volume/live/dm.h"

#include <errno.h>
#include <libdevmapper.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"

DEFINE_CLEANUP(task_cleanup, struct dm_task, dm_task_destroy)

/* libdevmapper prints nothing; this room's errors have the text. */
__attribute__((format(printf, 5, 6))) static void be_silent(int level, const char *file, int line, int code,
							      const char *fmt, ...)
{
	(void)level, (void)file, (void)line, (void)code, (void)fmt;
}

static int failed(struct dm_task *task, const char *what, struct err *err)
{
	const int code = task ? dm_task_get_errno(task) : 0;

	if (code == ENXIO)
		return -ENXIO;
	if (!code)
		return err_set(err, -ENODEV,
			       "device-mapper cannot be asked for %s: run as root, and load the "
			       "kernel module dm-mod",
			       what);
	return err_sys(err, -code, "device-mapper cannot be asked for %s", what);
}

static struct dm_task *new_task(int type, const char *name, dev_t dev)
{
	struct dm_task *task;

	dm_log_with_errno_init(be_silent);
	task = dm_task_create(type);
	if (!task)
		return NULL;
	if (name ? dm_task_set_name(task, name) :
		   !dev || dm_task_set_major_minor(task, (int)major(dev), (int)minor(dev), 1))
		return task;
	dm_task_destroy(task);
	return NULL;
}

static int take_device(struct dm_task *task, struct dm_device *out, struct err *err)
{
	const char *name = dm_task_get_name(task), *uuid = dm_task_get_uuid(task);
	char *type = NULL, *params = NULL;
	uint64_t start, length = 0;
	struct dm_info info;
	void *next = NULL;

	if (!dm_task_get_info(task, &info) || !info.exists)
		return -ENXIO;
	do {
		uint64_t len;
		char *t, *p;

		next = dm_get_next_target(task, next, &start, &len, &t, &p);
		if (!out->nr_targets && t) {
			type = t;
			params = p;
			length = len;
		}
		out->nr_targets += !!t;
	} while (next);
	out->dev = makedev(info.major, info.minor);
	out->open_count = (unsigned)info.open_count;
	out->read_only = info.read_only;
	out->length = length;
	out->name = strdup(name ?: "");
	out->uuid = strdup(uuid ?: "");
	out->type = type ? strdup(type) : NULL;
	out->params = strdup(params ?: "");
	if (out->name && out->uuid && out->params && (out->type || !type))
		return 0;
	dm_device_fini(out);
	return err_nomem(err, "a device of device-mapper");
}

static int ask(int type, const char *name, dev_t dev, struct dm_device *out, struct err *err)
{
	CLEANUP(task_cleanup) struct dm_task *task = new_task(type, name, dev);

	*out = (struct dm_device){ 0 };
	if (!task || !dm_task_no_flush(task) || !dm_task_run(task))
		return failed(task, "the table of a device", err);
	return take_device(task, out, err);
}

int dm_table(const char *name, dev_t dev, struct dm_device *out, struct err *err)
{
	return ask(DM_DEVICE_TABLE, name, dev, out, err);
}

int dm_status(dev_t dev, struct dm_device *out, struct err *err)
{
	return ask(DM_DEVICE_STATUS, NULL, dev, out, err);
}

void dm_device_fini(struct dm_device *d)
{
	free(d->name);
	free(d->uuid);
	free(d->type);
	free(d->params);
	*d = (struct dm_device){ 0 };
}

int dm_message(dev_t dev, const char *message, struct err *err)
{
	CLEANUP(task_cleanup) struct dm_task *task = new_task(DM_DEVICE_TARGET_MSG, NULL, dev);

	if (!task || !dm_task_set_sector(task, 0) || !dm_task_set_message(task, message))
		return failed(NULL, message, err);
	if (dm_task_run(task))
		return 0;
	return err_sys(err, -(dm_task_get_errno(task) ?: EIO), "the kernel refuses '%s'", message);
}

int dm_each(int (*fn)(void *ctx, dev_t dev, struct err *err), void *ctx, struct err *err)
{
	CLEANUP(task_cleanup) struct dm_task *task = new_task(DM_DEVICE_LIST, NULL, 0);
	const struct dm_names *n;
	unsigned next = 0;
	int r = 0;

	if (!task || !dm_task_run(task))
		return failed(task, "list of devices", err);
	n = dm_task_get_names(task);
	if (!n || !n->dev)
		return 0;
	do {
		n = (const void *)((const char *)n + next);
		r = fn(ctx, n->dev, err);
		next = n->next;
	} while (next && !r);
	return r;
}
