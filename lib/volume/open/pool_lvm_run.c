/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * The reader of LVM's metadata is a third of the checker's size, and the checker of an initial ram
 * disk is given metadata devices alone.  So where POOL is a disk, thin_lvm reads it.
 */
#include <errno.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "volume/open/pool_lvm.h"
#include "volume/open/run_lvm.h"

static int start(const char *path, const struct pool_want *want, struct run_lvm *run, struct err *err)
{
	const struct lvm_words *words = want->lvm;
	const char *argv[9 + 2 * LVM_MAX_PVS];
	char seqno[24];
	size_t n = 0;
	int r;

	argv[n++] = "thin_lvm";
	if (!want->table.tell)
		argv[n++] = "-q";
	if (want->table.write)
		argv[n++] = "--write";
	if (words && words->has_seqno) {
		snprintf(seqno, sizeof(seqno), "%llu", (unsigned long long)words->seqno);
		argv[n++] = "--seqno";
		argv[n++] = seqno;
	}
	for (size_t i = 0; words && i < words->nr_pvs; i++) {
		argv[n++] = "--pv";
		argv[n++] = words->pv[i];
	}
	argv[n++] = "--";
	argv[n++] = path;
	argv[n] = NULL;
	run->argv = argv;
	r = run_lvm_start(run, err);
	if (!r)
		return 0;
	return err_set(err, r == -ENOENT ? -EINVAL : r,
		       "%s is a disk with LVM, and thin_lvm, which reads it, cannot be started; "
		       "'thin_lvm %s' prints a table file to give instead",
		       path, path);
}

int pool_lvm_run(const char *path, const struct pool_want *want, struct table **out, struct err *err)
{
	CLEANUP(outbuf_fini) struct outbuf text = { 0 };
	struct run_lvm run = { .in = -1, .errors = -1 };
	int r = start(path, want, &run, err), code;

	if (r)
		return r;
	r = run_lvm_read(&run, &text, err);
	code = run_lvm_wait(&run);
	if (r)
		return r;
	if (code)
		return err_set(err, code == 74 ? -EIO : -EUCLEAN,
			       code == 1 || code == 74 ? "%s: thin_lvm found no volume group on it" :
							 "%s: thin_lvm failed",
			       path);
	r = table_parse(path, "/", text.data, &want->table, out, err);
	if (!r)
		(*out)->in_memory = true;
	return r;
}
