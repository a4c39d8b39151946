/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * pools SEED COUNT META OUT: random stories told to the kernel, as root of a virtual machine.  Each of COUNT pools
 * has its metadata on a part of disk META, and data that nobody keeps (the "zero" target), so that it may be of any size.
 * Two of three are activated again in between, and of one of three the metadata are those of a power cut.
 * They are copied to disk OUT, SLOT bytes for each, and a line "@ pool SLOT BYTES" tells of it.
 */
#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/fs.h>

#include "unit/random.h"

#define MAX_DEVS 150
#define MIB	 ((size_t)1 << 20)
#define SLOT	 (32 * MIB)
#define UNIT	 ((uint64_t)4096) /* of a write: it takes a data block, which the rest of is never read */

struct thin {
	unsigned id;
	uint64_t nr_blocks;
	int fd; /* -1: not active */
};

static struct thin thin[MAX_DEVS];
static unsigned nr_thins, max_thins, transaction;
static uint64_t block_sectors, nr_data;
static bool held;
static uint8_t buf[MIB] __attribute__((aligned(4096)));

/* Is the command done?  A pool that is full refuses some. */
static __attribute__((format(printf, 1, 2))) bool run(const char *fmt, ...)
{
	char line[500];
	va_list args;

	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	return !system(line);
}

static int open_disk(const char *path, int flags)
{
	int fd = open(path, flags | O_DIRECT);

	if (fd < 0)
		err(1, "%s", path);
	return fd;
}

static void activate(struct thin *t)
{
	char path[60];

	snprintf(path, sizeof(path), "/dev/mapper/t%u", t->id);
	t->fd = run("dmsetup create t%u --table '0 %llu thin /dev/mapper/pool %u'", t->id,
		    (unsigned long long)(t->nr_blocks * block_sectors), t->id) ?
			open_disk(path, O_RDWR) :
			-1;
}

static void deactivate(struct thin *t)
{
	if (t->fd < 0)
		return;
	close(t->fd);
	t->fd = -1;
	if (!run("dmsetup remove t%u", t->id))
		errx(1, "t%u cannot be removed", t->id);
}

/* @from: NULL for a device without an origin. */
static void make(struct thin *from, uint64_t nr_blocks)
{
	struct thin *t = &thin[nr_thins];
	bool made;

	*t = (struct thin){ .id = (unsigned)rnd(rnd(3) ? 300 : 1 << 24), .nr_blocks = nr_blocks, .fd = -1 };
	for (unsigned i = 0; i < nr_thins; i++)
		if (thin[i].id == t->id)
			return;
	if (from && from->fd >= 0)
		run("dmsetup suspend t%u", from->id);
	made = from ? run("dmsetup message pool 0 'create_snap %u %u'", t->id, from->id) :
		      run("dmsetup message pool 0 'create_thin %u'", t->id);
	if (from && from->fd >= 0)
		run("dmsetup resume t%u", from->id);
	if (!made)
		return;
	nr_thins++;
	if (!from || max_thins < 20)
		activate(t);
}

static bool activate_pool(void)
{
	return run("dmsetup create pool --table '0 %llu thin-pool /dev/mapper/meta /dev/mapper/data %llu 0 1 skip_block_zeroing'",
		   (unsigned long long)(nr_data * block_sectors), (unsigned long long)block_sectors);
}

static void deactivate_pool(void)
{
	for (unsigned i = 0; i < nr_thins; i++)
		deactivate(&thin[i]);
	if (!run("dmsetup remove pool"))
		errx(1, "the pool cannot be removed");
}

/* After an activation the kernel takes metadata blocks from the front on. */
static void activate_again(void)
{
	bool active[MAX_DEVS];

	for (unsigned i = 0; i < nr_thins; i++)
		active[i] = thin[i].fd >= 0;
	deactivate_pool();
	if (!activate_pool())
		errx(1, "the pool cannot be activated again");
	for (unsigned i = 0; i < nr_thins; i++)
		if (active[i])
			activate(&thin[i]);
}

static void discard_some(const struct thin *t)
{
	for (unsigned n = 1 + (unsigned)rnd(40); n; n--) {
		uint64_t range[2] = { rnd(t->nr_blocks) * block_sectors * 512, block_sectors * 512 };

		(void)ioctl(t->fd, BLKDISCARD, range);
	}
}

static void write_some(const struct thin *t, unsigned n)
{
	const unsigned run_len = rnd(3) ? 1 + (unsigned)rnd(12) : n;
	uint64_t at = 0;

	for (unsigned i = 0; i < n; i++) {
		at = i % run_len ? (at + 1) % t->nr_blocks : rnd(t->nr_blocks);
		if (pwrite(t->fd, buf, UNIT, (off_t)(at * block_sectors * 512)) < 0)
			return; /* the pool is full */
	}
}

