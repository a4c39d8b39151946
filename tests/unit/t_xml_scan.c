/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* The look over XML that counts what it claims, before it is read. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pool/text/text.h"
#include "tap.h"

static void scan_counts_devices(void)
{
	static const char text[] = "<superblock nr_data_blocks=\"77\">"
				   "<device dev_id=\"1\" mapped_blocks=\"40\" snap_time=\"0\"/>\n"
				   "<device dev_id='2' mapped_blocks='2'>"
				   "<single_mapping origin_block=\"1\"/></device></superblock>";
	struct xml_claims c;
	struct err err = { 0 };
	int fd = memfd_create("xml", 0);

	check(write(fd, text, sizeof(text) - 1) == sizeof(text) - 1);
	check_eq(lseek(fd, 7, SEEK_SET), 7);
	check_eq(xml_scan(fd, &c, &err), 0);
	check_eq(c.nr_devices, 2);
	check_eq(c.mapped_blocks, 42);
	check_eq(c.nr_data_blocks, 77);
	check(!c.has_defs);
	check_eq(lseek(fd, 0, SEEK_CUR), 7);
	close(fd);
}

/* A tag at each distance from the places where the scan's buffer begins anew. */
static void scan_across_buffers(void)
{
	static const char tag[] = "<device dev_id=\"1\" mapped_blocks=\"40\" snap_time=\"0\">";
	size_t len = 3 << 20, at, i;
	char *text = malloc(len);
	struct err err = { 0 };
	struct xml_claims c;
	int fd;

	check(text);
	for (i = 0; i < 100; i++) {
		memset(text, 'v', len);
		at = (2 << 20) - 80 + i;
		memcpy(text + at, tag, sizeof(tag) - 1);
		fd = memfd_create("xml", 0);
		check(write(fd, text, len) == (ssize_t)len);
		check_eq(xml_scan(fd, &c, &err), 0);
		check_eq(c.nr_devices, 1);
		check_eq(c.mapped_blocks, 40);
		close(fd);
	}
	free(text);
}

static struct xml_claims claims_of(const char *text)
{
	struct xml_claims c;
	struct err err = { 0 };
	int fd = memfd_create("xml", 0);

	check(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	check_eq(xml_scan(fd, &c, &err), 0);
	close(fd);
	return c;
}

/* What is no number claims nothing; what is too large a number claims more than any device has. */
static void scan_of_odd_claims(void)
{
	struct xml_claims c = claims_of("<superblock nr_data_blocks=x7><device mapped_blocks=\"12");

	check(!c.nr_data_blocks && c.nr_devices == 1 && c.mapped_blocks == 12);
	c = claims_of("<superblock nr_data_blocks=\"99999999999999999999\"><device mapped_blocks='18446744073709551616'>");
	check(c.nr_data_blocks == UINT64_MAX && c.mapped_blocks == UINT64_MAX);
	c = claims_of("<superblock><device mapped_blocks=\"18446744073709551615\"><device mapped_blocks=\"9;\">");
	check(c.nr_devices == 2 && c.mapped_blocks == UINT64_MAX);
	c = claims_of("<superblock nr_data_blocks='5'><devices mapped_blocks='1'><device_x mapped_blocks='1'><device mapped_blocks=");
	check(c.nr_data_blocks == 5 && c.nr_devices == 1 && !c.mapped_blocks);
}

static void scan_sees_defs(void)
{
	struct xml_claims c;
	struct err err = { 0 };
	char name[4096];
	const char *dir = getenv("abs_top_srcdir");
	int fd;

	snprintf(name, sizeof(name), "%s/xml/good/shared.xml", dir ? dir : ".");
	fd = open(name, O_RDONLY);
	check(fd >= 0);
	check_eq(xml_scan(fd, &c, &err), 0);
	check(c.has_defs);
	close(fd);
}

static void scan_needs_a_file(void)
{
	struct xml_claims c;
	struct err err = { 0 };
	int fd[2];

	check_eq(pipe(fd), 0);
	check(xml_scan(fd[0], &c, &err) == -ESPIPE);
	close(fd[0]);
	close(fd[1]);
}

static const struct test tests[] = {
	{ "the scan counts devices and their claims and keeps the position", scan_counts_devices },
	{ "the scan finds a tag wherever its buffer ends", scan_across_buffers },
	{ "the scan takes no odd claim for a small one", scan_of_odd_claims },
	{ "the scan tells when parts are shared", scan_sees_defs },
	{ "the scan refuses a pipe", scan_needs_a_file },
	{ 0 }
};

int main(int argc, char **argv)
{
	return tap_main(tests, argc, argv);
}
