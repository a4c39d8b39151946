/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Looks for <device> and <def> without parsing.  Mapping elements and refs, of which
 * nearly all of a file consists, hold no letter v: so memchr() for it runs over them
 * at the speed of memory, and finds <device (and data in comments, hence "claims").
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "pool/text/text.h"

#define SCAN_LEN ((size_t)1 << 20)
#define TAG_LEN	 ((size_t)512) /* of a tag this much is looked at */
#define ROOM_MIN ((uint64_t)4096)

/* The number in NAME="N" (or 'N') inside of the tag at @p; 0 when there is none. */
static uint64_t attr(const char *p, const char *end, const char *name)
{
	const char *close = memchr(p, '>', (size_t)(end - p)), *at;
	size_t len = strlen(name);
	uint64_t v = 0;

	if (close)
		end = close;
	at = memmem(p, (size_t)(end - p), name, len);
	if (!at)
		return 0;
	for (at += len; at < end && (*at < '0' || *at > '9'); at++)
		if (!strchr("=\"' ", *at))
			return 0;
	for (; at < end && *at >= '0' && *at <= '9'; at++)
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*at - '0'), &v))
			return UINT64_MAX;
	return v;
}

static void add_device(struct xml_claims *c, const char *tag, const char *end)
{
	c->nr_devices++;
	if (__builtin_add_overflow(c->mapped_blocks, attr(tag, end, "mapped_blocks"),
				   &c->mapped_blocks))
		c->mapped_blocks = UINT64_MAX;
}

/* Counts the tags that begin in [@p, @limit); the text goes on to @end. */
static void scan(struct xml_claims *c, const char *p, const char *limit, const char *end)
{
	const char *v;

	for (v = p; v < end && (v = memchr(v, 'v', (size_t)(end - v))); v++)
		if (v - p >= 3 && v - 3 < limit && end - v >= 5 && !memcmp(v - 3, "<device", 7) &&
		    !memchr("s_", v[4], 2))
			add_device(c, v - 3, end);
}

static void scan_head(struct xml_claims *c, const char *p, const char *end)
{
	const char *sb = memmem(p, (size_t)(end - p), "<superblock", 11);

	if (sb)
		c->nr_data_blocks = attr(sb, end, "nr_data_blocks");
	c->has_defs = memmem(p, (size_t)(end - p), "<def ", 5);
}

static ssize_t read_at(int fd, char *buf, size_t len, off_t at)
{
	size_t done = 0;
	ssize_t n;

	while (done < len) {
		n = pread(fd, buf + done, len - done, at + (off_t)done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

size_t xml_room(int fd, size_t most)
{
	struct stat st;

	if (fstat(fd, &st) || st.st_size <= 0)
		return most;
	return (size_t)MIN(MAX((uint64_t)st.st_size + 1, ROOM_MIN), most);
}

int xml_scan(int fd, struct xml_claims *claims, struct err *err)
{
	const size_t room = xml_room(fd, SCAN_LEN + TAG_LEN);
	CLEANUP(free_ptr) char *buf = malloc(room);
	off_t at = 0;
	ssize_t n;

	*claims = (struct xml_claims) { 0 };
	if (lseek(fd, 0, SEEK_CUR) < 0)
		return err_sys(err, -errno, "XML");
	if (!buf)
		return err_nomem(err, "scan of the XML");
	for (;; at += (off_t)SCAN_LEN) {
		n = read_at(fd, buf, room, at);
		if (n < 0)
			return err_sys(err, (int)n, "cannot read the XML");
		if (!at)
			scan_head(claims, buf, buf + n);
		if (claims->has_defs)
			return 0;
		scan(claims, buf, buf + MIN((size_t)n, SCAN_LEN), buf + n);
		if ((size_t)n < SCAN_LEN + TAG_LEN)
			return 0;
	}
}
