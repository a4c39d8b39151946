/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dev/io.h"
#include "io_fault.h"
#include "tap.h"

#define SIZE (3 << 20)

/* An unlinked file of @size bytes; its size stays what it is. */
static int temp_file(uint64_t size)
{
	const char *dir = getenv("TMPDIR");
	char path[500];
	int fd;

	snprintf(path, sizeof(path), "%s/t_io.XXXXXX", dir ? dir : "/tmp");
	fd = mkstemp(path);
	check(fd >= 0);
	unlink(path);
	check(!ftruncate(fd, (off_t)size));
	return fd;
}

static struct io *file_io(uint64_t size, bool direct)
{
	int fd = temp_file(size);
	struct io *io;

	if (direct && fcntl(fd, F_SETFL, O_DIRECT) < 0) {
		close(fd);
		skip("the file system has no O_DIRECT");
	}
	io = io_file_new(fd, "pool.meta", size, direct);
	check(io);
	return io;
}

static uint8_t pattern(uint64_t at)
{
	return (uint8_t)(at * 7 + at / 251);
}

static void fill(uint8_t *p, size_t len, uint64_t at)
{
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = pattern(at + i);
}

/* Any offset and length reads back, and nothing beside is touched. */
static void any_alignment(struct io *io)
{
	static const struct {
		uint64_t at;
		size_t len;
	} parts[] = { { 1, 1 },	     { 4095, 2 },	{ 4096, 4096 },	 { 8192, 100 },
		      { 12000, 9 },  { 20480, 8193 },	{ 50001, 1 },	 { 61440, 65536 },
		      { 300001, 1500000 }, { SIZE - 5, 5 }, { SIZE - 8192, 4096 } };
	uint8_t *model = calloc(1, SIZE), *buf = malloc(SIZE + 1);
	struct err err = { 0 };
	size_t i;

	check(model && buf);
	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		fill(buf + 1, parts[i].len, parts[i].at);
		check(!io_write(io, buf + 1, parts[i].len, parts[i].at, &err));
		memcpy(model + parts[i].at, buf + 1, parts[i].len);
	}
	check(!io_flush(io, &err));
	check(!io_read(io, buf + 1, SIZE, 0, &err));
	check(!memcmp(buf + 1, model, SIZE));
	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		check(!io_read(io, buf + 1, parts[i].len, parts[i].at, &err));
		check(!memcmp(buf + 1, model + parts[i].at, parts[i].len));
	}
	free(model);
	free(buf);
	io_free(io);
}

static void buffered_any_alignment(void)
{
	any_alignment(file_io(SIZE, false));
}

static void direct_any_alignment(void)
{
	any_alignment(file_io(SIZE, true));
}

static void memory_any_alignment(void)
{
	any_alignment(io_mem_new("memory", SIZE));
}

static void aligned_buffer(void)
{
	struct io *io = file_io(65536, true);
	uint8_t *buf = io_alloc(65536);
	struct err err;

	check(buf && (uintptr_t)buf % io->align == 0);
	fill(buf, 65536, 0);
	check(!io_write(io, buf, 65536, 0, &err));
	memset(buf, 0, 65536);
	check(!io_read(io, buf, 8192, 4096, &err));
	check(buf[0] == pattern(4096) && buf[8191] == pattern(12287));
	free(buf);
	io_free(io);
}

static void past_the_end(void)
{
	struct io *ios[] = { file_io(10000, false), io_mem_new("pool.meta", 10000) };
	uint8_t buf[4096];
	struct err err;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ios); i++) {
		check(io_read(ios[i], buf, 4096, 8192, &err) == -EIO);
		check(strstr(err.text, "pool.meta") && strstr(err.text, "8192"));
		check(io_read(ios[i], buf, 1, UINT64_MAX - 5, &err) == -EIO);
		check(io_write(ios[i], buf, 4096, UINT64_MAX - 5, &err) == -EIO);
		check(!io_read(ios[i], buf, 1808, 8192, &err));
		io_free(ios[i]);
	}
}

static void errors_name_it(void)
{
	int fd = open("/dev/null", O_WRONLY);
	struct io *io = io_file_new(fd, "closed.meta", 4096, false);
	char buf[10];
	struct err err;

	check(io);
	check(io_read(io, buf, 10, 4000, &err) == -EBADF);
	check(strstr(err.text, "closed.meta") && strstr(err.text, "4000"));
	io_free(io);
}

static void punched_reads_zero(void)
{
	struct io *ios[] = { file_io(1 << 20, false), io_mem_new("memory", 1 << 20) };
	uint8_t buf[65536], zeros[65536] = { 0 };
	struct err err = { 0 };
	struct stat st;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ios); i++) {
		int r;

		memset(buf, 1, sizeof(buf));
		check(!io_write(ios[i], buf, 65536, 131072, &err));
		r = io_punch(ios[i], 131072, 32768, &err);
		if (r == -EOPNOTSUPP)
			skip("the file system cannot punch holes");
		check(!r);
		check(!io_read(ios[i], buf, 65536, 131072, &err));
		check(!memcmp(buf, zeros, 32768));
		check(buf[32768] == 1 && buf[65535] == 1);
		check(!io_discard(ios[i], 0, 1 << 20, &err));
		check(!io_punch(ios[i], 5, 0, &err) && !io_discard(ios[i], 5, 0, &err));
		if (ios[i]->fd >= 0)
			check(!fstat(ios[i]->fd, &st) && st.st_size == 1 << 20 && st.st_blocks < 8);
		io_free(ios[i]);
	}
}

