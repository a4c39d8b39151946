/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include <errno.h>

#include "tap.h"
#include "volume/image/rbd.h"

/* A stream in memory, and what it told. */
static uint8_t stream[400];
static size_t stream_len, read_at;
static char told[1000];

static int mem_read(void *ctx, void *buf, size_t len, size_t *got, struct err *err)
{
	(void)ctx;
	(void)err;
	*got = MIN(len, stream_len - read_at);
	memcpy(buf, stream + read_at, *got);
	read_at += *got;
	return 0;
}

static int mem_skip(void *ctx, uint64_t len, struct err *err)
{
	(void)ctx;
	(void)err;
	read_at = (size_t)MIN(stream_len, read_at + len);
	return 0;
}

static int on_size(void *ctx, uint64_t size, struct err *err)
{
	(void)ctx;
	(void)err;
	sprintf(told + strlen(told), "size %llu ", (unsigned long long)size);
	return 0;
}

static int on_write(void *ctx, uint64_t at, const void *data, size_t len, struct err *err)
{
	(void)ctx;
	(void)err;
	sprintf(told + strlen(told), "w %llu %.*s ", (unsigned long long)at, (int)len, (const char *)data);
	return 0;
}

static int on_zero(void *ctx, uint64_t at, uint64_t len, struct err *err)
{
	(void)ctx;
	(void)err;
	sprintf(told + strlen(told), "z %llu %llu ", (unsigned long long)at, (unsigned long long)len);
	return 0;
}

static void add(const void *data, size_t len)
{
	memcpy(stream + stream_len, data, len);
	stream_len += len;
}

static void add_record(uint64_t at, uint64_t len, const char *bytes)
{
	uint8_t head[RBD_RECORD_LEN];

	add(head, rbd_put_record(at, len, !bytes, head));
	if (bytes)
		add(bytes, strlen(bytes));
}

#define SIZE_1000 "s\xe8\x03\0\0\0\0\0\0"

static void begin(void)
{
	stream_len = 0;
	add(RBD_MAGIC, RBD_MAGIC_LEN);
}

static int run(bool look_only, struct rbd_stream *s, struct err *err)
{
	const struct rbd_input in = { mem_read, look_only ? mem_skip : NULL, NULL, "stream" };
	const struct rbd_ops all = { on_size, on_write, on_zero, NULL }, none = { 0 };

	read_at = 0;
	told[0] = 0;
	*err = (struct err){ 0 };
	return rbd_read(&in, look_only ? &none : &all, s, err);
}

static void whole(void)
{
	struct rbd_stream s;
	struct err err;

	begin();
	add("f\x03\0\0\0mont\x03\0\0\0tue", 16);
	add(SIZE_1000, 9);
	add_record(10, 5, "hello");
	add_record(20, 30, NULL);
	add_record(998, 2, "!!");
	add("e", 1);
	check(!run(false, &s, &err));
	check_str(told, "size 1000 w 10 hello z 20 30 w 998 !! ");
	check_str(s.from, "mon");
	check_str(s.to, "tue");
	check_eq(s.bytes, 7);
	check_eq(s.zeros, 30);
	check_eq(s.high, 1000);
	check_eq(s.pos, stream_len);
	check(!run(true, &s, &err));
	check_str(told, "");
	check_eq(s.pos, stream_len);
}

static void truncated(void)
{
	struct rbd_stream s;
	struct err err;
	size_t len;

	whole();
	len = stream_len;
	for (stream_len = 0; stream_len < len; stream_len++)
		for (int look = 0; look < 2; look++) {
			check_eq(run(look, &s, &err), -ENODATA);
			check(strstr(err.text, "ends at byte"));
		}
}

static void wants(const char *word)
{
	struct rbd_stream s;
	struct err err;

	for (int look = 0; look < 2; look++) {
		check_eq(run(look, &s, &err), -EINVAL);
		if (!strstr(err.text, word))
			printf("# \"%s\" does not say \"%s\"\n", err.text, word);
		check(strstr(err.text, word));
	}
}

static void malformed(void)
{
	stream_len = 0;
	add("rbd diff v2\n", 12);
	wants("version 2");
	stream_len = 0;
	add("rbd diff vx\n", 12);
	wants("is not an rbd diff");
	stream_len = 0;
	add("rbd diffs", 9);
	wants("is not an rbd diff");
	stream_len = 0;
	add("something else", 14);
	wants("is not an rbd diff");
	begin();
	add("x", 1);
	wants("0x78");
	begin();
	add(SIZE_1000 SIZE_1000, 18);
	wants("second size");
	begin();
	add("f\x01\0\0\0af\x01\0\0\0b", 12);
	wants("second name");
	begin();
	add("t\xff\xff\xff\xff", 5);
	wants("longer name");
	begin();
	add("s\xff\xff\xff\xff\xff\xff\xff\xff", 9);
	wants("an impossible size");
	begin();
	add(SIZE_1000, 9);
	add_record(990, 11, "hello world");
	wants("beyond the end");
	begin();
	add_record(UINT64_MAX, 2, NULL);
	wants("beyond the end");
	begin();
	add_record(INT64_MAX, 1, NULL);
	wants("beyond the end");
	begin();
	add_record(0, 2, "ab");
	add(SIZE_1000, 9);
	wants("after the first data");
	for (const char *name = "ft"; *name; name++) {
		begin();
		add_record(0, 2, NULL);
		add(name, 1);
		add("\x01\0\0\0a", 5);
		wants("names a snapshot after the first data");
	}
}

