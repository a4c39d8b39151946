/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Active pools, with a libdevmapper of the test's own in front of devices that it makes up. */
#include <errno.h>
#include <libdevmapper.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/text/outbuf.h"
#include "base/units.h"
#include "folder.h"
#include "unit/failing.h"
#include "volume/live/live.h"

#define MAJOR 253

static struct err err;

/* --- the kernel --- */

struct device {
	const char *name, *uuid;
	const char *type, *params, *status; /* type NULL: it has no table */
	uint64_t length;
	unsigned nr_targets;
	int open, read_only;
};

/* The minor number is the index. */
static const struct device usual[] = {
	{ "vg-pool_tmeta", "LVM-a", "linear", "8:16 2048", "", 8192, 1, 1, 0 },
	{ "vg-pool_tdata", "LVM-b", "linear", "8:16 10240", "", 131072, 1, 1, 0 },
	{ "vg-pool-tpool", "LVM-c-tpool", "thin-pool", "253:0 253:1 128 0 1 skip_block_zeroing", "",
	  131072, 1, 2, 0 },
	{ "vg-pool", "LVM-c", "linear", "253:2 0", "", 131072, 1, 0, 0 },
	{ "vg-web--1", "LVM-d", "thin", "253:2 7", "4096 8191", 32768, 1, 3, 0 },
	{ "plain", "", "thin", "253:2 8 8:32", "0 -", 16384, 1, 0, 1 },
	{ "half", "", "linear", "253:2 0", "", 1024, 1, 0, 0 },
	{ "later", "", "linear", "253:2 8", "", 131064, 1, 0, 0 },
	{ "two", "", "linear", "253:2 0", "", 1024, 2, 0, 0 },
	{ "empty", "", NULL, NULL, NULL, 0, 0, 0, 0 },
	{ "loop", "", "linear", "253:10 0", "", 8, 1, 0, 0 },
	{ "failed", "", "thin", "253:2 9", "Fail", 16384, 1, 0, 0 },
};

static struct device device[ARRAY_SIZE(usual)];
static int fails_at, fails_with, gone_at,
	nr_runs; /* the n-th question fails; the n-th device is gone by then */
static int message_fails;
static char messages[400];

struct dm_task {
	int type, error; /* @type: DM_DEVICE_..., plus 1; 0: not in use */
	int dev;
	char name[200], message[100];
	struct {
		uint64_t dev;
		uint32_t next;
		char name[28];
	} names[ARRAY_SIZE(usual)];
};

static void kernel(void)
{
	memcpy(device, usual, sizeof(device));
	fails_at = fails_with = gone_at = nr_runs = message_fails = 0;
	messages[0] = 0;
}

void dm_log_with_errno_init(dm_log_with_errno_fn fn)
{
	fn(0, "", 0, 0, "%s", "nothing of this is seen");
}

/* A list of devices and a question about one of them.  Not from malloc(): only our own requests are to fail. */
static struct dm_task task[2];

struct dm_task *dm_task_create(int type)
{
	struct dm_task *t = &task[task[0].type != 0];

	check(!t->type);
	*t = (struct dm_task) { .type = type + 1, .dev = -1 };
	return t;
}

void dm_task_destroy(struct dm_task *t)
{
	t->type = 0;
}

int dm_task_set_name(struct dm_task *t, const char *name)
{
	snprintf(t->name, sizeof(t->name), "%s", name);
	return 1;
}

int dm_task_set_major_minor(struct dm_task *t, int major_nr, int minor_nr, int fallback)
{
	t->dev = fallback && major_nr == MAJOR ? minor_nr : (int)ARRAY_SIZE(device);
	return 1;
}

int dm_task_set_sector(struct dm_task *t, uint64_t sector)
{
	return t && !sector;
}

int dm_task_set_message(struct dm_task *t, const char *message)
{
	snprintf(t->message, sizeof(t->message), "%s", message);
	return 1;
}

int dm_task_no_flush(struct dm_task *t)
{
	return !!t;
}

