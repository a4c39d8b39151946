/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * tell STORY FIXTURE-DIR [METADATA [DATA]]: tells a story that the kernel's dm-thin went through
 * to this project's own target, and compares what comes out with the pool that
 * the kernel made: superblock, devices, every mapping with its block and time, every
 * count, and the bytes of every device that the tables name.  Ours are left in METADATA and DATA.
 *
 * Lines of a story: table NAME LINE; message TEXT; suspend, resume, remove NAME; and I/O:
 * w, c (tagged bytes), 0 and z (zeros), d (discard) with DEV SECTOR COUNT [TAG]; s DEV (flush).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dev/dev.h"
#include "sectors.h"
#include "volume/target/target.h"

#define MAX_DEVS 400
#define MEMORY_SECTORS (1u << 19)
#define IO_MAX (SECTORS_MAX * 512)

struct named {
	char name[40];
	unsigned id;
	uint64_t size;
	char origin[200];
	struct io *origin_io;
	struct target_dev *dev;
};

struct teller {
	const char *fixture;
	struct io *meta, *data;
	struct target *target;
	struct named dev[MAX_DEVS];
	size_t nr;
	uint32_t block_sectors;
	unsigned line;
	bool may_fail;
};

static struct err err;

static void die(const struct teller *t, const char *what)
{
	fprintf(stderr, "tell: %s, line %u: %s%s%s\n", t->fixture, t->line, what,
		err.text[0] ? ": " : "", err.text);
	exit(1);
}

#define must(t, call)              \
	do {                       \
		if (call)          \
			die(t, #call); \
	} while (0)

static struct io *fixture_file(struct teller *t, const char *name)
{
	char path[600];
	struct io *io;

	snprintf(path, sizeof(path), "%s/%s", t->fixture, name);
	must(t, dev_open(path, DEV_SHARED, &io, &err));
	return io;
}

/* A file without a name: in memory, so that a flush costs nothing, unless it is large. */
static void make_file(struct teller *t, const char *name, uint64_t sectors, bool filled,
		      struct io **out)
{
	char cmd[1300], path[60];
	int fd;

	fd = sectors <= MEMORY_SECTORS ? memfd_create(name, 0) :
					 open(".", O_RDWR | O_TMPFILE, 0600);
	if (fd < 0 || ftruncate(fd, (off_t)(sectors * 512)))
		die(t, name);
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)getpid(), fd);
	if (filled) { /* the old bytes that the device held: skip_block_zeroing leaves them visible */
		snprintf(cmd, sizeof(cmd), "cat '%s/%s' >%s", t->fixture, name, path);
		must(t, system(cmd));
	}
	must(t, dev_open(path, DEV_WRITE, out, &err));
	close(fd);
}

static void on_comment(struct teller *t, const char *line)
{
	unsigned long long sectors;
	char name[40], start[20];

	if (strstr(line, "failed with ENOSPC"))
		t->may_fail = true;
	if (sscanf(line, "# file %39s %llu sectors, %19s", name, &sectors, start) != 3)
		return;
	if (!strcmp(name, "meta.img"))
		make_file(t, name, sectors, false, &t->meta);
	else if (!strcmp(name, "data.img"))
		make_file(t, name, sectors, !strcmp(start, "filled"), &t->data);
}

static void load_pool(struct teller *t, const char *args)
{
	struct target_options opt = { 0 };
	unsigned long long sectors;
	struct pool_edit *pool;
	unsigned bs;

	if (sscanf(args, "0 %llu thin-pool %*s %*s %u", &sectors, &bs) != 2)
		die(t, args);
	if (t->target) { /* a larger table for the same pool */
		must(t, target_flush(t->target, &err));
		pool = target_pool(t->target);
		must(t, edit_grow_metadata(pool, t->meta->size / MBLOCK_SIZE, &err));
		must(t, edit_grow_data(pool, sectors / bs, &err));
		return;
	}
	opt.skip_zeroing = strstr(args, "skip_block_zeroing");
	opt.ignore_discard = strstr(args, "ignore_discard");
	opt.no_passdown = strstr(args, "no_discard_passdown");
	t->block_sectors = bs;
	must(t, edit_format(t->meta, bs, &pool, &err));
	must(t, edit_grow_data(pool, sectors / bs, &err));
	must(t, target_new(pool, t->data, &opt, &t->target, &err));
}

