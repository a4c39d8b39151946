/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * The external origin is read as it is, byte for byte.  An image in a format of virtual machines
 * (qcow2, vmdk, ...) has its own order of bytes, and so has a compressed file: as an origin it would
 * give garbage, silently.
 */
#include "volume/open/origin.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/words.h"
#include "dev/dev.h"
#include "dev/signature.h"
#include "volume/guard/content.h"

#define HEAD_LEN 4096

static const struct {
	size_t at;
	const char *magic;
	size_t len;
	const char *name;
} formats[] = {
	{ 0, "QFI\xfb", 4, "qcow2" },
	{ 0, "QED\0", 4, "qed" },
	{ 0, "KDMV", 4, "vmdk" },
	{ 0, "COWD", 4, "vmdk" },
	{ 0, "# Disk DescriptorFile", 21, "vmdk" },
	{ 0, "vhdxfile", 8, "vhdx" },
	{ 0, "conectix", 8, "vpc" }, /* VHD: the copy of its footer */
	{ 64, "\x7f\x10\xda\xbe", 4, "vdi" },
	{ 0, "WithoutFreeSpace", 16, "parallels" },
	{ 0, "WithouFreSpacExt", 16, "parallels" },
};

int origin_format(struct io *io, const char **name, const char **packed, struct err *err)
{
	const char *found;
	size_t len = (size_t)MIN(io->size, HEAD_LEN);
	CLEANUP(free_ptr) char *head = io_alloc(HEAD_LEN);
	enum content c;
	int r;

	*name = *packed = NULL;
	if (!head)
		return err_nomem(err, io->name);
	memset(head, 0, HEAD_LEN);
	r = len ? io_read(io, head, len, 0, err) : 0;
	for (size_t i = 0; !r && i < ARRAY_SIZE(formats); i++)
		if (!memcmp(head + formats[i].at, formats[i].magic, formats[i].len))
			*name = formats[i].name;
	found = r || *name ? NULL : signature_name(head, HEAD_LEN);
	if (found && signature_is_packed(found))
		*packed = found;
	if (!r && !*name && !*packed && !content_is_device(io)) {
		r = content_of_head(io, &c, err);
		*packed = r || content_is_disk(c) ? NULL : content_name(c);
	}
	return r;
}

/* On an error target: then no format can be seen, and who needs these bytes is told that they are lost. */
static bool head_is_lost(struct io *io)
{
	uint64_t end = MIN(io->size, HEAD_LEN);
	struct io_place p = { .kind = IO_STORED };

	for (uint64_t at = 0; at < end && p.kind != IO_LOST; at += p.len)
		io_where(io, at, end - at, &p);
	return p.kind == IO_LOST;
}

int origin_open(const char *path, unsigned flags, bool raw, struct io **out, struct err *err)
{
	const char *format = NULL, *packed = NULL;
	struct io *io = NULL;
	int r = dev_open(path, DEV_SHARED | flags, &io, err);

	if (!r && !raw && !head_is_lost(io))
		r = origin_format(io, &format, &packed, err);
	if (!r && format)
		r = err_set(err, -EINVAL,
			    "'%s' is a %s image, but an origin is read as raw bytes: convert it "
			    "(qemu-img convert -f %s -O raw), or attach it (qemu-nbd -r -f %s) "
			    "and give that device; if its raw bytes are the origin: "
			    "%s",
			    path, format, format, format, word_origin_raw);
	if (!r && packed)
		r = err_set(err, -EINVAL,
			    "'%s' is %s; if its raw bytes are the origin: %s",
			    path, packed, word_origin_raw);
	if (r) {
		io_free(io);
		return err_prefix(err, r, "external origin");
	}
	*out = io;
	return 0;
}