/* @again: the pool is activated more than once. */
static void one_step(bool large, bool again)
{
	const unsigned what = (unsigned)rnd(100);
	struct thin *t = nr_thins ? &thin[rnd(nr_thins)] : NULL;

	if (!t || (what < 8 && nr_thins < max_thins)) {
		make(NULL, 50 + rnd(large ? 30000 : 3000));
	} else if (what < 30 && nr_thins < max_thins) {
		for (unsigned n = max_thins < 20 ? 1 : 1 + (unsigned)rnd(12); n && nr_thins < max_thins; n--)
			make(t, t->nr_blocks);
	} else if (what < 37 && nr_thins > 2) {
		deactivate(t);
		if (run("dmsetup message pool 0 'delete %u'", t->id))
			*t = thin[--nr_thins];
	} else if (what < 41) {
		transaction += run("dmsetup message pool 0 'set_transaction_id %u %u'", transaction, transaction + 1);
	} else if (what < 44) {
		held ^= run("dmsetup message pool 0 %s_metadata_snap", held ? "release" : "reserve");
	} else if (what < 48 && again) {
		activate_again();
	} else if (t->fd >= 0 && what < 51) {
		discard_some(t);
	} else if (t->fd >= 0) {
		write_some(t, 1 + (unsigned)rnd(large ? 3000 : 60));
		if (!rnd(3))
			fsync(t->fd);
	}
}

static void keep(const char *from_disk, const char *out, uint64_t slot, uint64_t len)
{
	int from = open_disk(from_disk, O_RDONLY), to = open_disk(out, O_WRONLY);

	for (uint64_t at = 0; at < len; at += MIB) {
		ssize_t n = pread(from, buf, MIB, (off_t)at);

		if (n < 0 || pwrite(to, buf, (size_t)n, (off_t)(slot * SLOT + at)) != n)
			err(1, "%s", out);
	}
	if (fsync(to))
		err(1, "%s", out);
	close(from);
	close(to);
	printf("@ pool %llu %llu\n", (unsigned long long)slot, (unsigned long long)len);
	fflush(stdout);
}

/* As a power cut leaves the metadata: in the midst of commits, of which each write to a thin device is followed by one. */
static void keep_cut(const char *disk, const char *out, uint64_t slot, uint64_t len)
{
	const struct thin *t = NULL;
	pid_t writer;

	for (unsigned i = 0; i < nr_thins && !t; i++)
		t = thin[i].fd >= 0 ? &thin[i] : NULL;
	writer = t ? fork() : -1;
	if (!writer)
		for (;;) {
			write_some(t, 1 + (unsigned)rnd(8));
			(void)fsync(t->fd);
		}
	usleep((useconds_t)rnd(200000));
	if (!run("dmsetup suspend --nolockfs meta"))
		errx(1, "the metadata device cannot be suspended");
	keep(disk, out, slot, len);
	if (!run("dmsetup resume meta"))
		errx(1, "the metadata device cannot be resumed");
	if (writer > 0) {
		kill(writer, SIGKILL);
		(void)waitpid(writer, NULL, 0);
	}
}

static void clear(const char *disk, uint64_t len)
{
	int fd = open_disk(disk, O_WRONLY);

	memset(buf, 0, MIB);
	for (uint64_t at = 0; at < len; at += MIB)
		if (pwrite(fd, buf, MIB, (off_t)at) < 0)
			err(1, "%s", disk);
	close(fd);
}

static void tell_pool(const char *meta, const char *out, uint64_t slot)
{
	const bool large = !rnd(3), again = rnd(3), cut = !rnd(3);
	const uint64_t len = ((2 + rnd(large ? 15 : 5)) * 256 + rnd(200)) * UNIT;

	nr_data = 5000 + rnd(rnd(3) ? 60000 : 1000000);
	nr_thins = transaction = held = 0;
	max_thins = rnd(4) ? 12 : MAX_DEVS;
	block_sectors = (uint64_t)128 << rnd(3);
	clear(meta, len);
	if (!run("dmsetup create meta --table '0 %llu linear %s 0'", (unsigned long long)len / 512, meta) ||
	    !run("dmsetup create data --table '0 %llu zero'", (unsigned long long)(nr_data * block_sectors)) ||
	    !activate_pool())
		errx(1, "no pool");
	for (unsigned n = 8 + (unsigned)rnd(60); n; n--)
		one_step(large, again);
	if (cut)
		keep_cut(meta, out, slot, len);
	deactivate_pool();
	if (!cut)
		keep(meta, out, slot, len);
	run("dmsetup remove meta data");
}

int main(int argc, char **argv)
{
	if (argc != 5)
		errx(64, "usage: pools SEED COUNT META OUT");
	rnd_begin(strtoull(argv[1], NULL, 10));
	for (uint64_t i = 0; i < strtoull(argv[2], NULL, 10); i++)
		tell_pool(argv[3], argv[4], i);
	return 0;
}
