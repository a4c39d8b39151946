#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# Makes ./configure from configure.ac.
cd "$(dirname "$0")" && exec autoreconf -fi
