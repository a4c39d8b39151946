/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "volume/open/pool_live.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "dev/dev.h"
#include "volume/open/run_lvm.h"

/*
 * The thin_lvm that keeps this process's snapshot: one, however often POOL is opened, until the
 * process ends.  When a signal ends the process, it is not waited for: it notices that by itself.
 */
static struct keeper {
	struct run_lvm run;
	int keep; /* it releases the snapshot when this is closed */
	int errors; /* a file with what it said */
	void (*tell)(void *ctx, const char *text);
	void *ctx;
} keeper;
static bool has_keeper;

/* The last line that thin_lvm said, without its name. */
static void read_errors(int fd, char *text, size_t len)
{
	ssize_t n = pread(fd, text, len - 1, 0);
	static const char name[] = "thin_lvm: ";
	char *line;

	text[MAX(n, 0)] = 0;
	text[strcspn(text, "\n")] = 0;
	line = !strncmp(text, name, strlen(name)) ? text + strlen(name) : text;
	memmove(text, line, strlen(line) + 1);
}

/* Its exit code. */
static int end(struct keeper *k)
{
	int code = 0;

	if (k->keep >= 0)
		close(steal_fd(&k->keep));
	if (k->run.pid)
		code = run_lvm_wait(&k->run);
	k->run.pid = 0;
	return code;
}

static void end_keeper(void)
{
	char text[800], said[900];

	if (!end(&keeper))
		return;
	read_errors(keeper.errors, text, sizeof(text));
	snprintf(said, sizeof(said), "warning: the metadata snapshot may still be held: %s", text);
	if (keeper.tell)
		keeper.tell(keeper.ctx, said);
}

static int start(struct keeper *k, const char *path, bool take_snap, struct err *err)
{
	const char *argv[] = { "thin_lvm", take_snap ? "--take-metadata-snap" : "--active", "--", path, NULL };
	int fd[2], r;

	k->errors = dev_temp_file(err);
	if (k->errors < 0)
		return k->errors;
	r = fd_pipe(fd);
	if (r)
		return err_sys(err, r, "a pipe for thin_lvm");
	k->keep = fd[1];
	k->run = (struct run_lvm){ .argv = argv, .in = fd[0], .errors = k->errors };
	r = run_lvm_start(&k->run, err);
	close(fd[0]);
	if (!r)
		return 0;
	return err_set(err, r == -ENOENT ? -EINVAL : r,
		       "%s: thin_lvm, which reads active pools, cannot be started; "
		       "'dmsetup table POOL >FILE' makes a table file, which is read with -m "
		       "while a metadata snapshot is held",
		       path);
}

/* "# active thin device NAME: PATH, open N, writable, mapped SECTORS" */
static int take_use(const char *text, struct table_active *a, struct err *err)
{
	const char *line = strstr(text, "\n# active thin device ");
	char name[200], path[300], mode[20];
	unsigned long long mapped;

	if (!line)
		return 0;
	if (sscanf(line, "\n# active thin device %199s %299[^,], open %u, %19[^,], mapped %llu", name, path,
		   &a->open_count, mode, &mapped) != 5)
		return err_set(err, -EINVAL, "thin_lvm does not belong to this command: another version is installed");
	name[strlen(name) - 1] = 0; /* the colon */
	a->writable = !strcmp(mode, "writable");
	a->mapped = mapped;
	a->thin = strdup(name);
	a->path = strdup(path);
	return a->thin && a->path ? 0 : err_nomem(err, "a device's name");
}

static int read_table(struct keeper *k, const char *path, const struct pool_want *want, struct table **out,
		      struct err *err)
{
	CLEANUP(outbuf_fini) struct outbuf text = { 0 };
	struct table_active active = { .is_active = true };
	struct table_want only = want->table;
	char said[800];
	int r = run_lvm_read(&k->run, &text, err);

	if (r)
		return r;
	if (text.len <= 1) {
		r = end(k) == 74 ? -EIO : -EINVAL;
		read_errors(k->errors, said, sizeof(said));
		return err_set(err, r, "%s", *said ? said : "thin_lvm failed");
	}
	r = take_use(text.data, &active, err);
	if (want->active_thin)
		only.device[0] = active.thin;
	if (!r)
		r = table_parse(path, "/", text.data, &only, out, err);
	if (r) {
		free(active.thin);
		free(active.path);
		return r;
	}
	(*out)->in_memory = true;
	(*out)->active = active;
	return 0;
}

static int read_active(const char *path, const struct pool_want *want, struct table **out, struct err *err)
{
	const bool take_snap = want->lvm && want->lvm->take_snap && !has_keeper;
	struct keeper k = { .keep = -1, .errors = -1, .run.out = -1, .tell = want->table.tell, .ctx = want->table.ctx };
	int r = start(&k, path, take_snap, err);

	if (!r)
		r = read_table(&k, path, want, out, err);
	if (!r && take_snap) {
		keeper = k;
		has_keeper = true;
		return atexit(end_keeper) ? err_nomem(err, "work for the end") : 0;
	}
	end(&k);
	if (k.errors >= 0)
		close(k.errors);
	return r;
}

/* "VG/POOL", "/dev/VG/POOL": LVM makes no node of that name while only volumes of the pool are active. */
static bool may_be_lvm_name(const char *path)
{
	return strchr(path, '/') && access(path, F_OK) && !access("/dev/mapper/control", F_OK);
}

bool pool_live_may_be(const char *path)
{
	return dev_is_mapped(path) || may_be_lvm_name(path);
}

int pool_live_table(const char *path, const struct pool_want *want, bool unknown, struct table **out,
		    struct err *err)
{
	const bool must = want->active_thin || (want->lvm && want->lvm->take_snap);
	int r;

	*out = NULL;
	if (!must && !(unknown ? dev_is_mapped(path) : dev_is_lvm_pool(path) || may_be_lvm_name(path)))
		return 0;
	r = read_active(path, want, out, err);
	/* contents of a thin device (a guest's disk) come before the pool that it is in */
	if (r ? !must && r != -ENOMEM && !dev_is_lvm_pool(path) : !must && (*out)->active.thin) {
		table_free(steal_ptr(out));
		return 0;
	}
	if (!r && want->active_thin && !(*out)->active.thin)
		r = err_set(err, -EINVAL, "%s: is an active thin pool: name the DEVICE to read", path);
	if (r)
		table_free(steal_ptr(out));
	return r;
}

int pool_live_refuse(const char *path, const struct pool_want *want, bool unknown, struct table **out,
		     struct err *err)
{
	const struct pool_want only = { .table.any_pool = want->table.any_pool };
	struct table *t;
	int r = pool_live_table(path, &only, unknown, &t, err);

	*out = NULL;
	if (r || !t)
		return r;
	table_free(t);
	return err_set(err, -EBUSY,
		       "'%s' is an active thin pool, which only the kernel may change: deactivate "
		       "it first (vgchange -an VG).  These commands read an active pool with "
		       "--take-metadata-snap: thin_check, thin_ls, thin_dump, thin_materialize",
		       path);
}