static struct named *find(struct teller *t, const char *name)
{
	for (size_t i = 0; i < t->nr; i++)
		if (!strcmp(t->dev[i].name, name))
			return &t->dev[i];
	return NULL;
}

static void load_thin(struct teller *t, const char *name, const char *args)
{
	struct named *d = find(t, name);
	unsigned long long sectors;

	if (!d) {
		if (t->nr == MAX_DEVS)
			die(t, "too many devices");
		d = &t->dev[t->nr++];
	}
	io_free(d->origin_io);
	memset(d, 0, sizeof(*d));
	snprintf(d->name, sizeof(d->name), "%s", name);
	if (sscanf(args, "0 %llu thin %*s %u %199s", &sectors, &d->id, d->origin) < 2)
		die(t, args);
	d->size = sectors * 512;
	if (d->origin[0])
		d->origin_io = fixture_file(t, d->origin);
	must(t, target_device(t->target, d->id, d->size, d->origin_io, &d->dev, &err));
}

static void load_table(struct teller *t, const char *rest)
{
	char name[40];
	unsigned long long sectors;
	const char *args;
	int n = 0;

	if (sscanf(rest, "%39s %n", name, &n) != 1)
		die(t, rest);
	args = rest + n;
	if (!strcmp(name, "meta") && sscanf(args, "0 %llu linear", &sectors) == 1)
		t->meta->size = sectors * 512; /* the rest of the file stays unused */
	else if (strstr(args, "thin-pool"))
		load_pool(t, args);
	else
		load_thin(t, name, args);
}

/* shell dmsetup load NAME --table 'LINE' ...: a table as well */
static void on_shell(struct teller *t, const char *rest)
{
	char name[40], args[300], line[400];

	if (sscanf(rest, "dmsetup load %39s --table '%299[^']'", name, args) != 2)
		return;
	snprintf(line, sizeof(line), "%s %s", name, args);
	load_table(t, line);
}

static void on_message(struct teller *t, char *text)
{
	struct message *list;
	size_t nr;

	must(t, message_parse(&text, 1, &list, &nr, &err));
	must(t, target_message(t->target, list, nr, &err));
	free(list);
}

static void write_sectors(struct teller *t, struct named *d, uint64_t sector, uint64_t count,
			  char kind, const char *tag)
{
	static uint8_t buf[IO_MAX];
	uint64_t n;
	int r;

	for (; count; sector += n, count -= n) {
		n = MIN(count, IO_MAX / 512);
		sectors_fill(buf, sector, n, kind, tag);
		r = target_write(d->dev, buf, n * 512, sector * 512, &err);
		if (r == -EXFULL && t->may_fail)
			break; /* so did the kernel's */
		must(t, r);
	}
}

/*
 * The block layer cuts a discard at the next multiple of the granularity before the target sees
 * it, and finds that multiple in a way that is right for powers of two only: with other block
 * sizes it cuts elsewhere, and a block that lies in both pieces stays mapped.
 */
static void discard_sectors(struct teller *t, struct named *d, uint64_t sector, uint64_t count)
{
	uint64_t mask = t->block_sectors - 1, next, n;

	for (; count; sector += n, count -= n) {
		next = ((sector - 1) | mask) + 1;
		n = next == sector ? count : MIN(count, next - sector);
		must(t, target_discard(d->dev, n * 512, sector * 512, &err));
	}
}

static void on_io(struct teller *t, char kind, const char *rest)
{
	unsigned long long sector = 0, count = 0;
	char name[40], tag[100] = "";
	struct named *d;

	if (sscanf(rest, "%39s %llu %llu %99s", name, &sector, &count, tag) < 1)
		die(t, rest);
	d = find(t, name);
	if (!d)
		die(t, name);
	if (kind == 's')
		must(t, target_flush(t->target, &err));
	else if (kind == 'd')
		discard_sectors(t, d, sector, count);
	else
		write_sectors(t, d, sector, count, kind, tag);
}