static int answer(struct dm_task *t, int error)
{
	t->error = error;
	return !error;
}

int dm_task_run(struct dm_task *t)
{
	const bool table = t->type == DM_DEVICE_TABLE + 1 || t->type == DM_DEVICE_STATUS + 1;

	if (++nr_runs == fails_at)
		return t->error = fails_with, 0;
	if (t->type == DM_DEVICE_TARGET_MSG + 1) {
		strcat(strcat(messages, t->message), ";");
		return answer(t, message_fails);
	}
	if (!table)
		return 1;
	for (size_t i = 0; *t->name && i < ARRAY_SIZE(device); i++)
		if (device[i].name && !strcmp(t->name, device[i].name))
			t->dev = (int)i;
	if (t->dev < 0 || t->dev >= (int)ARRAY_SIZE(device) || !device[t->dev].name)
		return answer(t, ENXIO);
	return 1;
}

int dm_task_get_errno(struct dm_task *t)
{
	return t->error;
}

int dm_task_get_info(struct dm_task *t, struct dm_info *info)
{
	const struct device *d = &device[t->dev];

	memset(info, 0, sizeof(*info));
	info->exists = nr_runs != gone_at;
	info->major = MAJOR;
	info->minor = (uint32_t)t->dev;
	info->open_count = d->open;
	info->read_only = d->read_only;
	return 1;
}

const char *dm_task_get_name(const struct dm_task *t)
{
	return device[t->dev].name;
}

const char *dm_task_get_uuid(const struct dm_task *t)
{
	return device[t->dev].uuid;
}

void *dm_get_next_target(struct dm_task *t, void *next, uint64_t *start, uint64_t *length,
			 char **type, char **params)
{
	const struct device *d = &device[t->dev];
	const size_t n = (size_t)next;

	*start = 0;
	*length = d->length;
	*type = d->nr_targets ? (char *)(uintptr_t)d->type : NULL;
	*params = (char *)(uintptr_t)(t->type == DM_DEVICE_STATUS + 1 ? d->status : d->params);
	return n + 1 < d->nr_targets ? (void *)(n + 1) : NULL;
}

struct dm_names *dm_task_get_names(struct dm_task *t)
{
	size_t last = ARRAY_SIZE(device);

	for (size_t i = 0; i < ARRAY_SIZE(device); i++) {
		if (!device[i].name)
			continue;
		t->names[i].dev = makedev(MAJOR, i);
		if (last < ARRAY_SIZE(device))
			t->names[last].next = (uint32_t)((i - last) * sizeof(t->names[0]));
		last = i;
	}
	return (struct dm_names *)&t->names[0];
}

/* --- the sentences --- */

static struct live *opened(const char *word)
{
	struct live *l = NULL;

	check_eq(live_open(word, &l, &err), 0);
	return l;
}

static void refused(const char *word, int r, const char *words)
{
	struct live *l;

	check_eq(live_open(word, &l, &err), r);
	if (!strstr(err.text, words))
		printf("# %s\n", err.text);
	check(strstr(err.text, words));
}

static char *table_of(struct live *l)
{
	struct outbuf out = { 0 };

	check_eq(live_write_table(l, &out, &err), 0);
	outbuf_add(&out, "", 1);
	return out.data;
}

/* Device nodes are those of this machine: only what is said of them is compared. */
static void same_table(char *text, const char *head)
{
	check(!strncmp(text, head, strlen(head)));
	check(strstr(text, "\npool: 0 131072 thin-pool "));
	check(strstr(text, " 128 0 1 skip_block_zeroing\nweb-1: 0 32768 thin pool 7\nplain: 0 "
			   "16384 thin pool 8 "));
	check(strstr(text, "\nfailed: 0 16384 thin pool 9\n"));
	free(text);
}

