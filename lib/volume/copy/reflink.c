/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include <errno.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>

#include "volume/copy/impl.h"

/* Does @code mean that these two files can never share extents?  Other codes are failures. */
static bool cannot_share(int code)
{
	switch (code) {
	case EOPNOTSUPP:
	case ENOTTY:
	case ENOSYS:
	case EXDEV:
	case EINVAL:
	case EPERM:
	case EBADF:
	case ETXTBSY:
	case EISDIR:
		return true;
	default:
		return false;
	}
}

int copy_reflink(struct copy_state *c, const struct extent *e, const struct io_place *p, uint64_t *len,
		 struct err *err)
{
	struct copy_source *s = &c->source[e->kind];
	struct file_clone_range range = {
		.src_fd = p->io->fd,
		.src_offset = p->at,
		.src_length = e->len - e->len % c->fs_block,
		.dest_offset = e->at,
	};
	int code;

	*len = 0;
	/* the tail of the image or of the origin is copied; 0 would mean: up to the end */
	if (!range.src_length || (p->at | e->at) % c->fs_block)
		return 0;
	while (ioctl(c->out->fd, FICLONERANGE, &range)) {
		code = errno;
		if (code == EINTR)
			continue;
		if (!cannot_share(code))
			return err_sys(err, -code, "%s: sharing %llu bytes of %s at offset %llu",
				       c->out->path, (unsigned long long)range.src_length, s->io->name,
				       (unsigned long long)e->at);
		s->reflink = false;
		if (c->opt->reflink == REFLINK_ALWAYS)
			return err_set(err, -ENOTSUP,
				       "%s: cannot share extents with %s (%s): both must be on one "
				       "filesystem that can, such as XFS or btrfs; --reflink=auto copies",
				       c->out->path, s->io->name, strerror(code));
		return 0;
	}
	*len = range.src_length;
	return 0;
}