static void tell(struct teller *t, FILE *story)
{
	char line[2000], *nl;

	while (fgets(line, sizeof(line), story)) {
		t->line++;
		nl = strchr(line, '\n');
		if (nl)
			*nl = 0;
		if (line[0] == '#')
			on_comment(t, line);
		else if (!strncmp(line, "table ", 6))
			load_table(t, line + 6);
		else if (!strncmp(line, "message ", 8))
			on_message(t, line + 8);
		else if (!strncmp(line, "shell ", 6))
			on_shell(t, line + 6);
		else if (line[0] && line[1] == ' ' && strchr("wc0zds", line[0]))
			on_io(t, line[0], line + 2);
		else if (strncmp(line, "suspend ", 8) && strncmp(line, "resume ", 7) &&
			 strncmp(line, "remove ", 7))
			die(t, line);
	}
	must(t, target_flush(t->target, &err));
}

/* --- what came out --- */

struct other {
	struct teller *t;
	struct pool_edit *mine, *theirs;
	unsigned id;
	uint64_t nr_devices, nr_mappings, nr_wrong;
};

static void differ(struct other *o, const char *what, uint64_t at, uint64_t mine, uint64_t theirs)
{
	if (o->nr_wrong++ < 10)
		printf("device %u: %s of %llu: %llu here, %llu in the kernel's\n", o->id, what,
		       (unsigned long long)at, (unsigned long long)mine,
		       (unsigned long long)theirs);
}

static int on_their_mapping(void *ctx, vblock_t v, const struct mapping *theirs)
{
	struct other *o = ctx;
	struct mapping mine;
	uint32_t a = 0, b = 0;

	o->nr_mappings++;
	if (edit_lookup(o->mine, o->id, v, &mine, &err)) {
		differ(o, "mapping", v, UINT64_MAX, theirs->block);
		return 0;
	}
	if (mine.block != theirs->block)
		differ(o, "mapping", v, mine.block, theirs->block);
	if (mine.time != theirs->time)
		differ(o, "time", v, mine.time, theirs->time);
	if (edit_data_count(o->mine, mine.block, &a, &err) ||
	    edit_data_count(o->theirs, theirs->block, &b, &err))
		die(o->t, "counts");
	if (a != b)
		differ(o, "count", theirs->block, a, b);
	return 0;
}

struct device_list {
	struct device_info dev[MAX_DEVS];
	size_t nr;
};

static int list_device(void *ctx, const struct device_info *d)
{
	struct device_list *l = ctx;

	if (l->nr == MAX_DEVS)
		return -EINVAL;
	l->dev[l->nr++] = *d;
	return 0;
}

static void compare_devices(struct other *o)
{
	static struct device_list a, b;

	must(o->t, edit_each_device(o->mine, list_device, &a, &err));
	must(o->t, edit_each_device(o->theirs, list_device, &b, &err));
	if (a.nr != b.nr)
		differ(o, "number of devices", 0, a.nr, b.nr);
	for (size_t i = 0; i < MIN(a.nr, b.nr); i++) {
		const struct device_info *x = &a.dev[i], *y = &b.dev[i];

		o->nr_devices++;
		o->id = y->dev_id;
		if (x->dev_id != y->dev_id)
			differ(o, "id", i, x->dev_id, y->dev_id);
		if (x->mapped_blocks != y->mapped_blocks)
			differ(o, "mapped blocks", 0, x->mapped_blocks, y->mapped_blocks);
		if (x->transaction != y->transaction)
			differ(o, "transaction", 0, x->transaction, y->transaction);
		if (x->creation_time != y->creation_time)
			differ(o, "creation time", 0, x->creation_time, y->creation_time);
		if (x->snap_time != y->snap_time)
			differ(o, "snapshotted time", 0, x->snap_time, y->snap_time);
		if (edit_each_mapping(o->theirs, y->dev_id, 0, UINT64_MAX, on_their_mapping, o, &err) < 0)
			die(o->t, "their mappings");
	}
}

