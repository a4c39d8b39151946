/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef DEV_SIGNATURE_H
#define DEV_SIGNATURE_H
/*
 * What a device or file holds, by the magic numbers at its beginning.  A small table of what
 * people give by mistake, for commands that link libc alone; dev_probe() knows far more.
 */
#include "base/units.h"

#define SIGNATURE_LEN 69632 /* bytes of the beginning in which the signatures lie */

/* "an ext4 filesystem", static; NULL: none of the table.  @data: the first @len bytes. */
const char *signature_name(const void *data, size_t len);

#endif
