/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef NBDKIT_PARAMS_H
#define NBDKIT_PARAMS_H
/* The plugin's parameters, which go into struct served. */

#define PARAMS_HELP                                                                          \
	"[pool=]<POOL>    (required) Table file, metadata device, or disk with LVM.\n"       \
	"pool-name=<NAME> Which pool, when POOL has several (pool=- is standard input).\n"   \
	"pv=<FILE>        POOL is a disk with LVM: one more disk of its volume group.\n"     \
	"seqno=<N>        POOL is a disk with LVM: take LVM's text with this number.\n"      \
	"device=<DEVICE>  Serve this device only: its name in the table, or its id.\n"       \
	"data-dev=<DEV>   Data device of the pool, instead of the table's.\n"                \
	"origin=<DEV>     External origin of the device, instead of the table's.\n"          \
	"origin-format=raw  Take the origin's bytes as they stand, also of a qcow2 image.\n" \
	"force=true       Also format a device that the table names by MAJOR:MINOR.\n"       \
	"size=<SIZE>      Size of the device, instead of the table's.\n"                     \
	"readonly=true    Change nothing, neither data nor metadata.\n"                      \
	"force-share=true With readonly=true: read although another program is writing."

/* nbdkit's .config and .config_complete: 0, or -1 after nbdkit_error(). */
int params_set(const char *key, const char *value);
int params_complete(void);

#endif
