/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* thin_message: sends messages to a pool that is not active. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/cli.h"
#include "dev/dev.h"
#include "dev/folded.h"
#include "pool/edit/message.h"
#include "volume/open/activate.h"
#include "volume/open/pool_live.h"
#include "volume/open/pool_lvm.h"

static const struct opt opts[] = {
	{ 'f', "force", ARG_NONE, NULL,
	  "also format a pool that the table names by MAJOR:MINOR, and change a pool that belongs "
	  "to LVM", 'f' },
	{ 'n', "dry-run", ARG_NONE, NULL, "check the messages, and write nothing", 'n' },
	{ 'q', "quiet", ARG_NONE, NULL, "print nothing, only set the exit status", 'q' },
	{ 0 },
};

static const struct command command = {
	.name = "thin_message",
	.usage = "[options] POOL [0] MESSAGE...",
	.summary = "Sends messages to an inactive thin pool, as 'dmsetup message' does to an "
		   "active one.",
	.notes = "POOL is a metadata device or file, a table file, or a disk with LVM. All\n"
		 "messages are one transaction. MESSAGE:\n"
		 "  create_thin ID              make an empty thin device\n"
		 "  create_snap ID ORIGIN_ID    make a snapshot of a thin device\n"
		 "  delete ID                   delete a thin device\n"
		 "  set_transaction_id OLD NEW  change the pool's transaction id\n"
		 "  reserve_metadata_snap       hold a snapshot of the metadata\n"
		 "  release_metadata_snap       release that snapshot\n",
	.opts = opts,
	.min_args = 2,
	.max_args = 10000,
	.missing = "No pool and message given.",
	.takes_pool = true,
};

DEFINE_CLEANUP(pool_cleanup, struct pool_edit, edit_free)
DEFINE_CLEANUP(io_cleanup, struct io, io_free)

static int apply_all(struct pool_edit *p, const struct message *list, size_t nr, struct err *err)
{
	char text[80];

	for (size_t i = 0; i < nr; i++) {
		int r = message_apply(p, &list[i], err);

		if (!r)
			continue;
		message_text(&list[i], text, sizeof(text));
		err_prefix(err, r, "%s", text);
		/* A refusal is a failure of the work, not of a device, whatever its errno. */
		return r == -EIO || r == -ENOMEM ? r : -EINVAL;
	}
	return 0;
}

/* Refuses messages that change what LVM keeps in its own metadata. */
static int judge_owner(const struct pool_arg *arg, const struct message *list, size_t nr, struct err *err)
{
	char text[80];

	for (size_t i = 0; i < nr && arg->table && arg->table->nr_groups; i++) {
		if (list[i].kind == MSG_RESERVE_METADATA_SNAP || list[i].kind == MSG_RELEASE_METADATA_SNAP)
			continue;
		message_text(&list[i], text, sizeof(text));
		return err_set(err, -EINVAL,
			       "%s: pool %s belongs to LVM, which may refuse to activate a pool that was "
			       "changed without it: use lvcreate or lvremove.  --force changes the pool all "
			       "the same; 'thin_lvm --check PV...' then shows what differs",
			       text, arg->table->pool->name);
	}
	return 0;
}

static int run(const struct pool_arg *arg, const struct message *list, size_t nr, bool dry_run,
	       bool force, struct err *err)
{
	CLEANUP(pool_cleanup) struct pool_edit *p = NULL;
	CLEANUP(io_cleanup) struct io *metadata = NULL;
	bool unsure;
	int r = dev_refuse_folded(arg->metadata, err);

	if (!r)
		r = dev_open(arg->metadata, dry_run ? DEV_DRY : DEV_WRITE, &metadata, err);
	if (!r)
		r = activate_pool(arg, metadata, force, &p, err);
	if (!r)
		r = apply_all(p, list, nr, err);
	if (r)
		return r;
	if (dry_run) {
		r = edit_try_commit(p, err);
		return r ? err_prefix(err, r, "the messages cannot be committed") : 0;
	}
	r = edit_commit(p, &unsure, err);
	if (r && unsure)
		return err_prefix(err, r,
				  "writing the superblock failed, so it is not known whether the "
				  "messages took effect: run 'thin_check POOL'");
	return r ? err_prefix(err, r, "nothing was changed") : 0;
}

int main(int argc, char **argv)
{
	CLEANUP(free_ptr) struct message *list = NULL;
	CLEANUP(pool_arg_fini) struct pool_arg arg = { 0 };
	bool dry_run = false, force = false;
	struct err err = { 0 };
	struct cli c;
	struct pool_want want;
	size_t nr;
	int id, r, first;

	cli_init(&c, &command, argc, argv);
	while ((id = cli_next(&c))) {
		if (id == 'n')
			dry_run = true;
		else if (id == 'f')
			force = true;
		else
			c.quiet = true;
	}
	/* dmsetup message wants a sector before the message; for a pool that is always 0 */
	first = c.nr_args > 2 && !strcmp(c.args[1], "0") ? 2 : 1;
	r = message_parse(c.args + first, (size_t)(c.nr_args - first), &list, &nr, &err);
	if (r)
		cli_refuse(&c, r, &err);
	if (!nr)
		cli_usage_error(&c, "No pool and message given.");
	want = (struct pool_want) { CLI_WANT(&c), .table.write = true, .disk = pool_lvm_table, .live = pool_live_refuse };
	r = pool_arg_open(c.args[0], &want, &arg, &err);
	if (!r && arg.kind == POOL_XML)
		r = err_set(&err, -EINVAL, "'%s' is XML: messages need binary metadata", c.args[0]);
	if (!r && !force)
		r = judge_owner(&arg, list, nr, &err);
	if (!r)
		r = run(&arg, list, nr, dry_run, force, &err);
	return r ? cli_fail(&c, r, &err) : cli_finish(&c, EXIT_DONE);
}