static void compare_superblocks(struct other *o)
{
	const struct superblock *a = edit_superblock(o->mine), *b = edit_superblock(o->theirs);

	if (a->time != b->time)
		differ(o, "superblock time", 0, a->time, b->time);
	if (a->transaction_id != b->transaction_id)
		differ(o, "superblock transaction", 0, a->transaction_id, b->transaction_id);
	if (a->data_block_size != b->data_block_size)
		differ(o, "data block size", 0, a->data_block_size, b->data_block_size);
	if (a->data_sm.nr_blocks != b->data_sm.nr_blocks)
		differ(o, "data blocks", 0, a->data_sm.nr_blocks, b->data_sm.nr_blocks);
	if (a->data_sm.nr_allocated != b->data_sm.nr_allocated)
		differ(o, "allocated data blocks", 0, a->data_sm.nr_allocated,
		       b->data_sm.nr_allocated);
	if (a->metadata_sm.nr_blocks != b->metadata_sm.nr_blocks)
		differ(o, "metadata blocks", 0, a->metadata_sm.nr_blocks,
		       b->metadata_sm.nr_blocks);
	if (!a->held_root != !b->held_root)
		differ(o, "held metadata snapshot", 0, a->held_root, b->held_root);
	if (a->flags != b->flags)
		differ(o, "flags", 0, a->flags, b->flags);
}

static void compare_bytes(struct other *o, struct target *theirs)
{
	static uint8_t a[IO_MAX], b[IO_MAX];
	struct target_dev *dev;

	for (size_t i = 0; i < o->t->nr; i++) {
		struct named *d = &o->t->dev[i];
		struct device_info info;
		uint64_t n;

		if (edit_device(o->theirs, d->id, &info, &err))
			continue; /* deleted */
		o->id = d->id;
		must(o->t, target_device(theirs, d->id, d->size, d->origin_io, &dev, &err));
		must(o->t, target_device(o->t->target, d->id, d->size, d->origin_io, &d->dev, &err));
		for (uint64_t at = 0; at < d->size; at += n) {
			n = MIN(d->size - at, IO_MAX);
			must(o->t, target_read(d->dev, a, n, at, &err));
			must(o->t, target_read(dev, b, n, at, &err));
			if (memcmp(a, b, n))
				differ(o, "bytes", at, 0, 0);
		}
	}
}

/* For others to look at. */
static void keep(struct teller *t, const struct io *io, const char *path)
{
	char cmd[300];

	snprintf(cmd, sizeof(cmd), "cp --sparse=always /proc/%d/fd/%d %s", (int)getpid(), io->fd, path);
	must(t, system(cmd));
}

int main(int argc, char **argv)
{
	static struct teller t;
	struct target_options opt = { .data_read_only = true };
	struct other o = { .t = &t };
	struct target *theirs;
	struct io *their_meta, *their_data;
	FILE *story;

	if (argc < 3)
		return 64;
	t.fixture = argv[2];
	story = fopen(argv[1], "r");
	if (!story)
		die(&t, argv[1]);
	tell(&t, story);
	fclose(story);
	o.mine = target_pool(t.target);
	their_meta = fixture_file(&t, "meta.img");
	their_data = fixture_file(&t, "data.img");
	must(&t, edit_open(their_meta, false, &o.theirs, &err));
	compare_superblocks(&o);
	compare_devices(&o);
	must(&t, target_new(o.theirs, their_data, &opt, &theirs, &err));
	compare_bytes(&o, theirs);
	printf("%llu devices, %llu mappings, %llu differences\n", (unsigned long long)o.nr_devices,
	       (unsigned long long)o.nr_mappings, (unsigned long long)o.nr_wrong);
	if (argc > 3)
		keep(&t, t.meta, argv[3]);
	if (argc > 4)
		keep(&t, t.data, argv[4]);
	target_drop(theirs);
	target_drop(t.target);
	for (size_t i = 0; i < t.nr; i++)
		io_free(t.dev[i].origin_io);
	io_free(their_meta);
	io_free(their_data);
	io_free(t.meta);
	io_free(t.data);
	return o.nr_wrong ? 1 : 0;
}
