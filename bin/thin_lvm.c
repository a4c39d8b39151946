/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* thin_lvm: what LVM's metadata says about thin pools, read without LVM. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text/outbuf.h"
#include "cli/cli.h"
#include "dev/dev.h"
#include "volume/live/live.h"
#include "volume/open/lvm_look.h"

enum { OPT_VG_BACKUP = 256, OPT_PV, OPT_SEQNO, OPT_LEG, OPT_LIST_TEXTS, OPT_VG, OPT_ACTIVE, OPT_TAKE_SNAP, OPT_WRITE };

static const struct opt opts[] = {
	{ 'l', "list", ARG_NONE, NULL, "print a tree of groups, pools, volumes and origins", 'l' },
	{ 'c', "check", ARG_NONE, NULL,
	  "compare LVM's text with the pools: transactions, devices, sizes, origins, metadata areas", 'c' },
	{ 0, "list-texts", ARG_NONE, NULL, "list LVM's metadata texts, also older ones that are still on the disks",
	  OPT_LIST_TEXTS },
	{ 'f', "format", ARG_REQUIRED, "text|json", "format of --list, --check and --list-texts", 'f' },
	{ 0, "vg-backup", ARG_REQUIRED, "FILE",
	  "use this backup of LVM (from vgcfgbackup, /etc/lvm/backup, /etc/lvm/archive) instead "
	  "of the text on the disks",
	  OPT_VG_BACKUP },
	{ 0, "seqno", ARG_REQUIRED, "N",
	  "use LVM's text with this sequence number, even an older one", OPT_SEQNO },
	{ 0, "vg", ARG_REQUIRED, "NAME", "only this volume group", OPT_VG },
	{ 0, "leg", ARG_REQUIRED, "N",
	  "read leg N (from 0) of raid1 and mirror volumes, in sync or not", OPT_LEG },
	{ 0, "pv", ARG_REQUIRED, "FILE", "one more PV; can be repeated", OPT_PV },
	{ 0, "active", ARG_NONE, NULL,
	  "PV is an active pool or thin device instead: print its table as the kernel has it", OPT_ACTIVE },
	{ 0, "take-metadata-snap", ARG_NONE, NULL,
	  "as --active, and hold the pool's metadata snapshot until standard input ends", OPT_TAKE_SNAP },
	{ 'U', "force-share", ARG_NONE, NULL, "read although another program is writing to a pool", 'U' },
	{ 0, "write", ARG_NONE, NULL, NULL, OPT_WRITE }, /* thin_check, which repairs a pool, says so */
	{ 'q', "quiet", ARG_NONE, NULL, "print no messages", 'q' },
	{ 0 },
};

static const struct command command = {
	.name = "thin_lvm",
	.usage = "[options] PV...",
	.summary = "Finds LVM's thin pools on disks and in images, and prints the table file that every "
		   "thin_* command takes as POOL. PV is a disk, a partition, an image of either, or a folder of images.",
	.notes = "The disks are only read, and LVM and device-mapper are not needed. Give all disks of the volume "
		 "group; parts on a missing disk have error lines in the table.\n"
		 "\n"
		 "  thin_lvm --list disk.img\n"
		 "  thin_lvm disk.img >table && thin_materialize table web1 web1.img",
	.opts = opts,
	.min_args = 0,
	.max_args = 10000,
	.missing = "No PV given: name a disk, a partition or an image of one.",
	.shows_sizes = cli_shows_sizes,
};

struct thin_lvm {
	struct cli cli;
	struct lvm_options opt;
	const char **path;
	size_t nr_paths;
	const char *vg;
	bool list, list_texts, check, json, force_share, active, take_snap;
};

DEFINE_CLEANUP(lvm_cleanup, struct lvm, lvm_free)
DEFINE_CLEANUP(live_cleanup, struct live, live_free)

static void parse_option(struct thin_lvm *t, int id)
{
	struct cli *c = &t->cli;

	switch (id) {
	case 'l':
		t->list = true;
		break;
	case 'c':
		t->check = t->opt.all_texts = true;
		break;
	case 'U':
		t->force_share = true;
		break;
	case OPT_LIST_TEXTS:
		t->list_texts = t->opt.all_texts = true;
		break;
	case 'f':
		t->json = cli_choice(c, "--format");
		break;
	case OPT_VG_BACKUP:
		t->opt.vg_backup = c->arg;
		break;
	case OPT_SEQNO:
		t->opt.has_seqno = true;
		t->opt.seqno = cli_u64(c, "--seqno");
		break;
	case OPT_VG:
		t->vg = c->arg;
		break;
	case OPT_LEG:
		t->opt.leg = (unsigned)MIN(cli_u64(c, "--leg"), LVM_NO_LEG - 1);
		break;
	case OPT_ACTIVE:
		t->active = true;
		break;
	case OPT_TAKE_SNAP:
		t->active = t->take_snap = true;
		break;
	case OPT_WRITE:
		t->opt.write = true;
		break;
	case OPT_PV:
		t->path[t->nr_paths++] = c->arg;
		break;
	default:
		c->quiet = true;
	}
}

