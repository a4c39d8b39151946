/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef DEV_DEVT_H
#define DEV_DEVT_H
/*
 * The numbers of a device, as stat() packs them on Linux.  Those of <sys/sysmacros.h> are calls of the C library, and
 * each of its functions costs thin_check some 85 bytes.
 */
#include <sys/types.h>

static inline unsigned devt_major(dev_t d)
{
	return (unsigned)((d >> 8 & 0xfff) | (d >> 32 & ~0xfffull));
}

static inline unsigned devt_minor(dev_t d)
{
	return (unsigned)((d & 0xff) | (d >> 12 & ~0xffull));
}

static inline dev_t devt_make(unsigned major, unsigned minor)
{
	return (major & 0xfffull) << 8 | (major & ~0xfffull) << 32 | (minor & 0xffull) | (minor & ~0xffull) << 12;
}

#endif
