/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "dev/dev.h"
#include "dev/mapped.h"
#include "dev/out_file.h"
#include "dev/part.h"
#include "folder.h"
#include "tap.h"

static const char *make_file(const char *name, off_t size)
{
	const char *path = file_name(name);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

	check(fd >= 0 && !ftruncate(fd, size));
	close(fd);
	return path;
}

static void opens_file(void)
{
	const char *path = make_file("pool", 12345);
	struct io *io = NULL;
	struct err err = { 0 };
	char c;

	check(!dev_open(path, 0, &io, &err));
	check_eq(io->size, 12345);
	check_str(io->name, path);
	check(!io->direct && io->fd >= 0);
	check(!io_read(io, &c, 1, 12344, &err));
	check(io_write(io, &c, 1, 0, &err) < 0);
	io_free(io);
	check(!dev_open(path, DEV_WRITE, &io, &err));
	check(!io_write(io, "x", 1, 0, &err));
	io_free(io);
}

static void missing(void)
{
	struct io *io = NULL;
	struct err err;

	check(dev_open(file_name("nowhere"), 0, &io, &err) == -ENOENT);
	check(strstr(err.text, "Couldn't find input file '"));
	check(dev_open(file_name("nowhere"), DEV_WRITE, &io, &err) == -ENOENT);
	check(strstr(err.text, "Couldn't find '"));
	check(!io);
}

static void other_kinds(void)
{
	const char *fifo = file_name("fifo");
	struct io *io = NULL;
	struct err err;

	check(!mkfifo(fifo, 0600));
	check(dev_open(fifo, 0, &io, &err) == -ENODEV);
	check(strstr(err.text, "Not a block device or regular file '"));
	check(dev_open(folder, 0, &io, &err) == -ENODEV);
	check(dev_open("/dev/null", 0, &io, &err) == -ENODEV);
	check(dev_open(folder, DEV_WRITE, &io, &err) == -ENODEV);
	check(strstr(err.text, "Invalid output file: "));
	check(!io);
}

/* Only these bytes of the file are locked, shared, as another program has it. */
static bool lock_bytes(int fd, off_t at, off_t len)
{
	struct flock all = { .l_type = F_UNLCK, .l_whence = SEEK_SET };
	struct flock l = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = at, .l_len = len };

	return !fcntl(fd, F_OFD_SETLK, &all) && !fcntl(fd, F_OFD_SETLK, &l);
}

static void one_writer(void)
{
	const char *path = make_file("locked", 8192);
	struct io *a, *b = NULL;
	struct err err;

	check(!dev_open(path, DEV_WRITE, &a, &err));
	check(dev_open(path, DEV_WRITE, &b, &err) == -EBUSY);
	check(strstr(err.text, "busy"));
	check(dev_open(path, 0, &b, &err) == -ETXTBSY);
	check(strstr(err.text, "is being written by another program"));
	check(dev_open(path, DEV_SHARED, &b, &err) == -ETXTBSY);
	check(!dev_open(path, DEV_FORCE, &b, &err));
	io_free(b);
	io_free(a);
	check(!dev_open(path, 0, &a, &err));
	check(!dev_open(path, DEV_SHARED, &b, &err));
	io_free(b);
	check(dev_open(path, DEV_WRITE, &b, &err) == -EBUSY);
	check(strstr(err.text, "is being read by another program"));
	io_free(a);
	check(!dev_open(path, DEV_FORCE, &a, &err));
	check(lock_bytes(a->fd, 0, 0) && !dev_open(path, 0, &b, &err)); /* somebody locks all of the file to read it */
	io_free(b);
	check(lock_bytes(a->fd, 0, 4096) && !dev_open(path, 0, &b, &err)); /* the same, and he names its end */
	io_free(b);
	check(lock_bytes(a->fd, 102, 4096) && !dev_open(path, 0, &b, &err));
	io_free(b);
	check(lock_bytes(a->fd, 102, 0) && !dev_open(path, 0, &b, &err));
	io_free(b);
	check(lock_bytes(a->fd, 101, 1) && dev_open(path, 0, &b, &err) == -ETXTBSY); /* as a virtual machine that writes */
	io_free(a);
	check(!dev_open(path, DEV_WRITE, &b, &err));
	io_free(b);
}

static void same(void)
{
	const char *a = make_file("a", 10), *b = make_file("b", 10), *l = file_name("link");
	struct err err = { 0 };

	check(!link(a, l));
	check(dev_same(a, a, &err) == 1 && dev_same(a, l, &err) == 1);
	check(!dev_same(a, b, &err));
	check(!dev_same(a, file_name("nowhere"), &err));
	check(dev_is_equal(a, l) && dev_is_equal(a, a));
	check(!dev_is_equal(a, b) && !dev_is_equal(a, "/nowhere") && !dev_is_equal("/nowhere", a));
}