static void parse_options(struct thin_lvm *t, int argc, char **argv)
{
	struct cli *c = &t->cli;
	int id;

	cli_init(c, &command, argc, argv);
	t->path = calloc((size_t)argc, sizeof(*t->path));
	if (!t->path)
		cli_no_memory(c, "the list of disks");
	t->opt = (struct lvm_options){ .leg = LVM_NO_LEG, .tell = cli_tell, .ctx = c };
	while ((id = cli_next(c)))
		parse_option(t, id);
	for (int i = 0; i < c->nr_args; i++)
		t->path[t->nr_paths++] = c->args[i];
	if (!t->nr_paths)
		cli_usage_error(c, "%s", command.missing);
	if (t->opt.vg_backup && t->opt.has_seqno)
		cli_usage_error(c, "--vg-backup cannot be used with --seqno: a backup holds one "
				   "text");
	if (t->list + t->list_texts + t->check > 1)
		cli_usage_error(c, "--list, --list-texts and --check cannot be used together");
	if (t->json && !(t->list + t->list_texts + t->check))
		cli_usage_error(c, "--format json needs --list, --list-texts or --check: a table is always text");
	if (t->active && t->nr_paths > 1)
		cli_usage_error(c, "--active takes one pool or thin device");
	if (t->active && (t->list + t->list_texts + t->check || t->opt.vg_backup || t->opt.has_seqno || t->vg ||
			  t->opt.leg != LVM_NO_LEG))
		cli_usage_error(c, "--active reads the kernel's tables: it cannot be used with "
				   "options about LVM's metadata");
	t->opt.path = t->path;
	t->opt.nr_paths = t->nr_paths;
	t->opt.vg = t->vg;
}

/* Says where LVM and the pools disagree.  *damage: a volume or pool cannot be used as it is. */
static int check(const struct thin_lvm *t, struct lvm_look *look, struct outbuf *out, bool *damage,
		 struct err *err)
{
	struct lvm_findings f = { 0 };
	int r = lvm_look_check(look, &f, err);

	if (!r)
		(t->json ? lvm_findings_json : lvm_findings_text)(&f, out);
	for (size_t i = 0; i < f.nr; i++)
		*damage |= f.finding[i].severity == LVM_FAULT;
	lvm_findings_fini(&f);
	return r;
}

static int print(struct thin_lvm *t, const struct lvm *l, struct outbuf *out, bool *damage, struct err *err)
{
	CLEANUP(lvm_look_fini) struct lvm_look look = { 0 };
	int r = t->list || t->check ? lvm_look_init(&look, l, t->opt.leg, t->force_share, err) : 0;

	if (r)
		return r;
	if (t->check)
		r = check(t, &look, out, damage, err);
	else if (t->list_texts)
		(t->json ? lvm_list_texts_json : lvm_list_texts)(l, out);
	else if (t->list)
		(t->json ? lvm_list_json : lvm_list)(l, lvm_look_fill, &look, out);
	else
		lvm_write_table(l, t->opt.leg, out);
	if (!r && out->error)
		r = err_nomem(err, "text");
	return r ? r : cli_write(&t->cli, out->data, out->len);
}

/* Waits until the command that needs the snapshot has closed the other end, or has ended. */
static void wait_for_end(void)
{
	char buf[64];
	ssize_t n;

	close(STDOUT_FILENO);
	do
		n = read(STDIN_FILENO, buf, sizeof(buf));
	while (n > 0 || (n < 0 && errno == EINTR));
}

static int print_active(struct thin_lvm *t, struct outbuf *out, struct err *err)
{
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	CLEANUP(live_cleanup) struct live *l = NULL;
	int r = live_open(t->path[0], &l, err), done;

	/* so that a signal to the whole job does not leave the snapshot held */
	for (size_t i = 0; i < ARRAY_SIZE(ends) && t->take_snap; i++)
		signal(ends[i], SIG_IGN);
	if (!r && t->take_snap)
		r = live_reserve(l, err);
	if (r)
		return r;
	r = live_write_table(l, out, err);
	if (!r)
		r = cli_write(&t->cli, out->data, out->len);
	if (!t->take_snap)
		return r;
	if (!r)
		wait_for_end();
	done = live_release(l, r ? NULL : err);
	return r ? r : done;
}

static int print_groups(struct thin_lvm *t, struct outbuf *out, bool *damage, struct err *err)
{
	CLEANUP(lvm_cleanup) struct lvm *l = NULL;
	int r = lvm_open(&t->opt, &l, err);

	if (!r)
		r = lvm_refuse_disk(l, dev_output_path("-"), err);
	return r ? r : print(t, l, out, damage, err);
}

int main(int argc, char **argv)
{
	struct thin_lvm t = { 0 };
	struct err err = { 0 };
	struct outbuf out;
	bool damage = false;
	int r;

	parse_options(&t, argc, argv);
	outbuf_init(&out);
	out.exact = t.cli.bytes;
	r = t.active ? print_active(&t, &out, &err) : print_groups(&t, &out, &damage, &err);
	outbuf_fini(&out);
	free(t.path);
	return cli_finish(&t.cli, r ? cli_fail(&t.cli, r, &err) : damage ? EXIT_DAMAGE : EXIT_DONE);
}