static void next_data_leaves_out_holes(void)
{
	struct io *file = file_io(SIZE, false), *mem = io_mem_new("memory", SIZE);
	struct err err = { 0 };
	uint64_t at;

	check(!io_write(file, "x", 1, 1 << 20, &err) && !io_write(file, "y", 1, 2 << 20, &err));
	at = io_next_data(file, 0);
	if (!at)
		skip("the file system has no holes");
	check(at <= 1 << 20 && io_next_data(file, 1 << 20) == 1 << 20);
	at = io_next_data(file, (1 << 20) + 65536);
	check(at > (1 << 20) + 65536 && at <= 2 << 20);
	check_eq(io_next_data(file, (2 << 20) + 65536), SIZE);
	check(!ftruncate(file->fd, 1 << 20));
	check_eq(io_next_data(file, 2 << 20), 2 << 20);
	check_eq(io_next_data(mem, 5000), 5000);
	io_free(file);
	io_free(mem);
}

static void nth_fails(void)
{
	struct io *io = io_fault_new(io_mem_new("memory", 8192));
	char buf[100] = "x";
	struct err err;

	io_fault_fail_read(io, 1, -ETIMEDOUT);
	io_fault_fail_write(io, 0, -ENOSPC);
	io_fault_fail_flush(io, 2, -EIO);
	check(!io_read(io, buf, 100, 0, &err));
	check(io_read(io, buf, 100, 0, &err) == -ETIMEDOUT);
	check(strstr(err.text, "memory"));
	check(!io_read(io, buf, 50, 0, &err));
	check(io_write(io, buf, 1, 0, &err) == -ENOSPC);
	check(!io_write(io, buf, 1, 0, &err));
	check(!io_flush(io, &err) && !io_flush(io, &err));
	check(io_flush(io, &err) == -EIO);
	check(!io_flush(io, &err));
	check_eq(io_fault_nr_reads(io), 3);
	check_eq(io_fault_bytes_read(io), 150);
	check_eq(io_fault_nr_writes(io), 2);
	check_eq(io_fault_nr_flushes(io), 4);
	io_free(io);
}

static void power_cut(void)
{
	struct io *mem = io_mem_new("memory", 8192);
	struct io *io = io_fault_new(mem);
	struct err err;

	io_fault_cut_at(io, 2);
	check(!io_write(io, "a", 1, 0, &err));
	check(!io_write(io, "b", 1, 1, &err));
	check(!io_flush(io, &err));
	check(io_write(io, "c", 1, 2, &err) == -EIO);
	check(io_flush(io, &err) == -EIO);
	check(io_punch(io, 0, 1, &err) == -EIO);
	check(io_write(io, "d", 1, 3, &err) == -EIO);
	check(!memcmp(io_mem_data(mem), "ab\0\0", 4));
	io_free(io);
}

static void replays(void)
{
	struct io *io = io_fault_new(io_mem_new("memory", 8192));
	struct io *to;
	struct err err;

	check(!io_write(io, "early", 5, 100, &err));
	io_fault_record(io);
	check(!io_write(io, "ab", 2, 0, &err) && !io_write(io, "c", 1, 1, &err));
	check(!io_flush(io, &err));
	check(!io_write(io, "d", 1, 2, &err) && !io_write(io, "e", 1, 3, &err) &&
	      !io_punch(io, 0, 1, &err));
	check(!io_flush(io, &err));
	check(!io_write(io, "f", 1, 4, &err));
	check_eq(io_fault_nr_groups(io), 3);
	check_eq(io_fault_group_len(io, 0), 2);
	check_eq(io_fault_group_len(io, 1), 3);
	check_eq(io_fault_group_len(io, 2), 1);
	check_eq(io_fault_group_len(io, 3), 0);
	to = io_mem_new("target", 8192);
	check(!io_fault_replay(io, 0, 0, to, &err));
	check(!memcmp(io_mem_data(to), "\0\0\0\0\0", 5));
	check(!io_fault_replay(io, 0, 1, to, &err));
	check(!memcmp(io_mem_data(to), "ab\0\0\0", 5));
	check(!io_fault_replay(io, 1, 2, to, &err));
	check(!memcmp(io_mem_data(to), "ac\0e\0", 5));
	check(!io_fault_replay(io, 1, 5, to, &err));
	check(!memcmp(io_mem_data(to), "\0cde\0", 5));
	check(!io_fault_replay(io, 3, 0, to, &err));
	check(!memcmp(io_mem_data(to), "\0cdef", 5));
	io_free(to);
	io_free(io);
}

static const struct test tests[] = {
	{ "a file takes any offset and length", buffered_any_alignment },
	{ "a file with O_DIRECT takes any offset, length and buffer", direct_any_alignment },
	{ "memory takes any offset and length", memory_any_alignment },
	{ "an aligned buffer goes straight to a file with O_DIRECT", aligned_buffer },
	{ "a read past the end fails and says where", past_the_end },
	{ "an error names the file and the offset", errors_name_it },
	{ "punched bytes read as zeros, and their space is given back", punched_reads_zero },
	{ "the next data of a file leaves out holes, but not what the file lost",
	  next_data_leaves_out_holes },
	{ "the nth read, write or flush fails, and only that", nth_fails },
	{ "after a power cut nothing reaches the device", power_cut },
	{ "recorded writes replay by whole groups and chosen writes of the next", replays },
	{ 0 }
};

int main(int argc, char **argv)
{
	return tap_main(tests, argc, argv);
}