static void lvm_names(void)
{
	static const char *const word[] = { "vg/pool", "/dev/vg/pool", "vg/pool-tpool" };

	for (size_t i = 0; i < 2; i++) {
		struct live *l;

		kernel();
		l = opened(word[i]);
		same_table(table_of(l), "# active thin pool vg-pool-tpool, as the kernel has it\n# "
					"volume group vg, seqno 0\npool: ");
		live_free(l);
	}
	kernel();
	device[2].name = NULL;
	refused("vg/pool", -ENODATA, "is neither an active thin pool");
	refused("vg/none", -ENOENT, "no such device or active volume");
	refused("/nowhere/at/all", -ENOENT, "no such device or active volume");
	refused("none", -ENOENT, "no such device or active volume");
	live_free(NULL);
}

static void thin_device(void)
{
	struct outbuf out = { 0 };
	struct live *l;

	kernel();
	l = opened("vg/web-1");
	same_table(table_of(l), "# active thin pool vg-pool-tpool, as the kernel has it\n# volume "
				"group vg, seqno 0\n"
				"# active thin device web-1: /dev/mapper/vg-web--1, open 3, "
				"writable, mapped 4096\npool: ");
	device[4].status = "Fail";
	check_eq(live_write_table(l, &out, &err), -EIO);
	device[4].name = NULL;
	check_eq(live_write_table(l, &out, &err), -ENOENT);
	check(strstr(err.text, "is no longer active"));
	live_free(l);
	outbuf_fini(&out);
}

static void nodes(void)
{
	static const struct {
		unsigned minor;
		const char *finds;
	} row[] = { { 0, "pool" },  { 2, "pool" }, { 3, "pool" }, { 4, "web-1" },
		    { 5, "plain" }, { 1, NULL },   { 6, NULL },	  { 7, NULL },
		    { 8, NULL },    { 9, NULL },   { 10, NULL },  { 99, NULL } };
	const char *node = file_name("node");

	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		struct live *l = NULL;
		int r;

		kernel();
		if (mknod(node, S_IFBLK | 0600, makedev(MAJOR, row[i].minor)))
			skip("needs root");
		r = live_open(node, &l, &err);
		unlink(node);
		if (r != (row[i].finds ? 0 : -ENODATA))
			printf("# minor %u: %d %s\n", row[i].minor, r, err.text);
		check_eq(r, row[i].finds ? 0 : -ENODATA);
		if (!r) {
			char *text = table_of(l);

			check((strstr(text, "# active thin device") != NULL) ==
			      !!strcmp(row[i].finds, "pool"));
			check(strstr(text, row[i].finds));
			free(text);
			live_free(l);
		}
	}
	refused("/tmp", -ENODATA, "is not a block device");
}

static void snapshots(void)
{
	struct live *l;

	kernel();
	l = opened("vg/pool");
	check_eq(live_reserve(l, &err), 0);
	check_eq(live_release(l, &err), 0);
	check_str(messages, "reserve_metadata_snap;release_metadata_snap;");
	message_fails = EBUSY;
	check_eq(live_reserve(l, &err), -EBUSY);
	check(strstr(err.text, "vg-pool-tpool: a metadata snapshot is held already"));
	message_fails = EINVAL;
	check_eq(live_reserve(l, &err), -EINVAL);
	check(strstr(err.text, "the kernel refuses 'reserve_metadata_snap'"));
	check_eq(live_release(l, &err), -EINVAL);
	check(strstr(err.text, "the metadata snapshot is still held"));
	live_free(l);
}

static void odd_tables(void)
{
	struct outbuf out = { 0 };
	struct live *l;

	kernel();
	device[2].params = "253:0";
	l = opened("vg/pool");
	check_eq(live_write_table(l, &out, &err), -EINVAL);
	live_free(l);
	device[2].params = "/dev/sda 253:1 128 0";
	l = opened("vg/pool");
	check_eq(live_write_table(l, &out, &err), -EINVAL);
	check(strstr(err.text, "names a device '/dev/sda'"));
	live_free(l);
	outbuf_fini(&out);
}