/* Ceph leaves zeros out where there is no older snapshot. */
static void full_export(void)
{
	struct rbd_stream s;
	struct err err;

	begin();
	add(SIZE_1000, 9);
	add_record(10, 5, "hello");
	add_record(15, 1, "!");
	add_record(40, 10, NULL);
	add_record(20, 2, "ab"); /* goes back */
	add_record(60, 2, "cd");
	add("e", 1);
	check(!run(false, &s, &err));
	check_str(told, "size 1000 z 0 10 w 10 hello w 15 ! z 16 24 z 40 10 w 20 ab z 50 10 w 60 cd z 62 938 ");
	check_eq(s.zeros, 10);
	begin();
	add(SIZE_1000 "e", 10);
	check(!run(false, &s, &err));
	check_str(told, "size 1000 z 0 1000 ");
	check_eq(s.nr_records, 0);
	begin();
	add_record(3, 2, "ab");
	add("e", 1);
	check(!run(false, &s, &err)); /* no size is told */
	check_str(told, "z 0 3 w 3 ab ");
}

static int cannot_zero(void *ctx, uint64_t at, uint64_t len, struct err *err)
{
	(void)ctx;
	(void)at;
	(void)len;
	return err_set(err, -ENOSPC, "no room");
}

static void full_export_fails(void)
{
	const struct rbd_input in = { mem_read, NULL, NULL, "stream" };
	const struct rbd_ops zeros = { .write = on_write, .zero = cannot_zero };
	struct rbd_stream s;
	struct err err = { 0 };

	begin();
	add_record(10, 5, "hello");
	add("e", 1);
	read_at = 0;
	told[0] = 0;
	check_eq(rbd_read(&in, &zeros, &s, &err), -ENOSPC);
	check_str(told, "");
	begin();
	add(SIZE_1000 "e", 10);
	read_at = 0;
	check_eq(rbd_read(&in, &zeros, &s, &err), -ENOSPC);
}

static int cannot_write(void *ctx, uint64_t at, const void *data, size_t len, struct err *err)
{
	(void)ctx;
	(void)data;
	(void)len;
	sprintf(told + strlen(told), "fails at %llu ", (unsigned long long)at);
	return err_set(err, -ENOSPC, "no room");
}

static int cannot_skip(void *ctx, uint64_t len, struct err *err)
{
	(void)ctx;
	(void)len;
	return err_set(err, -EIO, "no way");
}

/* What a record is for fails: the stream ends there, and the message names it. */
static void failures(void)
{
	const struct rbd_input in = { mem_read, NULL, NULL, "stream" }, fails = { mem_read, cannot_skip, NULL, "stream" };
	const struct rbd_ops writes = { .write = cannot_write }, none = { 0 };
	struct rbd_stream s;
	struct err err = { 0 };

	whole();
	read_at = 0;
	told[0] = 0;
	check(rbd_read(&in, &writes, &s, &err) == -ENOSPC);
	check_str(told, "fails at 10 ");
	read_at = 0;
	check(rbd_read(&fails, &none, &s, &err) == -EIO);
	check(strstr(err.text, "stream: no way"));
}

/* A record of three MiB, of which the second one cannot be written. */
static int large_read(void *ctx, void *buf, size_t len, size_t *got, struct err *err)
{
	uint64_t *at = ctx;

	(void)err;
	for (size_t i = 0; i < len; i++, ++*at)
		((uint8_t *)buf)[i] = *at < stream_len ? stream[*at] : 'x';
	*got = len;
	return 0;
}

static int second_write_fails(void *ctx, uint64_t at, const void *data, size_t len, struct err *err)
{
	(void)ctx;
	(void)data;
	sprintf(told + strlen(told), "%llu+%zu ", (unsigned long long)at, len);
	return at > 1000 ? err_set(err, -ENOSPC, "no room") : 0;
}

static void failures_inside_a_record(void)
{
	uint64_t at = 0;
	const struct rbd_input in = { large_read, NULL, &at, "stream" };
	const struct rbd_ops writes = { .write = second_write_fails };
	uint8_t head[RBD_RECORD_LEN];
	struct rbd_stream s;
	struct err err = { 0 };

	begin();
	add(head, rbd_put_record(1000, 3 << 20, false, head));
	told[0] = 0;
	check(rbd_read(&in, &writes, &s, &err) == -ENOSPC);
	check_str(told, "1000+1048576 1049576+1048576 ");
}

/* Without a way to pass over bytes they are read; a record may have none. */
static void looked_at_without_skipping(void)
{
	const struct rbd_input in = { mem_read, NULL, NULL, "stream" };
	const struct rbd_ops none = { 0 };
	struct rbd_stream s;
	struct err err = { 0 };

	begin();
	add_record(10, 5, "hello");
	add_record(20, 0, "");
	add("e", 1);
	read_at = 0;
	check(!rbd_read(&in, &none, &s, &err));
	check_eq(s.bytes, 5);
	check_eq(s.nr_records, 2);
	check_eq(s.pos, stream_len);
	check(!run(true, &s, &err));
	check_eq(s.bytes, 5);
	check_eq(s.pos, stream_len);
}

static const struct test tests[] = {
	{ "a stream tells its snapshots, its size and its records", whole },
	{ "every truncation is told with the byte where the stream ends", truncated },
	{ "what no stream can say is refused with the place", malformed },
	{ "what a full export does not name is zeros", full_export },
	{ "what a full export does not name cannot be made zeros: the stream ends there", full_export_fails },
	{ "what fails inside a record ends it there", failures_inside_a_record },
	{ "what fails for a record ends the stream", failures },
	{ "a stream that cannot be sought in is looked through all the same", looked_at_without_skipping },
	{ 0 }
};

int main(int argc, char **argv)
{
	return tap_main(tests, argc, argv);
}
