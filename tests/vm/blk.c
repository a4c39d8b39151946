/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * blk OP DEVICE [SECTOR COUNT [TAG]]: one line of a story done to a block device:
 * w, c, 0 write directly, d discards, z zeroes out, s flushes.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/fs.h>

#include "sectors.h"

static int write_all(int fd, uint64_t sector, uint64_t count, char kind, const char *tag)
{
	static uint8_t buf[SECTORS_MAX * 512] __attribute__((aligned(4096)));
	uint64_t n;

	for (; count; sector += n, count -= n) {
		n = count < SECTORS_MAX ? count : SECTORS_MAX;
		sectors_fill(buf, sector, n, kind, tag);
		if (pwrite(fd, buf, n * 512, (off_t)(sector * 512)) != (ssize_t)(n * 512))
			return -1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t range[2] = { 0, 0 };
	char op;
	int fd, r;

	if (argc < 3)
		return 64;
	op = argv[1][0];
	fd = open(argv[2], O_RDWR | O_DIRECT);
	if (fd < 0) {
		perror(argv[2]);
		return 1;
	}
	if (argc > 4) {
		range[0] = strtoull(argv[3], NULL, 10);
		range[1] = strtoull(argv[4], NULL, 10);
	}
	if (op == 's') {
		r = fsync(fd);
	} else if (op == 'd' || op == 'z') {
		range[0] *= 512;
		range[1] *= 512;
		r = ioctl(fd, op == 'd' ? BLKDISCARD : BLKZEROOUT, range);
	} else {
		r = write_all(fd, range[0], range[1], op, argc > 5 ? argv[5] : "");
	}
	if (r)
		perror(argv[1]);
	return r ? 1 : 0;
}