/* Only what is a thin device of the pool is listed, and a pool that is not LVM's has no group. */
static void other_devices(void)
{
	static const char *const params[] = { "253:1 9", "/dev/sda 9", "253:2 x" };
	char *text, longest[400] = "vg/";
	struct outbuf out = { 0 };
	struct live *l;

	for (size_t i = 0; i < ARRAY_SIZE(params); i++) {
		kernel();
		device[11].params = params[i];
		l = opened("vg/pool");
		text = table_of(l);
		check(!strstr(text, "failed") && strstr(text, "\nplain: "));
		free(text);
		live_free(l);
	}
	kernel();
	device[2].uuid = "CRYPT-x";
	l = opened("vg/pool");
	text = table_of(l);
	check(!strstr(text, "# volume group") && strstr(text, "\nvg-pool-tpool: 0 131072 thin-pool "));
	free(text);
	live_free(l);
	/* it was replaced by another device since it was found */
	l = opened("vg/web-1");
	device[4].type = "linear";
	check_eq(live_write_table(l, &out, &err), -EIO);
	live_free(l);
	outbuf_fini(&out);
	memset(longest + 3, 'x', 300);
	refused(longest, -ENOENT, "no such device or active volume");
}

/* The pool of a metadata device is searched among all; none has a table that can be read. */
static void odd_tables_above(void)
{
	static const char *const linear[] = { "253:2", "/dev/sda 0" };
	const char *node = file_name("node");
	struct live *l;

	for (size_t i = 0; i <= ARRAY_SIZE(linear); i++) {
		const unsigned minor_nr = i < ARRAY_SIZE(linear) ? 3 : 0;

		kernel();
		if (mknod(node, S_IFBLK | 0600, makedev(MAJOR, minor_nr)))
			skip("needs root");
		device[minor_nr ? 3 : 2].params = minor_nr ? linear[i] : "/dev/sda /dev/sdb 128 0";
		check_eq(live_open(node, &l, &err), -ENODATA);
		unlink(node);
	}
}

static int whole(const char *word)
{
	struct outbuf out = { 0 };
	struct live *l;
	int r = live_open(word, &l, &err);

	if (r)
		return r;
	r = live_reserve(l, &err);
	if (!r)
		r = live_write_table(l, &out, &err);
	if (!r)
		r = live_release(l, &err);
	live_free(l);
	outbuf_fini(&out);
	return r;
}

static void failing_questions(void)
{
	kernel();
	check_eq(whole("vg/web-1"), 0);
	for (int n = 1, last = nr_runs; n <= last; n++) {
		kernel();
		fails_at = n;
		fails_with = n % 2 ? EPERM : 0;
		err.text[0] = 0;
		check(whole("vg/web-1") < 0);
		check(err.text[0]);
	}
}

/* Another command may remove a device at any time: the pool or the device that is meant, or any other. */
static void vanishing_devices(void)
{
	kernel();
	check_eq(whole("vg/web-1"), 0);
	for (int n = 1, last = nr_runs; n <= last; n++) {
		int r;

		kernel();
		gone_at = n;
		r = whole("vg/web-1");
		check(r == 0 || r == -ENOENT || r == -ENODATA);
	}
}

static int fresh(void)
{
	kernel();
	return whole("vg/web-1");
}

static void failing_memory(void)
{
	check_each_request_failing(fresh(), &err);
}

static const struct test tests[] = {
	{ "LVM's names find the pool and its thin devices", lvm_names },
	{ "of a thin device its use is told", thin_device },
	{ "nodes of the pool, its metadata, what lies over the whole pool, and thin devices are "
	  "understood", nodes },
	{ "metadata snapshots are reserved and released, and the kernel's refusal is told",
	  snapshots },
	{ "a table that is none is refused", odd_tables },
	{ "each question that the kernel does not answer is an error with words", failing_questions },
	{ "devices that are removed meanwhile are passed over", vanishing_devices },
	{ "each request for memory that fails is told, and all memory is given back",
	  failing_memory },
	{ "devices of other pools, and odd ones, are not listed", other_devices },
	{ "a pool is not found through tables that cannot be read", odd_tables_above },
	{ 0 }
};

int main(int argc, char **argv)
{
	return folder_main(tests, argc, argv);
}