static int note_part(void *ctx, dev_t dev, uint64_t at, uint64_t len)
{
	char *text = ctx;

	sprintf(text + strlen(text), "%u:%u %llu+%llu ", major(dev), minor(dev), (unsigned long long)at,
		(unsigned long long)len);
	return 0;
}

static void mapped(void)
{
	/* sectors 4 to 9 of a target of 64; parts in bytes, "0+0": a whole device */
	static const struct {
		const char *type, *params, *parts;
	} cases[] = {
		{ "linear", "8:16 2048", "8:16 1050624+2560 " },
		{ "crypt", "aes-xts-plain64 :64:logon:x 0 253:3 8", "253:3 6144+2560 " },
		{ "delay", "7:0 10 500 7:1 0 20", "7:0 7168+2560 7:1 2048+2560 " },
		{ "flakey", "8:0 0 5 5", "8:0 2048+2560 " },
		{ "mirror", "disk 2 8:2 1024 2 8:0 0 8:1 16", "8:2 0+0 8:0 0+0 8:1 0+0 " },
		{ "striped", "2 16 8:0 8 8:1 0", "8:0 4096+16384 8:1 0+16384 " },
		{ "striped", "0 16 8:0 8", "8:0 4096+32768 " },
		{ "raid", "raid1 3 0 region_size 8 2 253:0 253:1 253:2 253:3",
		  "253:0 0+0 253:1 0+0 253:2 0+0 253:3 0+0 " },
		{ "cache", "8:1 8:2 8:3 512 0 smq 0", "8:1 0+0 8:2 0+0 8:3 0+0 " },
		{ "multipath", "0 0 1 1 queue-length 0 2 1 8:0 1 8:16 1", "8:0 0+0 8:16 0+0 " },
		{ "thin", "253:0 5 8:1", "" },
		{ "thin-pool", "8:1 8:2 128 0", "" },
		{ "zero", "", "" },
		{ "error", "8", "" },
		{ "linear", "8:16", "8:16 0+0 " },
		{ "of tomorrow", "a:b 1:2 :3 4: 5:6", "1:2 0+0 5:6 0+0 " },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char params[200], parts[200] = "";

		strcpy(params, cases[i].params);
		check(!mapped_target(cases[i].type, params, 64 << 9, 4 << 9, 9 << 9, note_part, parts));
		check_str(parts, cases[i].parts);
	}
}

static void probes(void)
{
	const char *path = make_file("probe", 1 << 20);
	char what[100] = "", magic[512] = { 0 };
	struct io *io;
	struct err err;

	check(!dev_open(path, DEV_WRITE, &io, &err));
	check(dev_probe(io, what, sizeof(what), &err) == 0);
	/* an empty partition table and then a swap signature */
	magic[510] = 0x55;
	magic[511] = (char)0xaa;
	magic[446 + 4] = (char)0x83;
	magic[446 + 8] = 1;
	magic[446 + 12] = 8;
	check(!io_write(io, magic, 512, 0, &err));
	check(dev_probe(io, what, sizeof(what), &err) == 1);
	check_str(what, "dos partition table");
	memset(magic, 0, sizeof(magic));
	check(!io_write(io, magic, 512, 0, &err));
	check(!io_write(io, "SWAPSPACE2", 10, 4086, &err));
	magic[0] = 1; /* version, pages */
	magic[4] = (char)255;
	check(!io_write(io, magic, 12, 1024, &err));
	check(dev_probe(io, what, sizeof(what), &err) == 1);
	check(strstr(what, "swap"));
	io_free(io);
}

/* A part that is read keeps its lock where a second part of the same file cannot be opened for writing. */
static void part_keeps_its_lock(void)
{
	const char *path = make_file("parts", 4096);
	struct dev_part *reader = NULL, *writer = NULL;
	struct io *other = NULL, *io = NULL;
	struct err err;

	check(!dev_part_open(path, 0, &reader, &err));
	check(!dev_open(path, 0, &other, &err)); /* as another program that reads */
	check_eq(dev_part_open(path, DEV_WRITE, &writer, &err), -EBUSY);
	check(!writer);
	io_free(other);
	check_eq(dev_open(path, DEV_WRITE, &io, &err), -EBUSY); /* as another program that writes */
	check(!dev_part_open(path, DEV_WRITE, &writer, &err));
	check(!io_write(dev_part_io(writer), "x", 1, 0, &err));
	dev_part_put(writer);
	dev_part_put(reader);
	check(!dev_open(path, DEV_WRITE, &io, &err));
	io_free(io);
}

/* -U reads what another program writes; a part that is wanted without it, or to be written, has a lock of its own. */
static void part_without_a_lock(void)
{
	const char *path = make_file("parts", 4096);
	struct dev_part *forced = NULL, *again = NULL, *other = NULL;
	struct io *writer = NULL;
	struct err err;

	check_eq(dev_part_open(file_name("nowhere"), 0, &other, &err), -ENOENT);
	check(!other);
	check(!dev_open(path, DEV_WRITE, &writer, &err)); /* as another program */
	check(!dev_part_open(path, DEV_FORCE, &forced, &err));
	check(!dev_part_open(path, DEV_FORCE, &again, &err) && again == forced);
	dev_part_put(again);
	check_eq(dev_part_open(path, 0, &other, &err), -ETXTBSY);
	check_eq(dev_part_open(path, DEV_WRITE, &other, &err), -EBUSY);
	io_free(writer);
	check(!dev_part_open(path, DEV_WRITE | DEV_FORCE, &other, &err) && other != forced);
	check(!io_write(dev_part_io(other), "x", 1, 0, &err));
	dev_part_put(other);
	check(!dev_part_open(path, 0, &other, &err) && other != forced);
	dev_part_put(other);
	dev_part_put(forced);
}

static void numbers_and_folders(void)
{
	unsigned major = 0, minor = 0;

	check(dev_numbers("253:7", &major, &minor) && major == 253 && minor == 7);
	check(!dev_numbers("253:7x", &major, &minor) && !dev_numbers("253:", &major, &minor));
	check(!dev_numbers(" 253:7", &major, &minor) && !dev_numbers("", &major, &minor));
	check(dev_would_be_device("/dev/nothing") && dev_would_be_device("/dev/mapper/nothing"));
	check(!dev_would_be_device("/dev/shm/file") && !dev_would_be_device("/dev/shm/below/file"));
	check(!dev_would_be_device("/device") && !dev_would_be_device("nothing"));
}

static void text_has_a_limit(void)
{
	const char *path = make_file("text", 20);
	char *text = NULL;
	size_t len = 0;
	struct err err;

	check(!dev_read_text(path, 20, &text, &len, &err) && len == 20);
	free(text);
	text = NULL;
	check_eq(dev_read_text(path, 19, &text, &len, &err), -EFBIG);
	check(!text && strstr(err.text, "larger than 19 bytes"));
}

static int out_file_error(int (*open_it)(const char *, struct out_file **, struct err *), const char *path,
			  const char *words)
{
	struct out_file *f = NULL;
	struct err err;
	int r = open_it(path, &f, &err);

	check(!f);
	if (!strstr(err.text, words))
		printf("# %s\n", err.text);
	check(strstr(err.text, words) != NULL);
	return r;
}

static void outputs_that_cannot_be(void)
{
	struct err err;
	char path[600];

	check_eq(out_file_error(out_file_open, file_name("."), "Invalid output file"), -EISDIR);
	make_file("there", 10);
	check_eq(out_file_error(out_file_new, file_name("there"), "exists"), -EEXIST);
	snprintf(path, sizeof(path), "%s/below", file_name("there"));
	check_eq(out_file_error(out_file_open, path, "cannot open"), -ENOTDIR);
	check_eq(out_file_check(path, &err), -ENOTDIR);
	check_eq(out_file_check("", &err), -EISDIR);
	check_eq(out_file_error(out_file_new, file_name("nowhere/below"), "cannot create"), -ENOENT);
	snprintf(path, sizeof(path), "%s/", file_name("new"));
	check_eq(out_file_error(out_file_new, path, "needs a file name"), -EISDIR);
}

static const struct test tests[] = {
	{ "a text has a limit", text_has_a_limit },
	{ "a part that was opened without a lock is not given to who needs one", part_without_a_lock },
	{ "a device's numbers and a folder of devices are recognised", numbers_and_folders },
	{ "a part keeps its lock where the same file cannot be opened for writing", part_keeps_its_lock },
	{ "an output that cannot be is refused with the reason", outputs_that_cannot_be },
	{ "a file opens with its size, for reading or for writing", opens_file },
	{ "a missing file is said to be missing", missing },
	{ "directories, fifos and character devices are refused", other_kinds },
	{ "a file has one writer", one_writer },
	{ "two names of one file are the same", same },
	{ "a target of device-mapper lies on the devices of its parameters", mapped },
	{ "what stands on a device is named", probes },
	{ 0 }
};

int main(int argc, char **argv)
{
	return folder_main(tests, argc, argv);
}
